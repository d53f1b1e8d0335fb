/**
 * When a job that does not move is ended, moved on or escalated. Each rule is a function from the job, its clocks and
 * the policy in force to the instant at which it is due; the reaper stores the earliest, wakes then, and judges again.
 * Which rules bound which state stands in the chart; a new rule is one function here and its name there.
 */
import { JOB_STATUSES, metaOf, type JobStatus } from './job-chart.js';
import { toEpochMs, type Rule } from './job-events.js';
import type { Job } from './job.js';
import type { Policy } from './policy.js';

/** What is known of a job beside its transitions. Epoch ms. */
export interface Clocks {
  /** Expiry of the lease; null when nobody holds it. */
  readonly leaseExpiresAt: number | null;
  readonly lastBeatAt: number | null;
  /** Last sign of work: claim, start, facts, a changed checkpoint, a reported worker state. */
  readonly lastActivityAt: number;
  /** The ledger was away as the lease lapsed: its worker has until then to be heard. Absent: it was there all the time. */
  readonly graceUntil?: number | null;
}

export interface Deadline {
  readonly rule: Rule;
  /** Epoch ms. A rule is due strictly after it, but for `due`, which is due at it. */
  readonly at: number;
}

type RuleAt = (job: Job, clocks: Clocks, policy: Policy) => number | null;

/** The process is gone: the lease was not renewed in time, though the ledger was there to be called. */
const leaseExpired: RuleAt = (_job, { leaseExpiresAt, graceUntil }) =>
  leaseExpiresAt === null ? null : Math.max(leaseExpiresAt, graceUntil ?? leaseExpiresAt);

/** A worker that says it waits counts as working while its lease lives, for at most the wait limit. */
const silentSince = (job: Job, clocks: Clocks, policy: Policy): number => {
  const { workerState } = job;
  if (workerState === null || !workerState.state.startsWith('waiting')) return clocks.lastActivityAt;
  const waitedAtMost = toEpochMs(workerState.since) + policy.waitLimitMs;
  return Math.max(clocks.lastActivityAt, Math.min(waitedAtMost, clocks.leaseExpiresAt ?? waitedAtMost));
};

/** The work does not move: older than `timeoutMs` since its claim, and silent for `stallMs`. */
const stalled: RuleAt = (job, clocks, policy) => {
  if (job.lease === null) return null;
  const { timeoutMs, stallMs } = policy;
  if (timeoutMs === 0 && stallMs === 0) return null;
  const overAge = timeoutMs === 0 ? 0 : toEpochMs(job.lease.claimedAt) + timeoutMs;
  const silent = stallMs === 0 ? 0 : silentSince(job, clocks, policy) + stallMs;
  return Math.max(overAge, silent);
};

/** Nobody came: at `until`, at the latest after the wait limit. */
const waitExpired: RuleAt = (job, _clocks, policy) => {
  if (job.waiting === null) return null;
  const limit = toEpochMs(job.waiting.since) + policy.waitLimitMs;
  return job.waiting.until === null ? limit : Math.min(toEpochMs(job.waiting.until), limit);
};

/** The worker did not stop in time after cancel was asked. */
const cancelForced: RuleAt = (job, _clocks, policy) =>
  job.cancel === null ? null : toEpochMs(job.cancel.requestedAt) + policy.cancelLimitMs;

/** Items that never came. */
const finalizeExpired: RuleAt = (job, _clocks, policy) => toEpochMs(job.statusSince) + policy.finalizeLimitMs;

/** Time's own move: a scheduled job becomes claimable. */
const due: RuleAt = (job) => (job.availableAt === null ? null : toEpochMs(job.availableAt));

const never: RuleAt = () => null;

const RULES: Readonly<Record<Rule, RuleAt>> = {
  lease_expired: leaseExpired,
  stalled,
  wait_expired: waitExpired,
  cancel_forced: cancelForced,
  finalize_expired: finalizeExpired,
  item_timeout: never,
  not_started: never,
  due,
};

/** Where two rules are due, `stalled` is judged first: the work's end says more than the process's. */
const inOrder = (bounds: readonly Rule[]): readonly Rule[] =>
  [...bounds].sort((a, b) => Number(b === 'stalled') - Number(a === 'stalled'));

/** Read from the chart once: sorting them for each job is most of the work. */
const boundsOf = new Map(JOB_STATUSES.map((status) => [status, inOrder(metaOf(status).bounds)]));

/** Whether any rule bounds a job in this state; of one that none bounds no clock has to be known. */
export const isBounded = (status: JobStatus): boolean => boundsOf.get(status)!.length > 0;

const deadlines = (job: Job, clocks: Clocks, policy: Policy): readonly Deadline[] =>
  boundsOf.get(job.status)!.flatMap((rule) => {
    const at = RULES[rule](job, clocks, policy);
    return at === null ? [] : [{ rule, at }];
  });

/** The earliest instant at which a rule could be due; null when none bounds the job now. */
export const nextDeadline = (job: Job, clocks: Clocks, policy: Policy): Deadline | null =>
  deadlines(job, clocks, policy).reduce<Deadline | null>(
    (first, deadline) => (first === null || deadline.at < first.at ? deadline : first),
    null,
  );

const isDue = ({ rule, at }: Deadline, now: number): boolean => (rule === 'due' ? now >= at : now > at);

/** The rule that is due at `now`, or null: stale means older than the threshold, strictly. */
export const dueRule = (job: Job, clocks: Clocks, policy: Policy, now: number): Rule | null =>
  deadlines(job, clocks, policy).find((deadline) => isDue(deadline, now))?.rule ?? null;

/** A claim, or a beat for its own renewal, may have asked for another length than the policy's. */
const leaseMsOf = ({ leaseExpiresAt, lastBeatAt }: Clocks, policy: Policy): number =>
  leaseExpiresAt === null || lastBeatAt === null ? policy.leaseMs : leaseExpiresAt - lastBeatAt;

const graceOf = ({ leaseExpiresAt, graceUntil }: Clocks): { readonly graceMs?: number } =>
  leaseExpiresAt === null || graceUntil == null ? {} : { graceMs: graceUntil - leaseExpiresAt };

/** The thresholds that a rule looked at, by policy field: its evidence. `graceMs`: for how long after its end the lease stood. */
export const thresholdsOf = (rule: Rule, clocks: Clocks, policy: Policy): Readonly<Record<string, number>> => {
  switch (rule) {
    case 'lease_expired':
      return { leaseMs: leaseMsOf(clocks, policy), maxLostLeases: policy.maxLostLeases, ...graceOf(clocks) };
    case 'stalled':
      return { timeoutMs: policy.timeoutMs, stallMs: policy.stallMs };
    case 'wait_expired':
      return { waitLimitMs: policy.waitLimitMs };
    case 'cancel_forced':
      return { cancelLimitMs: policy.cancelLimitMs };
    case 'finalize_expired':
      return { finalizeLimitMs: policy.finalizeLimitMs };
    case 'item_timeout':
      return { itemTimeoutMs: policy.itemTimeoutMs };
    case 'not_started':
    case 'due':
      return {};
  }
};
