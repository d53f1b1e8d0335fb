/* eslint-disable max-lines -- one page for the whole wire: declarations without code, looked up by name. */
/**
 * The wire, as plain types: what the HTTP API takes and answers, without any code, so that the client ships without
 * the server. Validation and the OpenAPI document are the API's; they must agree with these types.
 *
 * Instants (`…At`, `at`, `until`) are RFC 3339 in UTC with milliseconds. Durations (`…Ms`) are whole milliseconds.
 * Ids are UUIDv7. Answers may gain fields; requests refuse fields that are not listed.
 */

/** Where a job stands. `completed`, `failed` and `cancelled` are terminal for the run; `retry` starts a new one. */
export type JobStatus =
  | 'created'
  | 'scheduled'
  | 'queued'
  | 'blocked'
  | 'claimed'
  | 'running'
  | 'waiting'
  | 'finalizing'
  | 'cancelling'
  | 'completed'
  | 'failed'
  | 'cancelled';

/** Any JSON value of at most 256 KiB, nested at most 100 deep, without `\u0000` or numbers a double would change. */
export type Json = unknown;

/** An instant: RFC 3339, UTC, milliseconds, as in `2026-01-31T12:00:00.000Z`. */
export type Instant = string;

/** A place in the log: decimal digits, ordered as numbers (compare with `BigInt`). `0` is before the first event. */
export type Position = string;

/** A page of a list. `nextCursor` belongs to the filter and sort it came from; null on the last page. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

// ------------------------------------------------------------------------------------------------------------ policy

/** Delay before retry n: `min(maxMs, initialMs × factor^(n − 1)) × (1 − jitter × random)`. */
export interface RetryPolicy {
  readonly initialMs: number;
  /** From 1. */
  readonly factor: number;
  readonly maxMs: number;
  /** 0–1: the share of the delay that chance may take off. */
  readonly jitter: number;
}

/** When a job with items counts as completed: `succeeded / expected` compared with the ratio. */
export interface CompletionPolicy {
  /** 0–1. */
  readonly minSuccessRatio: number;
  readonly comparator: '>=' | '>';
}

/** The thresholds that bound a job. Durations from 100 ms, or 0 where said. Defaults are those of preset `protea`. */
export interface Policy {
  /** How long a lease lives after an accepted worker call. 100 ms–24 h, default 2 min. */
  readonly leaseMs: number;
  /** Age of an attempt, from its claim, beyond which silence ends it; 0: silence alone decides. Default 6 h. */
  readonly timeoutMs: number;
  /** Silence of the *work* (`lastActivityAt`) before a job is stalled; 0: age alone decides. Default 30 min. */
  readonly stallMs: number;
  /** What happens to a stale job. Default `fail`. */
  readonly onStale: 'fail' | 'requeue' | 'cancel';
  /** Leases a run may lose; the next one ends it. Default 3. */
  readonly maxLostLeases: number;
  /** Failed attempts that end a run. 1–100, default 3. */
  readonly maxAttempts: number;
  /** Default 1 s, factor 2, at most 10 min, jitter 0.2. */
  readonly retry: RetryPolicy;
  /** Throttles a run may have; the next one ends it. Default 100. */
  readonly maxThrottles: number;
  /** Default `> 0`. */
  readonly completion: CompletionPolicy;
  /** Default 15 min. */
  readonly itemTimeoutMs: number;
  /** How long missing items are awaited after the worker is done. Default 15 min. */
  readonly finalizeLimitMs: number;
  /** How long a job may wait for a person or credential. Default 7 d. */
  readonly waitLimitMs: number;
  /** How long a worker may take to stop after a cancel before it is forced. Default 5 min. */
  readonly cancelLimitMs: number;
  /** Age of a draft from which it is stuck. Default 24 h. Lists of stuck jobs are not built yet: nothing reads these four. */
  readonly createdAlertMs: number;
  /** Default 5 min. */
  readonly queuedAlertMs: number;
  /** Default 10 min. */
  readonly claimedAlertMs: number;
  /** Default 30 min. */
  readonly runningAlertMs: number;
  /** Default `continue`: the parent fails when all children did. */
  readonly onChildFailure: 'fail' | 'continue' | 'ignore';
}

/** Some fields of a policy; the rest come from the preset and the configuration. Nested ones merge field by field. */
export type PolicyOverrides = Partial<Omit<Policy, 'retry' | 'completion'>> & {
  readonly retry?: Partial<RetryPolicy> | undefined;
  readonly completion?: Partial<CompletionPolicy> | undefined;
};

export type PresetName = 'protea' | 'antenna' | 'beacon';

// -------------------------------------------------------------------------------------------------------------- job

/** Why an attempt or a run ended: given by the worker, or by the ledger (`JobTimeout`, `LeaseExpired`, …). */
export interface JobError {
  /** 1–120 characters. */
  readonly code: string;
  readonly message: string;
  readonly detail: Json;
}

/** One attempt that failed, was lost (`LeaseExpired`) or timed out (`JobTimeout`). Never overwritten. */
export interface AttemptFailure {
  readonly run: number;
  readonly attempt: number;
  readonly code: string;
  readonly message: string;
  readonly at: Instant;
}

/** Who holds the job. The token is never shown. */
export interface Lease {
  readonly workerId: string;
  readonly expiresAt: Instant;
  /** The last accepted worker call. */
  readonly lastBeatAt: Instant;
  readonly workerState: string | null;
}

export interface StageProgress {
  readonly total: number | null;
  readonly processed: number;
  readonly failed: number;
}

/** Progress of the current or last attempt. Never falls within an attempt. */
export interface Progress {
  readonly total: number | null;
  /** Includes `failed` and `skipped`. */
  readonly processed: number;
  readonly failed: number;
  readonly skipped: number;
  /** 0–100 with two decimals: of the job's own total, else the mean over stages with one, else null. */
  readonly percent: number | null;
  readonly message: string | null;
  readonly stages: Readonly<Record<string, StageProgress>>;
}

export interface ItemCounts {
  readonly expected: number | null;
  readonly succeeded: number;
  readonly failed: number;
  readonly skipped: number;
  readonly running: number;
  readonly missing: number | null;
}

/** What a job waits on: a person or credential (`waiting`), or time (`scheduled`: `delay`, `retry`, `throttled`). */
export interface Waiting {
  readonly reason: string;
  readonly detail: Json;
  readonly since: Instant;
  readonly until: Instant | null;
}

/** The instant at which a rule would end or move the job if nothing happened until then. */
export interface Deadline {
  readonly at: Instant;
  /** `lease_expired`, `stalled`, `wait_expired`, `cancel_forced`, `finalize_expired`, `not_started`, `due` … */
  readonly rule: string;
}

/** A job as it is now, or as it was (`asOf`: `lease` and `deadline` are null then). */
export interface Job {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  readonly status: JobStatus;
  readonly statusSince: Instant;
  /** −1000…1000, higher first. */
  readonly priority: number;
  readonly tags: readonly string[];
  readonly payload: Json;
  readonly result: Json;
  /** The current error, or null. */
  readonly error: JobError | null;
  readonly failures: readonly AttemptFailure[];
  /** From 1; each manual retry starts another. */
  readonly run: number;
  /** Claims of this run, whatever ended them. */
  readonly attempt: number;
  readonly failedAttempts: number;
  /** Bounds `failedAttempts`. */
  readonly maxAttempts: number;
  readonly throttles: number;
  readonly lostLeases: number;
  /** Null when nobody holds the job. */
  readonly lease: Lease | null;
  /** Not claimable before this; null when never delayed. */
  readonly availableAt: Instant | null;
  readonly createdAt: Instant;
  /** Last entry into `queued`. */
  readonly queuedAt: Instant | null;
  readonly firstStartedAt: Instant | null;
  /** Start of the current or last attempt; null once requeued. */
  readonly startedAt: Instant | null;
  readonly finishedAt: Instant | null;
  /** Last event of the job or its facts, refusals apart. */
  readonly lastEventAt: Instant;
  /** Last sign of *work*; bare heartbeats do not move it. */
  readonly lastActivityAt: Instant | null;
  readonly progress: Progress;
  readonly items: ItemCounts | null;
  readonly parentId: string | null;
  readonly children: Readonly<Partial<Record<JobStatus, number>>>;
  /** Names of credentials. */
  readonly requires: readonly string[];
  readonly waiting: Waiting | null;
  /** What was asked of its worker, and is not done yet: to stop or to pause. */
  readonly directive: 'cancel' | 'pause' | null;
  readonly deadLettered: boolean;
  /** The policy in force. */
  readonly policy: Policy;
  readonly deadline: Deadline | null;
  /** Id of the API key, or `anonymous`. */
  readonly createdBy: string;
  readonly correlationId: string | null;
  /** Of the job's own stream, from 0. Give it as `If-Match` to change only what you have seen. */
  readonly revision: number;
  readonly position: Position;
}

/** A job whose run was exhausted or permanently failed, and that nobody has retried. */
export type DeadLetter = Job;

// --------------------------------------------------------------------------------------------------------- commands

/** Where the job stands after a command. `events` is empty when the command was already in effect. */
export interface CommandAnswer {
  readonly jobId: string;
  readonly status: JobStatus;
  readonly run: number;
  readonly attempt: number;
  readonly revision: number;
  /** Give it as `minPosition` to read at least as fresh as this command. */
  readonly position: Position;
  /** Types of the events appended, in order. */
  readonly events: readonly string[];
}

/** Free text kept in the event, 1–4,000 characters. */
export interface WithReason {
  readonly reason?: string | undefined;
}

/** The token of the claim. A token that is no longer the job's answers 409 `stale_lease`. */
export interface WithLease {
  readonly leaseToken: string;
}

/** When a job may be claimed: at an instant, or after a delay. Both are refused. */
export interface WithAvailability {
  readonly availableAt?: Instant | undefined;
  readonly delayMs?: number | undefined;
}

/** `POST /v1/jobs`. Names are 1–120 of `[A-Za-z0-9._:/-]`. */
export interface CreateJob extends WithReason, WithAvailability {
  readonly type: string;
  /** Default `default`. */
  readonly queue?: string | undefined;
  readonly payload?: Json;
  /** −1000…1000, default 0, higher first. */
  readonly priority?: number | undefined;
  /** At most 20. */
  readonly tags?: readonly string[] | undefined;
  /** Default true; false makes a draft that `start` moves on. */
  readonly autostart?: boolean | undefined;
  /** Ends the job when nothing has started it by then. */
  readonly expiresAt?: Instant | undefined;
  /** 1–100; wins over any policy. */
  readonly maxAttempts?: number | undefined;
  /** Unique with `type` while not terminal: a second job is 409 `duplicate_job`. Not with `dedup`. */
  readonly dedupKey?: string | undefined;
  /** `payload`: the payload is the dedup key. */
  readonly dedup?: 'payload' | undefined;
  /** Total of the progress. */
  readonly total?: number | undefined;
  readonly stages?: Readonly<Record<string, number | null>> | undefined;
  readonly policy?: PolicyOverrides | undefined;
  readonly preset?: PresetName | undefined;
  readonly correlationId?: string | undefined;
}

/** `POST /v1/jobs/batch`, all or none: up to 1,000 jobs, or a template and every combination of a grid's values. */
export type CreateJobs =
  | { readonly jobs: readonly CreateJob[] }
  | { readonly template: CreateJob; readonly grid: Readonly<Record<string, readonly Json[]>> };

/** One answer for each job, in order. */
export interface CreateJobsAnswer {
  readonly items: readonly CommandAnswer[];
}

/** Without a token: a client moves a draft on. With one: the worker starts what it claimed with `start: false`. */
export interface StartJob extends WithReason {
  readonly leaseToken?: string | undefined;
}

export interface CancelJob extends WithReason {
  /** Children too. Default true. */
  readonly cascade?: boolean | undefined;
  /** Without waiting for the worker. Default false. */
  readonly force?: boolean | undefined;
}

/** A new run of a failed or cancelled job. */
export interface RetryJob extends WithReason {
  /** Replaces the payload. */
  readonly payload?: Json;
}

export type HoldJob = WithReason;

export type ResumeJob = WithReason;

/** Of an operator: `force-fail`, `requeue`, `emergency-stop`. */
export type OperateJob = WithReason;

/** One of `availableAt` and `delayMs`. */
export interface RescheduleJob extends WithReason, WithAvailability {}

export interface SetPriority extends WithReason {
  /** −1000…1000. */
  readonly priority: number;
}

/** `POST /v1/claims`. */
export interface ClaimRequest {
  readonly workerId: string;
  /** Absent: any. */
  readonly queues?: readonly string[] | undefined;
  /** Absent: any. */
  readonly types?: readonly string[] | undefined;
  /** 1–1,000, default 1. */
  readonly max?: number | undefined;
  /** How long to wait for the first job. 0–60,000, default 0. */
  readonly waitMs?: number | undefined;
  /** 100 ms–24 h; default the policy's. */
  readonly leaseMs?: number | undefined;
  /** Default true; false claims without starting. */
  readonly start?: boolean | undefined;
}

export interface ClaimedJob {
  readonly job: Job;
  readonly attempt: number;
  /** A secret: never log it. */
  readonly leaseToken: string;
  readonly leaseExpiresAt: Instant;
  /** What an earlier attempt of the run saved last, or null. */
  readonly checkpoint: Json;
  readonly credentials: readonly { readonly name: string; readonly generation: number }[];
}

/** A queue that gives nothing although it has jobs, and why. */
export interface BlockedQueue {
  readonly queue: string;
  readonly reason: string;
  readonly detail: Json;
}

/** By priority, then age. No job is an answer too. */
export interface ClaimAnswer {
  readonly jobs: readonly ClaimedJob[];
  readonly blocked: readonly BlockedQueue[];
}

/** Renews the lease; is no sign of work unless `checkpoint` or `state` changed. */
export interface Heartbeat extends WithLease {
  /** For this renewal alone. 100 ms–24 h; default the claim's. */
  readonly leaseMs?: number | undefined;
  readonly checkpoint?: Json;
  /** Shown with the lease, at most 40 characters. `waiting…` counts as working while the lease lives. */
  readonly state?: string | undefined;
}

export interface HeartbeatAnswer {
  readonly leaseExpiresAt: Instant;
  /** `cancel`: stop and end the attempt. `pause`: stop and `release` or `wait`. */
  readonly directive: 'continue' | 'cancel' | 'pause';
}

/** Increments (whole, ≥ 0) and absolutes (never go back) of the attempt, or of one stage of it. */
export interface RecordProgress extends WithLease {
  /** Counted once for each run and attempt, so a repeat is harmless. */
  readonly batchId: string;
  /** Includes `failed` and `skipped`. */
  readonly processed?: number | undefined;
  readonly failed?: number | undefined;
  readonly skipped?: number | undefined;
  readonly stage?: string | undefined;
  /** Raises `processed` to at least itself; not with increments. */
  readonly current?: number | undefined;
  readonly total?: number | undefined;
  readonly message?: string | undefined;
}

export interface CompleteJob extends WithLease, WithReason {
  readonly result?: Json;
}

export interface FailJob extends WithLease, WithReason {
  /** 1–120 characters; the name of the error by convention. */
  readonly code: string;
  /** 1–4,000 characters. */
  readonly message: string;
  readonly detail?: Json;
  /** Default true; false ends the run at once. */
  readonly retryable?: boolean | undefined;
}

/** Too fast for somebody: back to `scheduled` at no cost in attempts. One of `retryAfterMs` and `baseMs`. */
export interface ThrottleJob extends WithLease, WithReason {
  /** At most 24 h. */
  readonly retryAfterMs?: number | undefined;
  /** Doubled with each throttle of the run, up to 10 min. */
  readonly baseMs?: number | undefined;
}

/** Waits for a person or a credential without a lease; `resume` queues it again. */
export interface WaitJob extends WithLease {
  readonly reason: string;
  readonly detail?: Json;
  /** The wait expires then, at the latest after the policy's `waitLimitMs`. */
  readonly until?: Instant | undefined;
}

/** Gives the job back at no cost in attempts. */
export interface ReleaseJob extends WithLease {
  readonly reason: string;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export interface LogLine {
  readonly level: LogLevel;
  /** 1–4,000 characters. */
  readonly message: string;
  readonly fields?: Json;
  /** When the worker wrote it; default the time of the call. */
  readonly at?: Instant | undefined;
}

type Named<Name extends string, Body> = Body & {
  readonly command: Name;
  readonly jobId: string;
  /** What `Idempotency-Key` is to a call of its own; 1–120 of `A–Z a–z 0–9 . _ : / -`. */
  readonly commandId?: string | undefined;
};

/** One command on a job: its name, which job, and the body of its own call. */
export type JobCommand =
  | Named<'start', StartJob>
  | Named<'cancel', CancelJob>
  | Named<'retry', RetryJob>
  | Named<'hold', HoldJob>
  | Named<'resume', ResumeJob>
  | Named<'reschedule', RescheduleJob>
  | Named<'priority', SetPriority>
  | Named<'heartbeat', Heartbeat>
  | Named<'progress', RecordProgress>
  | Named<'complete', CompleteJob>
  | Named<'fail', FailJob>
  | Named<'throttle', ThrottleJob>
  | Named<'wait', WaitJob>
  | Named<'release', ReleaseJob>
  | Named<'logs', WriteLogs>;

/** `POST /v1/commands`: up to 1,000. `reason` is that of each command that gives none. */
export interface SendCommands extends WithReason {
  readonly commands: readonly JobCommand[];
}

/** What became of one command: an answer or a problem, and the status that a call of its own would have had. */
export interface CommandResult {
  readonly status: number;
  readonly answer?: CommandAnswer | HeartbeatAnswer | undefined;
  readonly problem?: Problem | undefined;
  /** It is the first answer of its `commandId` again. */
  readonly replayed?: true | undefined;
}

/** One result for each command, in order. */
export interface SendCommandsAnswer {
  readonly results: readonly CommandResult[];
}

/** 1–1,000 lines. The one worker call that does not renew the lease; its answer has no events. */
export interface WriteLogs extends WithLease {
  readonly lines: readonly LogLine[];
}

export interface LogRow extends Required<LogLine> {
  readonly workerId: string | null;
  readonly attempt: number;
}

// ---------------------------------------------------------------------------------------------------------- queries

/** Filters are ANDed, the values of one ORed. */
export interface JobFilter {
  readonly status?: readonly JobStatus[] | undefined;
  readonly type?: readonly string[] | undefined;
  readonly queue?: readonly string[] | undefined;
  readonly parentId?: string | undefined;
  readonly tag?: readonly string[] | undefined;
  readonly workerId?: readonly string[] | undefined;
  readonly errorCode?: readonly string[] | undefined;
  readonly createdAfter?: Instant | undefined;
  readonly createdBefore?: Instant | undefined;
  readonly startedBefore?: Instant | undefined;
  /** `lastActivityAt` is older than this. */
  readonly silentForMs?: number | undefined;
  readonly deadLettered?: boolean | undefined;
}

/** `-` is descending; id breaks ties. Default `-createdAt`. */
export type JobSort = '-createdAt' | 'createdAt' | '-statusSince' | 'statusSince' | '-priority';

/** One thing that happened, as recorded. `from` and `to` are job states; both null on facts and refusals. */
export interface LedgerEvent {
  readonly position: Position;
  readonly stream: string;
  /** Within the stream, from 0. */
  readonly revision: number;
  readonly id: string;
  /** `JobCreated`, `JobClaimed`, `ProgressRecorded`, `JobCompleted` …; more may come. */
  readonly type: string;
  /** Of the shape of `data`. */
  readonly version: number;
  /** Never goes back along positions. */
  readonly at: Instant;
  /** Null on events of queues and credentials. */
  readonly jobId: string | null;
  readonly run: number | null;
  readonly attempt: number | null;
  readonly from: JobStatus | null;
  readonly to: JobStatus | null;
  /** Of an event that cannot be read: `unreadable`, why, and the texts that stand in the log. */
  readonly data: Readonly<Record<string, Json>>;
  readonly actor: {
    readonly type: 'client' | 'worker' | 'reaper' | 'finaliser' | 'operator' | 'ledger';
    readonly id: string | null;
  };
  /** Of the API key that the call was made with; null where there were no keys, and of what the ledger does by itself. */
  readonly keyId: string | null;
  readonly commandId: string | null;
  readonly correlationId: string | null;
  readonly causationId: string | null;
  readonly traceparent: string | null;
  /** Why, in the caller's words: the `reason` of the command. */
  readonly reason: string | null;
}

export type StatusCounts = Readonly<Partial<Record<JobStatus, number>>>;

/** How many jobs stand where, as of `position`. */
export interface Counters {
  readonly position: Position;
  readonly at: Instant;
  readonly total: number;
  readonly byStatus: StatusCounts;
  readonly byQueue: Readonly<Record<string, StatusCounts>>;
  readonly byType: Readonly<Record<string, StatusCounts>>;
  /** Without refusals. */
  readonly events: number;
}

/** A worker that asks for jobs. One that is busy asks when it has room again. */
export interface Claimer {
  readonly workerId: string;
  /** Null: of any type. */
  readonly types: readonly string[] | null;
  readonly lastAskedAt: Instant;
}

export interface Queue {
  readonly name: string;
  readonly paused: boolean;
  /** Jobs that could be claimed now. */
  readonly depth: number;
  readonly oldestJobId: string | null;
  readonly oldestAgeMs: number | null;
  readonly byStatus: StatusCounts;
  /** Claimable jobs by type, of the 20 types that have most. */
  readonly depthByType: Readonly<Record<string, number>>;
  /** Who asked for its jobs within a day, the last one first, at most 20. */
  readonly claimers: readonly Claimer[];
  /** Null: no limit. `rate` is claims a second. */
  readonly limits: {
    readonly maxRunning: number | null;
    readonly maxRunningPerKey: number | null;
    readonly rate: number | null;
  };
}

/** The reapers of all processes, from the database; sweeps by hand do not count. */
export interface ReaperStatus {
  readonly alive: boolean;
  /** Instance that sweeps, or null. */
  readonly leader: string | null;
  /** Instance that answers. */
  readonly instanceId: string;
  readonly sweeps: number;
  readonly lastSweepAt: Instant | null;
  readonly lastError: string | null;
  readonly consecutiveErrors: number;
  /** Age of the most overdue job that nobody has reaped yet; 0 when none is. */
  readonly mostOverdueMs: number;
  readonly overdue: number;
}

export interface SweepRequest {
  /** Report what is due and do nothing. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** `due` is the sum of the eight counts after it. */
export interface SweepReport {
  readonly due: number;
  /** Failed by a rule. */
  readonly reaped: number;
  readonly requeued: number;
  readonly cancelled: number;
  /** Scheduled to queued. */
  readonly moved: number;
  readonly finalised: number;
  readonly skippedLive: number;
  /** Something else moved the job first. */
  readonly raced: number;
  readonly errors: number;
  readonly mostOverdueMs: number;
  readonly durationMs: number;
  readonly dryRun: boolean;
  /** The first 1,000, oldest first. */
  readonly jobs: readonly SweptJob[];
}

export interface SweptJob {
  readonly jobId: string;
  readonly rule: string;
  readonly verdict: 'failed' | 'requeued' | 'cancelled' | 'moved' | 'finalised' | 'live' | 'raced' | 'error';
}

export type HealthStatus = 'ok' | 'degraded' | 'unavailable';

/** `GET /health/ready`: 503 only when `unavailable`. */
export interface Ready {
  readonly status: HealthStatus;
  readonly checks: Readonly<Record<string, { readonly status: HealthStatus; readonly detail: string | null }>>;
}

/** Effective settings and where each came from; secrets are redacted. */
export interface ConfigView {
  readonly settings: readonly {
    readonly name: string;
    readonly value: string | number | boolean | null;
    readonly source: 'default' | 'file' | 'env';
  }[];
}

// ----------------------------------------------------------------------------------------------------------- upkeep

/** The end of the log: kept elsewhere, it is evidence that the log is still what it was. */
export interface LogHead {
  readonly position: Position;
  /** Hexadecimal; covers every event up to the position. */
  readonly hash: string;
  /** Recorded time of the last event; null while the log is empty. */
  readonly at: Instant | null;
}

/** `waitMs` (30,000, at most 60,000): after it the answer is 202, and the run goes on: `GET /v1/admin/upkeep/{id}`. */
export interface RebuildRequest {
  readonly waitMs?: number | undefined;
}

export interface VerifyProjectionRequest {
  /** Also puts right what is found. Default false. */
  readonly repair?: boolean | undefined;
  readonly waitMs?: number | undefined;
}

export interface VerifyLogRequest {
  /** A head that was kept elsewhere. */
  readonly head?: { readonly position: Position; readonly hash: string; readonly at?: Instant | null | undefined };
  readonly waitMs?: number | undefined;
}

/** A row that is not what the log says. */
export interface RowDifference {
  readonly table: string;
  /** Of a row of `jobs` the job's id; else its key, the parts joined by `/`. */
  readonly id: string;
  /** missing: only the log has it; extra: only the table has it. */
  readonly kind: 'missing' | 'extra' | 'differs';
  /** Which differ, with the members of documents: `status`, `doc.status`. */
  readonly fields: readonly string[];
}

/** A rebuild or a verification: asked for, under way, or done. */
export interface Upkeep {
  readonly id: string;
  readonly kind: 'rebuild' | 'verify' | 'verify-log';
  /** Null: the log. */
  readonly projection: string | null;
  readonly state: 'running' | 'done' | 'failed';
  readonly step: string;
  /** Null while it is under way; false when something is wrong, or it failed. */
  readonly ok: boolean | null;
  /** What is wrong, or why it failed. */
  readonly reason: string | null;
  /** Of a log that is not what was written: the first position. */
  readonly firstBad: Position | null;
  /** Worked through up to here. */
  readonly position: Position;
  readonly head: Position;
  readonly percent: number;
  readonly events: number;
  readonly eventsPerSecond: number | null;
  readonly etaMs: number | null;
  /** Of a log that was verified, at `position`. */
  readonly hash: string | null;
  /** Rows that differ; null where none were compared. */
  readonly differing: number | null;
  /** More rows differ than were looked for. */
  readonly truncated: boolean;
  /** The first 1,000. */
  readonly differences: readonly RowDifference[];
  readonly repaired: boolean;
  /** Streams with an event that cannot be read; null where nothing was read. */
  readonly parked: number | null;
  readonly requestedBy: string;
  readonly startedAt: Instant;
  readonly finishedAt: Instant | null;
}

export interface Projection {
  readonly name: string;
  readonly version: number;
  readonly state: 'live';
  /** Written by the appends themselves: always at the head. */
  readonly inline: boolean;
  readonly position: Position;
  readonly lagEvents: number;
  readonly lagMs: number;
  readonly leader: string | null;
  /** Why it stands still. */
  readonly lastError: string | null;
  /** Streams that it skips. */
  readonly parked: number;
  /** The first of them, when one projection is asked for. */
  readonly parkedStreams: readonly {
    readonly stream: string;
    readonly position: Position;
    readonly error: string;
    readonly at: Instant;
  }[];
  /** What is made anew beside it, and what it replaced and is not dropped yet. */
  readonly generations: readonly {
    readonly state: 'building' | 'retired';
    readonly version: number;
    readonly position: Position;
  }[];
  /** The last rebuild or verification. */
  readonly upkeep: Upkeep | null;
  /** Hash of all that it says, when it was asked for: equal for two that say the same. */
  readonly digest: string | null;
}

// ---------------------------------------------------------------------------------------------------------- streams

/** Everything before `position` has been sent; what follows is live. */
export interface CaughtUp {
  readonly position: Position;
}

/** Events after `from` up to `to` were not sent: read them from the log. */
export interface Gap {
  readonly from: Position;
  readonly to: Position;
}

// --------------------------------------------------------------------------------------------------------- problems

/** Stable; with its HTTP status. */
export type ProblemCode =
  | 'validation_failed' // 400
  | 'unauthenticated' // 401
  | 'forbidden' // 403
  | 'not_found' // 404
  | 'method_not_allowed' // 405
  | 'illegal_transition' // 409
  | 'stale_lease' // 409
  | 'duplicate_job' // 409
  | 'already_terminal' // 409
  | 'gone' // 410
  | 'precondition_failed' // 412
  | 'payload_too_large' // 413
  | 'unsupported_media_type' // 415
  | 'idempotency_key_reused' // 422
  | 'rate_limited' // 429
  | 'internal' // 500
  | 'not_implemented' // 501
  | 'unavailable' // 503
  | 'projection_lagging'; // 503

/** RFC 9457, `application/problem+json`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
  /** On `validation_failed`; `path` as in `jobs[3].type`. */
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  /** On `illegal_transition`: where the job stands and what was asked. */
  readonly from?: JobStatus;
  readonly command?: string;
  /** On `duplicate_job`; `index` of the entry in a batch. */
  readonly existingJobId?: string;
  readonly index?: number;
  /** On a 409 about a known job: where it stands. */
  readonly jobStatus?: JobStatus;
  readonly run?: number;
  readonly attempt?: number;
  readonly revision?: number;
}
