/** What the ledger says of a run when it is over: read from its jobs and its log, not from what was seen of it live. */
import type { Job, JobledgerClient, JobStatus, LedgerEvent, Position } from '../../client/client.js';
import { BYTES_STAGE, type JobResult } from './attempt-tally.js';
import { addTallies, EMPTY_TALLY, type Tally } from './tally.js';

/** Progress counts neither content nor digest. */
export type CountedProgress = Omit<Tally, 'digest'>;

export interface Outcome {
  readonly jobs: number;
  readonly byStatus: ReadonlyMap<JobStatus, number>;
  readonly attempts: number;
  readonly lostLeases: number;
  /** Refused calls by command; a repeat of one that was refused before is not recorded. */
  readonly refusals: ReadonlyMap<string, number>;
  /** Without refusals. */
  readonly events: number;
  /** Of the results of the completed jobs. */
  readonly results: Tally;
  readonly compressedBytes: number;
  readonly unreadablePaths: readonly string[];
  /** Of the progress of the completed jobs. */
  readonly progress: CountedProgress;
  /** Of jobs without a result: what they are, and the error that they ended with. */
  readonly failures: readonly string[];
}

const PAGE = 200;

const countBy = <Key>(keys: Iterable<Key>): Map<Key, number> => {
  const counts = new Map<Key, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const progressOf = ({ progress }: Job): CountedProgress => ({
  files: progress.processed - progress.failed - progress.skipped,
  bytes: progress.stages[BYTES_STAGE]?.processed ?? 0,
  unreadable: progress.failed,
  skipped: progress.skipped,
});

const failureOf = (job: Job): string => {
  const { folder } = job.payload as { folder: string };
  return `${folder}: ${job.status}${job.error === null ? '' : `, ${job.error.code}: ${job.error.message}`}`;
};

/** Everything that can be added up, from jobs and events that were read. */
export const outcomeOf = (jobs: readonly Job[], events: readonly LedgerEvent[]): Outcome => {
  const ended = jobs.filter(({ result }) => result !== null);
  const results = ended.map(({ result }) => result as JobResult);
  const progress = ended.map(progressOf);
  const refused = events.filter(({ type }) => type === 'CommandRefused');
  return {
    jobs: jobs.length,
    byStatus: countBy(jobs.map(({ status }) => status)),
    attempts: sum(jobs.map(({ attempt }) => attempt)),
    lostLeases: sum(jobs.map(({ lostLeases }) => lostLeases)),
    refusals: countBy(refused.map(({ data }) => String(data['command']))),
    events: events.length - refused.length,
    results: results.reduce<Tally>(addTallies, EMPTY_TALLY),
    compressedBytes: sum(results.map(({ compressedBytes }) => compressedBytes)),
    unreadablePaths: results.flatMap(({ unreadablePaths }) => unreadablePaths),
    progress: {
      files: sum(progress.map(({ files }) => files)),
      bytes: sum(progress.map(({ bytes }) => bytes)),
      unreadable: sum(progress.map(({ unreadable }) => unreadable)),
      skipped: sum(progress.map(({ skipped }) => skipped)),
    },
    failures: jobs.filter(({ result }) => result === null).map(failureOf),
  };
};

/** @param after where the log stood before the run. */
export const readOutcome = async (client: JobledgerClient, queue: string, after: Position): Promise<Outcome> => {
  const jobs: Job[] = [];
  const ofRun = (cursor?: string) => client.listJobs({ queue: [queue], limit: PAGE, cursor });
  for await (const job of client.everyItem(ofRun)) jobs.push(job);
  const ids = new Set<string | null>(jobs.map(({ id }) => id));
  const events: LedgerEvent[] = [];
  const sinceStart = (cursor?: string) => client.events({ after, limit: PAGE, cursor });
  for await (const event of client.everyItem(sinceStart)) if (ids.has(event.jobId)) events.push(event);
  return outcomeOf(jobs, events);
};
