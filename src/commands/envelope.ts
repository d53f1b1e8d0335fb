/** A command on its way through the pipeline, and what comes of it. */
import type { Directive } from '../domain/directive.js';
import type { JobStatus } from '../domain/job-chart.js';
import type { JobCommand } from '../domain/job-commands.js';
import type { Refusal } from '../domain/errors.js';
import type { Job } from '../domain/job.js';
import type { Actor } from '../domain/streams.js';
import type { Position, RecordedEvent } from '../event-store/event-store.js';

/** A client's claim that a command is one and the same: kept with the first answer. */
export interface Idempotency {
  /** Digest of scope and key. */
  readonly key: Buffer;
  /** Digest of method, path and body. */
  readonly fingerprint: Buffer;
}

/** Who asks, and what ties the command to others. */
export interface Origin {
  readonly actor: Actor;
  /** The idempotency key, or an id made for the command. */
  readonly commandId: string;
  /** Null: the job's own. */
  readonly correlationId: string | null;
  readonly traceparent: string | null;
  /** Why, in the caller's words: kept in the events. */
  readonly reason?: string | null;
  /** Of the API key that the call was made with; null where there are no keys. */
  readonly keyId?: string | null;
}

export interface Envelope {
  readonly jobId: string;
  readonly command: JobCommand;
  readonly origin: Origin;
  /** `If-Match`. */
  readonly ifMatch: number | null;
  /** Whose jobs alone the caller may change; null: anybody's. */
  readonly onlyJobsOf: string | null;
  /** Lease length of a worker call, for this renewal only. */
  readonly leaseMs: number | null;
  /** Of a reap: the number of accepted calls that it judged. */
  readonly fenceBeats: number | null;
}

/** Of a command that holds whatever became of the job, and renews its lease as long as the lease says. */
export const UNCONDITIONAL = { ifMatch: null, onlyJobsOf: null, leaseMs: null, fenceBeats: null } as const;

/** What a heartbeat answers of its lease. */
export interface BeatLease {
  /** Epoch ms. */
  readonly leaseExpiresAt: number;
  readonly directive: Directive;
}

/** What a command answers. `events` is empty when it was in effect already. */
export interface Outcome {
  readonly jobId: string;
  readonly status: JobStatus;
  readonly run: number;
  readonly attempt: number;
  readonly revision: number;
  readonly position: Position;
  readonly events: readonly string[];
  /** The events as they were recorded; empty when there were none. */
  readonly recorded: readonly RecordedEvent[];
  /** The job after it; absent in a repeated first answer. */
  readonly job?: Job;
  /** Of a heartbeat without events, in the first answer and in a repeated one. */
  readonly lease?: BeatLease;
  readonly replayed: boolean;
}

/** A member of a group that was refused, while others went on. */
export interface MemberRefused {
  readonly jobId: string;
  readonly refusal: Refusal | Error;
}

/**
 * Commands that are answered together and appended all or none. One command is a group of one.
 */
export interface Group {
  readonly members: readonly Envelope[];
  readonly idempotency: Idempotency | null;
  /** Members that are refused fall out and the others go on (a claim); else one refusal refuses the group. */
  readonly dropRefused: boolean;
  /** When it is no longer appended, in ms of `performance.now()`. */
  readonly deadline: number;
  /** The ledger's own (a reap, the return of a job): not refused for what clients have waiting. Who sends it bounds it. */
  readonly unbounded?: true;
  /**
   * Of a heartbeat that needs no event: renews the lease once the log has said that it is the caller's, and says what
   * the answer is kept with. Null: the attempt has just ended.
   */
  readonly renew?: () => Promise<BeatLease | null>;
  /** Aborted when nobody waits for the answer: then it is not appended. */
  readonly signal?: AbortSignal;
}

/** Thrown at the caller when a command was refused; carries the job it was refused on. */
export class Refused extends Error {
  constructor(
    readonly refusal: Refusal,
    readonly job: Job,
  ) {
    super(refusal.message, { cause: refusal });
  }
}
