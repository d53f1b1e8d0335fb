/**
 * What the ledger says of a replay when it is over, in two independent ways: its counters, and every job with its
 * recorded run time. A job that was lost, made twice, or ended otherwise than in the log is named by its line.
 */
import type { Job, JobledgerClient, Position, StatusCounts } from '../../client/client.js';
import { type ReplayPayload, runSecondsOf, STATUS_OF } from './replayed-job.js';
import type { LoggedJob } from './workload.js';

export interface LedgerTotals {
  /** Of the queue of the replay, from `/v1/counters`. */
  readonly counters: StatusCounts;
  /** Of the same jobs, read one by one. */
  readonly byStatus: StatusCounts;
  readonly jobs: number;
  readonly runSeconds: bigint;
  readonly attempts: number;
  readonly lostLeases: number;
  /** The first of them, in words; and how many there are. */
  readonly differences: { readonly count: number; readonly first: readonly string[] };
}

const PAGE = 200;
const NAMED = 20;

const differenceOf = (logged: LoggedJob, job: Job): string | null => {
  const status = STATUS_OF[logged.ending];
  const runSeconds = runSecondsOf(job);
  const error = job.error === null ? '' : ` (${job.error.code}: ${job.error.message})`;
  if (job.status !== status) return `is ${job.status}${error} on the ledger, ${logged.ending} in the log`;
  return runSeconds === logged.run ? null : `ran ${runSeconds} s on the ledger, ${logged.run} s in the log`;
};

/** Holds each job that is read against its line. */
export class LedgerReader {
  readonly #unseen: Map<number, LoggedJob>;
  readonly #seen = new Map<number, string>();
  readonly #byStatus: Partial<Record<Job['status'], number>> = {};
  readonly #first: string[] = [];
  #count = 0;
  #jobs = 0;
  #attempts = 0;
  #lostLeases = 0;
  #runSeconds = 0n;

  constructor(logged: readonly LoggedJob[]) {
    this.#unseen = new Map(logged.map((job) => [job.line, job]));
  }

  push(job: Job): void {
    this.#jobs += 1;
    this.#attempts += job.attempt;
    this.#lostLeases += job.lostLeases;
    this.#byStatus[job.status] = (this.#byStatus[job.status] ?? 0) + 1;
    const runSeconds = runSecondsOf(job);
    if (Number.isInteger(runSeconds)) this.#runSeconds += BigInt(runSeconds);
    const { line } = (job.payload ?? {}) as Partial<ReplayPayload>;
    const logged = line === undefined ? undefined : this.#unseen.get(line);
    if (line !== undefined && logged !== undefined) {
      this.#unseen.delete(line);
      this.#seen.set(line, job.id);
      const difference = differenceOf(logged, job);
      if (difference !== null) this.#note(`line ${line}: job ${job.id} ${difference}`);
    } else if (line !== undefined && this.#seen.has(line)) {
      this.#note(`line ${line}: is on the ledger twice, as ${this.#seen.get(line)} and ${job.id}`);
    } else this.#note(`job ${job.id} is of no line of the log`);
  }

  end(counters: StatusCounts): LedgerTotals {
    for (const { line } of this.#unseen.values()) this.#note(`line ${line}: is not on the ledger`);
    return {
      counters,
      byStatus: this.#byStatus,
      jobs: this.#jobs,
      runSeconds: this.#runSeconds,
      attempts: this.#attempts,
      lostLeases: this.#lostLeases,
      differences: { count: this.#count, first: this.#first },
    };
  }

  #note(difference: string): void {
    this.#count += 1;
    if (this.#first.length < NAMED) this.#first.push(difference);
  }
}

/** @param position the counters are at least as fresh as it. */
export const readLedgerTotals = async (
  client: JobledgerClient,
  queue: string,
  logged: readonly LoggedJob[],
  position: Position,
): Promise<LedgerTotals> => {
  const reader = new LedgerReader(logged);
  const ofRun = (cursor?: string) =>
    client.listJobs({ queue: [queue], sort: 'createdAt', limit: PAGE, cursor }, { minPosition: position });
  for await (const job of client.everyItem(ofRun)) reader.push(job);
  const { byQueue } = await client.counters({ minPosition: position });
  return reader.end(byQueue[queue] ?? {});
};
