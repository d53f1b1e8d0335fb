/** Streams of a job, and what every event says beside its data. */
import type { JobStatus } from './job-chart.js';

const TRANSITIONS = 'job-';
const FACTS = 'work-';
const REFUSALS = 'refusals-';

export const jobStream = (jobId: string): string => `${TRANSITIONS}${jobId}`;
export const workStream = (jobId: string): string => `${FACTS}${jobId}`;
export const refusalsStream = (jobId: string): string => `${REFUSALS}${jobId}`;

export const isJobStream = (stream: string): boolean => stream.startsWith(TRANSITIONS);
export const isWorkStream = (stream: string): boolean => stream.startsWith(FACTS);
export const isRefusalsStream = (stream: string): boolean => stream.startsWith(REFUSALS);

/** Prefixes of the streams whose events change what a job is. */
export const CHANGING_STREAMS = [TRANSITIONS, FACTS] as const;
export const JOB_STREAMS = [...CHANGING_STREAMS, REFUSALS] as const;

/** The job that a stream belongs to; null for streams of something else. */
export const jobIdOf = (stream: string): string | null => {
  const prefix = JOB_STREAMS.find((candidate) => stream.startsWith(candidate));
  return prefix === undefined ? null : stream.slice(prefix.length);
};

export type ActorType = 'client' | 'worker' | 'reaper' | 'finaliser' | 'operator' | 'ledger';

export interface Actor {
  readonly type: ActorType;
  readonly id: string;
}

export interface EventMetadata {
  readonly actor: Actor;
  /** Name of the command. */
  readonly command: string;
  /** The idempotency key, or an id made for the command. */
  readonly commandId: string;
  readonly correlationId: string;
  /** Null where the command itself brought it about. */
  readonly causationId: string | null;
  readonly traceparent: string | null;
  /** Why, in the caller's words. */
  readonly reason: string | null;
  /** Of the API key that the call was made with; absent where there are no keys. */
  readonly keyId?: string;
  /** Of the job after the event; of the reporter, on facts. */
  readonly run: number;
  readonly attempt: number;
  /** Equal where the event does not change the status; `from` null at creation; both null on facts and refusals. */
  readonly from: JobStatus | null;
  readonly to: JobStatus | null;
}

/** A refused command, kept in a stream of its own: once for each run, attempt, worker, command and code. */
export interface CommandRefused {
  readonly command: string;
  readonly code: string;
  /** Of the token; null when it was forged or none was given. */
  readonly run: number | null;
  readonly attempt: number | null;
  readonly workerId: string | null;
  /** The error that a refused `fail` reported. */
  readonly error: { readonly code: string; readonly message: string } | null;
}
