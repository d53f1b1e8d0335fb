/**
 * A job of a log as it is played: what its payload says, and where the ledger is to have it in the end. A job that
 * was cancelled before it ran is never given to a worker; one that was cancelled while it ran is cancelled when its
 * worker reports that it has run for so long.
 */
import type { CreateJob, Job, JobStatus } from '../../client/client.js';
import type { Ending, LoggedJob } from './workload.js';

/** What its worker does when the job has run. */
export type Finish = 'complete' | 'fail' | 'await-cancel';

export interface ReplayPayload {
  /** Of the file, from 1. */
  readonly line: number;
  /** Its number in the log. */
  readonly job: number;
  readonly runSeconds: number;
  readonly finish: Finish;
}

/** Of the error of a job that failed in the log. */
export interface FailureDetail {
  readonly runSeconds: number;
}

const FINISH: Readonly<Record<Ending, Finish>> = {
  completed: 'complete',
  unknown: 'complete',
  failed: 'fail',
  cancelled: 'await-cancel',
};

/** Where a job of the log ends on the ledger; how one ended that the log does not know is not known there either: it did end. */
export const STATUS_OF: Readonly<Record<Ending, JobStatus>> = {
  completed: 'completed',
  unknown: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
};

export const isCancelledBeforeItRan = ({ ending, run }: LoggedJob): boolean => ending === 'cancelled' && run === 0;

/** Longer than any replay: nobody claims it before it is cancelled. */
const NEVER_MS = 30 * 86_400_000;
/** No job of a replay is stalled, however slowly it is played. */
const PATIENCE_MS = 30 * 86_400_000;

/** @param waitMs until it may be claimed. @param leaseMs of its leases. */
export const createJob = (job: LoggedJob, queue: string, waitMs: number, leaseMs: number): CreateJob => ({
  type: 'swf',
  queue,
  correlationId: queue,
  payload: {
    line: job.line,
    job: job.job,
    runSeconds: job.run,
    finish: FINISH[job.ending],
  } satisfies ReplayPayload,
  ...(isCancelledBeforeItRan(job)
    ? { delayMs: NEVER_MS }
    : waitMs > 0
      ? { delayMs: Math.min(Math.round(waitMs), NEVER_MS) }
      : {}),
  // A busy machine may be late with a heartbeat, and a service may be away: the run is to end all the same.
  policy: { leaseMs, maxLostLeases: 100, stallMs: PATIENCE_MS },
});

/** Seconds that the ledger has recorded of a job: in its result, its error, or, cancelled, its progress. */
export const runSecondsOf = ({ result, error, progress }: Job): number => {
  const told: unknown = result ?? error?.detail;
  const seconds = (told as Partial<FailureDetail> | null | undefined)?.runSeconds;
  return typeof seconds === 'number' ? seconds : progress.processed;
};
