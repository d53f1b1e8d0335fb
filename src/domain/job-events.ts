/**
 * What happened to a job. Events are facts: guards ran when they were decided, and replay never asks again.
 * Transitions live in the stream `job-<id>`, facts (progress) in `work-<id>`, refused commands in `refusals-<id>`.
 */
import type { PolicyOverrides, PresetName } from './policy.js';

/** JSON as it travels; the domain only carries it. */
export type Value = null | boolean | number | string | readonly Value[] | { readonly [key: string]: Value };

/** An instant: RFC 3339, UTC, milliseconds. Strings, so that stored state is plain JSON. */
export type Instant = string;

/** The last one that was asked for: what is decided together is decided at one time. */
let known = { ms: NaN, instant: '' };

export const toInstant = (epochMs: number): Instant => {
  if (known.ms !== epochMs) known = { ms: epochMs, instant: new Date(epochMs).toISOString() };
  return known.instant;
};
export const toEpochMs = (instant: Instant): number => Date.parse(instant);

export interface JobError {
  readonly code: string;
  readonly message: string;
  readonly detail: Value;
}

/** Stall rules: what bounds a state in time. `due` is time's own move of a scheduled job. */
export type Rule =
  | 'lease_expired'
  | 'stalled'
  | 'wait_expired'
  | 'cancel_forced'
  | 'finalize_expired'
  | 'item_timeout'
  | 'not_started'
  | 'due';

/** What a rule saw when it fired. `thresholds` by policy field, in ms. */
export interface Evidence {
  readonly rule: Rule;
  readonly ruleVersion: number;
  readonly thresholds: Readonly<Record<string, number>>;
  readonly lastActivityAt: Instant | null;
  readonly lastActivityPosition: string | null;
  readonly lastBeatAt: Instant | null;
  readonly observedAt: Instant;
  readonly revision: number;
}

/** What the rule `stalled` found, in words; `thresholds` as in its evidence. */
export const stallOf = ({ stallMs, timeoutMs }: Readonly<Record<string, number>>): string =>
  `no activity in ${stallMs} ms (started >${timeoutMs} ms ago)`;

/** What a creator said of a job. */
export interface JobSpec {
  readonly type: string;
  readonly queue: string;
  readonly payload: Value;
  /** −1000 … 1000, higher first. */
  readonly priority: number;
  readonly tags: readonly string[];
  /** False: the job is a draft until somebody starts it. */
  readonly autostart: boolean;
  readonly availableAt: Instant | null;
  readonly maxAttempts: number | null;
  /** Of its progress. */
  readonly total: number | null;
  readonly policy: PolicyOverrides | null;
  readonly preset: PresetName | null;
  readonly correlationId: string;
  /** Id of the API key, or `anonymous`. */
  readonly createdBy: string;
}

export type ScheduledReason = 'delay' | 'retry' | 'throttle' | 'rescheduled';
export type QueuedReason =
  | 'created'
  | 'started'
  | 'due'
  | 'unblocked'
  | 'lease_expired'
  | 'stale'
  | 'released'
  | 'resumed'
  | 'requeued'
  | 'retried';

/**
 * What the holder of a lease said that ended an attempt whose job was being cancelled. It moves nothing any more, but
 * what was done was done: the event is the only place that knows.
 */
export type Outcome =
  | { readonly command: 'complete'; readonly result: Value }
  | { readonly command: 'fail'; readonly error: JobError }
  | { readonly command: 'throttle' | 'wait' | 'release'; readonly reason: string | null };

/** `data` of every event by its type. `reason` of a command, where it is free text, may be null. */
export interface JobEventData {
  JobCreated: { readonly spec: JobSpec; readonly reason: string | null };
  JobScheduled: { readonly availableAt: Instant; readonly reason: ScheduledReason };
  JobBlocked: { readonly on: readonly string[] };
  JobQueued: { readonly reason: QueuedReason };
  JobClaimed: { readonly workerId: string; readonly leaseMs: number; readonly leaseExpiresAt: Instant };
  JobStarted: { readonly workerId: string };
  /** `digest` of the canonical checkpoint: equal bytes are no news. */
  CheckpointSaved: { readonly checkpoint: Value; readonly digest: string };
  WorkerStateReported: { readonly state: string };
  JobReleased: { readonly reason: string };
  LeaseExpired: { readonly workerId: string; readonly lostLeases: number; readonly evidence: Evidence };
  JobThrottled: {
    readonly retryAfterMs: number;
    readonly resource: string | null;
    readonly throttles: number;
    readonly reason: string | null;
  };
  JobWaiting: { readonly reason: string; readonly detail: Value; readonly until: Instant | null };
  JobResumed: { readonly reason: string | null };
  JobHeld: { readonly reason: string | null };
  JobRescheduled: { readonly availableAt: Instant; readonly reason: string | null };
  PriorityChanged: { readonly priority: number; readonly reason: string | null };
  AttemptFailed: { readonly error: JobError; readonly retryAt: Instant | null };
  JobFinalizing: { readonly missing: number };
  JobCompleted: { readonly result: Value };
  JobFailed: { readonly error: JobError; readonly reason: string | null };
  JobTimedOut: { readonly rule: Rule; readonly error: JobError; readonly evidence: Evidence };
  CancelRequested: { readonly reason: string | null };
  JobCancelled: {
    readonly reason: string | null;
    readonly forced: boolean;
    readonly rule: Rule | null;
    readonly evidence: Evidence | null;
    /** Null: no worker ended it; of version 1 also: nobody kept it. */
    readonly outcome: Outcome | null;
  };
  JobDeadLettered: { readonly reason: string };
  JobRetried: { readonly run: number; readonly payload?: Value; readonly reason: string | null };
}

/** `data` of facts: commutative, in a stream of their own, never a change of status. */
export interface JobFactData {
  ProgressRecorded: {
    readonly batchId: string;
    readonly processed: number;
    readonly failed: number;
    readonly skipped: number;
    readonly stage: string | null;
    /** Absolute: raises `processed` to at least this. */
    readonly current: number | null;
    /** Absolute; never goes back. */
    readonly total: number | null;
    readonly message: string | null;
  };
}

type Tagged<Map> = { readonly [T in keyof Map]: { readonly type: T; readonly data: Map[T] } }[keyof Map];

export type JobEvent = Tagged<JobEventData>;
export type JobEventType = JobEvent['type'];
export type JobFact = Tagged<JobFactData>;

/** A transition as the log gives it back, with what replay needs. */
export type RecordedJobEvent = JobEvent & {
  readonly at: Instant;
  /** Name of the command that caused it. */
  readonly command: string;
};

/** A fact as the log gives it back; `run` and `attempt` are the reporter's. */
export type RecordedJobFact = JobFact & { readonly at: Instant; readonly run: number; readonly attempt: number };
