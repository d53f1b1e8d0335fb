/** A job as the wire has it: its read model, its lease, and the policy in force. */
import type { Policy } from '../domain/policy.js';
import { directiveOf } from '../domain/directive.js';
import type { Job } from '../domain/job.js';
import { percentOf } from '../domain/progress.js';
import type * as domain from '../domain/progress.js';
import { toEpochMs, toInstant } from '../domain/job-events.js';
import { nextDeadline } from '../domain/stall-rules.js';
import type { Lease } from '../leases/leases.js';
import { lastActivityMs } from '../projections/jobs/job-rows.js';
import type { StoredJob } from '../projections/jobs/stored-job.js';
import type * as wire from './contract.js';

/** What is known of the lease that holds a job, epoch ms. */
export interface HeldLease {
  readonly expiresAt: number;
  readonly lastBeatAt: number;
}

/**
 * The lease of a job that is held. A row of another attempt says nothing of it, nor does one that was lost: then the
 * lease is as its claim made it.
 */
export const heldLease = ({ job }: StoredJob, row: Lease | undefined): HeldLease | null => {
  if (job.lease === null) return null;
  const claimedAt = toEpochMs(job.lease.claimedAt);
  const isOfJob = row?.run === job.run && row.attempt === job.attempt && row.workerId !== null;
  return {
    expiresAt: (isOfJob ? row.expiresAt : null) ?? claimedAt + job.lease.leaseMs,
    lastBeatAt: (isOfJob ? row.lastBeatAt : null) ?? claimedAt,
  };
};

const progressView = (progress: domain.Progress): wire.Progress => {
  const { total, processed, failed, skipped, message, stages } = progress;
  const stageViews = Object.entries(stages).map(([name, stage]) => [
    name,
    { total: stage.total, processed: stage.processed, failed: stage.failed },
  ]);
  return {
    ...{ total, processed, failed, skipped, percent: percentOf(progress), message },
    stages: Object.fromEntries(stageViews) as wire.Progress['stages'],
  };
};

const leaseView = ({ job }: StoredJob, lease: HeldLease | null): wire.Lease | null =>
  job.lease === null || lease === null
    ? null
    : {
        workerId: job.lease.workerId,
        expiresAt: toInstant(lease.expiresAt),
        lastBeatAt: toInstant(lease.lastBeatAt),
        workerState: job.workerState?.state ?? null,
      };

const deadlineView = (stored: StoredJob, policy: Policy, lease: HeldLease | null): wire.Deadline | null => {
  const clocks = {
    leaseExpiresAt: lease?.expiresAt ?? null,
    lastBeatAt: lease?.lastBeatAt ?? null,
    lastActivityAt: lastActivityMs(stored),
  };
  const deadline = nextDeadline(stored.job, clocks, policy);
  return deadline === null ? null : { at: toInstant(deadline.at), rule: deadline.rule };
};

/** Fields of parts that are not built. */
const NOT_BUILT = { items: null, parentId: null, children: {}, requires: [] } as const;

const pendingDirective = (job: Job): wire.Job['directive'] => {
  const directive = directiveOf(job);
  return directive === 'continue' ? null : directive;
};

const viewWith = (stored: StoredJob, policy: Policy, operational: Pick<wire.Job, 'lease' | 'deadline'>): wire.Job => {
  const { job, values } = stored;
  const { spec } = job;
  return {
    id: job.id,
    type: spec.type,
    queue: spec.queue,
    status: job.status,
    statusSince: job.statusSince,
    priority: job.priority,
    tags: spec.tags,
    payload: values.payload,
    result: values.result,
    error: job.error,
    failures: job.failures,
    run: job.run,
    attempt: job.attempt,
    failedAttempts: job.failedAttempts,
    maxAttempts: policy.maxAttempts,
    throttles: job.throttles,
    lostLeases: job.lostLeases,
    lease: operational.lease,
    availableAt: job.availableAt,
    createdAt: job.createdAt,
    queuedAt: job.queuedAt,
    firstStartedAt: job.firstStartedAt,
    startedAt: job.startedAt,
    finishedAt: job.finishedAt,
    lastEventAt: stored.lastEventAt,
    lastActivityAt: stored.lastActivityAt,
    progress: progressView(stored.progress),
    ...NOT_BUILT,
    waiting: job.waiting,
    directive: pendingDirective(job),
    deadLettered: job.deadLettered,
    policy,
    deadline: operational.deadline,
    createdBy: spec.createdBy,
    correlationId: spec.correlationId,
    revision: job.revision,
    position: stored.position,
  };
};

/** A job as it is now. */
export const viewJob = (stored: StoredJob, policy: Policy, lease: HeldLease | null): wire.Job =>
  viewWith(stored, policy, { lease: leaseView(stored, lease), deadline: deadlineView(stored, policy, lease) });

/** A job as it was: leases and deadlines are no history. */
export const viewPastJob = (stored: StoredJob, policy: Policy): wire.Job =>
  viewWith(stored, policy, { lease: null, deadline: null });
