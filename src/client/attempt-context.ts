/** What a handler is given beside its job. */
import type { Job, Json, LogLevel, RecordProgress } from '../api/contract.js';

/** Increments, or absolutes that never go back. `batchId` is made unless given. */
export type ProgressUpdate = Omit<RecordProgress, 'leaseToken' | 'batchId'> & { readonly batchId?: string };

/**
 * The attempt as its handler sees it. No call has to be awaited: each is delivered before the attempt's end is, or told
 * to the worker's `error` listener.
 */
export interface AttemptContext {
  readonly job: Job;
  readonly attempt: number;
  /** Aborted on cancel, pause, lost lease and forced shutdown, with an `AttemptAbortedError` whose `why` says which. */
  readonly signal: AbortSignal;
  /** What an earlier attempt of the run saved last, or null. */
  readonly lastCheckpoint: Json;
  /**
   * Counts work. A repeat after a lost answer is counted once.
   * @throws UnreachableError, OutcomeUnknownError or UnavailableError after one and a half leases, and the client's
   * `retry.deadlineMs`, without an answer: `signal` was aborted before, so a handler that lets it through gives the job back
   */
  readonly progress: (update: ProgressUpdate) => Promise<void>;
  /** Saves where another attempt may go on; while one is being saved only the latest waits. */
  readonly checkpoint: (value: Json) => Promise<void>;
  /** Shown with the lease, at most 40 characters. `waiting…` tells that silence is no stall. */
  readonly setState: (state: string) => Promise<void>;
  /** Writes a line of the job's log, together with others within a second. `fields` is copied. */
  readonly log: (level: LogLevel, message: string, fields?: Json) => void;
}
