/**
 * The state of a job, folded from its transitions. Everything here is plain JSON, and small: the values that may be
 * large (payload, result, checkpoint) and what facts add up to (progress) are folded beside it.
 *
 * Order of this file: types, first state, evolve.
 */
import { BrokenHistory } from './errors.js';
import { copyJob } from './copy-job.js';
import { follow, type JobStatus } from './job-chart.js';
import {
  stallOf,
  type Instant,
  type JobError,
  type JobEvent,
  type JobEventData,
  type JobSpec,
  type RecordedJobEvent,
  type Value,
} from './job-events.js';

export interface Failure {
  readonly run: number;
  readonly attempt: number;
  readonly code: string;
  readonly message: string;
  readonly at: Instant;
}

export interface Job {
  readonly id: string;
  readonly spec: Omit<JobSpec, 'payload'>;
  readonly status: JobStatus;
  readonly statusSince: Instant;
  readonly priority: number;
  readonly availableAt: Instant | null;
  readonly run: number;
  /** 0 until the first claim of the run. */
  readonly attempt: number;
  readonly failedAttempts: number;
  readonly throttles: number;
  readonly lostLeases: number;
  /** Who holds the current attempt; null when nobody does. Its expiry is operational, not history. */
  readonly lease: { readonly workerId: string; readonly leaseMs: number; readonly claimedAt: Instant } | null;
  readonly workerState: { readonly state: string; readonly since: Instant } | null;
  /** A hold that the end of the attempt will honour: the job waits then. */
  readonly held: boolean;
  /** Why the last hold was asked for; absent before the first. */
  readonly holdReason?: string | null;
  readonly waiting: {
    readonly reason: string;
    readonly detail: Value;
    readonly since: Instant;
    readonly until: Instant | null;
  } | null;
  readonly cancel: { readonly reason: string | null; readonly requestedAt: Instant } | null;
  /** Digest of the checkpoint that the next claim hands out. */
  readonly checkpointDigest: string | null;
  readonly error: JobError | null;
  readonly failures: readonly Failure[];
  readonly deadLettered: boolean;
  /** Which worker call ended the run: repeating it is no error. */
  readonly endedBy: { readonly command: string; readonly run: number; readonly attempt: number } | null;
  readonly createdAt: Instant;
  readonly queuedAt: Instant | null;
  readonly firstStartedAt: Instant | null;
  readonly startedAt: Instant | null;
  readonly finishedAt: Instant | null;
  /** Of the job's own stream, from 0. */
  readonly revision: number;
}

const born = (id: string, event: RecordedJobEvent & { type: 'JobCreated' }): Job => {
  const { payload: _payload, ...spec } = event.data.spec;
  return {
    id,
    spec,
    status: 'created',
    statusSince: event.at,
    priority: spec.priority,
    availableAt: spec.availableAt,
    run: 1,
    attempt: 0,
    failedAttempts: 0,
    throttles: 0,
    lostLeases: 0,
    lease: null,
    workerState: null,
    held: false,
    waiting: null,
    cancel: null,
    checkpointDigest: null,
    error: null,
    failures: [],
    deadLettered: false,
    endedBy: null,
    createdAt: event.at,
    queuedAt: null,
    firstStartedAt: null,
    startedAt: null,
    finishedAt: null,
    revision: 0,
  };
};

/** The end of a lease, however it ends. A hold that pends is honoured by the event that follows. */
const unleased = { lease: null, workerState: null } as const;

const failed = (job: Job, at: Instant, error: { code: string; message: string }): readonly Failure[] => [
  ...job.failures,
  { run: job.run, attempt: job.attempt, code: error.code, message: error.message, at },
];

/** `waiting.reason` of a scheduled job, by why it was scheduled. */
const scheduledBecause = { delay: 'delay', rescheduled: 'delay', retry: 'retry', throttle: 'throttled' } as const;

/** Written out: a spread costs more than all of its members, and a replay ends every job. */
const ended = (job: Job, event: RecordedJobEvent): Partial<Job> => ({
  lease: null,
  workerState: null,
  held: false,
  waiting: null,
  cancel: null,
  finishedAt: event.at,
  endedBy: { command: event.command, run: job.run, attempt: job.attempt },
});

/** A lease is lost when its worker is silent, or taken from one that beats and does not work. */
const lostBecause = ({ workerId, evidence: { rule, thresholds } }: JobEventData['LeaseExpired']): string =>
  rule === 'stalled'
    ? `worker ${workerId} lost the job, which stalled: ${stallOf(thresholds)}`
    : `the lease of worker ${workerId} was not renewed`;

// One case an event: a table that is read whole.
// eslint-disable-next-line max-lines-per-function
const changes = (job: Job, event: RecordedJobEvent): Partial<Job> => {
  const { at } = event;
  switch (event.type) {
    case 'JobCreated':
      throw new BrokenHistory(job.id, job.status, event.type);
    case 'JobQueued':
      return { lease: null, workerState: null, waiting: null, queuedAt: at, startedAt: null };
    case 'JobScheduled': {
      const { availableAt, reason } = event.data;
      const waiting = { reason: scheduledBecause[reason], detail: null, since: at, until: availableAt };
      return { ...unleased, availableAt, startedAt: null, waiting };
    }
    case 'JobBlocked':
      return { waiting: { reason: 'children', detail: event.data.on, since: at, until: null } };
    case 'JobClaimed': {
      const { workerId, leaseMs } = event.data;
      return {
        attempt: job.attempt + 1,
        lease: { workerId, leaseMs, claimedAt: at },
        error: null,
      };
    }
    case 'JobStarted':
      return { startedAt: at, firstStartedAt: job.firstStartedAt ?? at };
    case 'CheckpointSaved':
      return { checkpointDigest: event.data.digest };
    case 'WorkerStateReported':
      return { workerState: { state: event.data.state, since: at } };
    case 'JobReleased':
      return {};
    case 'LeaseExpired': {
      const error = { code: 'LeaseExpired', message: lostBecause(event.data), detail: null };
      return { ...unleased, lostLeases: event.data.lostLeases, error, failures: failed(job, at, error) };
    }
    case 'JobThrottled':
      return { ...unleased, throttles: event.data.throttles };
    case 'JobWaiting':
      return { ...unleased, held: false, waiting: { ...event.data, since: at } };
    case 'JobResumed':
      return { held: false };
    case 'JobHeld':
      return { held: true, holdReason: event.data.reason };
    case 'JobRescheduled':
      return { availableAt: event.data.availableAt };
    case 'PriorityChanged':
      return { priority: event.data.priority };
    case 'AttemptFailed': {
      const { error } = event.data;
      return { ...unleased, failedAttempts: job.failedAttempts + 1, error, failures: failed(job, at, error) };
    }
    case 'JobFinalizing':
      return { ...unleased };
    case 'JobCompleted':
      return { ...ended(job, event), error: null };
    case 'JobFailed': {
      const { error } = event.data;
      // An attempt that still ran when its run was ended failed too; one that ended before is in the list already.
      return { ...ended(job, event), error, ...(job.lease === null ? {} : { failures: failed(job, at, error) }) };
    }
    case 'JobTimedOut':
      return { ...ended(job, event), error: event.data.error, failures: failed(job, at, event.data.error) };
    case 'CancelRequested':
      return { held: false, cancel: { reason: event.data.reason, requestedAt: at } };
    case 'JobCancelled':
      return { ...ended(job, event), error: null };
    case 'JobDeadLettered':
      return { deadLettered: true };
    case 'JobRetried':
      return {
        run: event.data.run,
        attempt: 0,
        failedAttempts: 0,
        throttles: 0,
        lostLeases: 0,
        checkpointDigest: null,
        availableAt: null,
        error: null,
        deadLettered: false,
        endedBy: null,
        finishedAt: null,
        startedAt: null,
      };
  }
};

/** The `reason` that the chart's guards look at. */
const chartReason = (event: JobEvent): string | null => (event.type === 'JobQueued' ? event.data.reason : null);

/** Whether the chart lets the event follow, and where it leads. */
export const next = (job: Job, event: JobEvent): JobStatus | undefined =>
  follow(job.status, event.type, chartReason(event));

/**
 * Applies one transition.
 * @param job null before the first event.
 * @throws BrokenHistory when the chart cannot follow: a damaged log must not look like a no-op.
 */
export const evolve = (id: string, job: Job | null, event: RecordedJobEvent): Job => {
  if (job === null) {
    if (event.type !== 'JobCreated') throw new BrokenHistory(id, 'none', event.type);
    return born(id, event);
  }
  const status = next(job, event);
  if (status === undefined) throw new BrokenHistory(id, job.status, event.type);
  // One copy, then what changes: spreads cost several times as much.
  const after = copyJob(job);
  Object.assign(after, changes(job, event));
  if (status !== job.status) {
    after.status = status;
    after.statusSince = event.at;
  }
  after.revision = job.revision + 1;
  return after;
};

/** The values that may be large, kept out of `Job`. */
export interface JobValues {
  readonly payload: Value;
  readonly result: Value;
  readonly checkpoint: Value;
}

export const NO_VALUES: JobValues = { payload: null, result: null, checkpoint: null };

/** Which of the large values an event sets; undefined when it sets none. A new run starts without a checkpoint. */
export const valuesSetBy = (event: JobEvent): Partial<JobValues> | undefined => {
  switch (event.type) {
    case 'JobCreated':
      return { payload: event.data.spec.payload };
    case 'CheckpointSaved':
      return { checkpoint: event.data.checkpoint };
    case 'JobCompleted':
      return { result: event.data.result };
    case 'JobRetried':
      return {
        result: null,
        checkpoint: null,
        ...(event.data.payload === undefined ? {} : { payload: event.data.payload }),
      };
    default:
      return undefined;
  }
};
