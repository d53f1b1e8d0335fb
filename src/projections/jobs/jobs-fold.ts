/**
 * Events of many jobs on their way into their rows. A job that began here is folded as its events come, so that they are
 * not kept; the events of one that began before wait until its row is read.
 *
 * It costs a handful of statements, whatever it holds. Of the facts that counted before only those are looked up that
 * might be repeated.
 */
import { isWorkStream, jobStream, workStream } from '../../domain/streams.js';
import { FactKeys } from '../../domain/progress.js';
import type { RecordedEvent } from '../../event-store/event-store.js';
import { binaryArray } from '../../event-store/postgres/binary-array.js';
import type { Fold } from '../projection.js';
import type { Tx } from '../transaction.js';
import { STORED_COLUMNS, toStoredJob, type JobRecord } from './job-rows.js';
import { putJobs } from './put-jobs.js';
import { foldEvent, metadataOf, NO_JOB, toFact, type JobFold, walkedFrom } from './stored-job.js';

/** A fact of an attempt, by the id that its reporter gave it. */
export interface FactKey {
  readonly jobId: string;
  readonly run: number;
  readonly attempt: number;
  readonly batchId: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Of the streams that make a row: refusals change nothing. */
const PREFIXES = [jobStream(''), workStream('')];

/** The job of a stream; undefined for streams that make no row. */
const jobIn = (stream: string): string | undefined => {
  const prefix = PREFIXES.find((each) => stream.startsWith(each));
  if (prefix === undefined) return undefined;
  const jobId = stream.slice(prefix.length);
  if (!UUID.test(jobId)) throw new Error(`stream ${stream} is of no job`);
  return jobId;
};

export const factKey = (jobId: string, event: RecordedEvent): FactKey => {
  const { run, attempt } = metadataOf(event);
  return { jobId, run, attempt, batchId: toFact(event).data.batchId };
};

export const isFact = ({ stream }: RecordedEvent): boolean => isWorkStream(stream);

const columnsOf = (keys: readonly FactKey[]): readonly Buffer[] => [
  binaryArray(
    'uuid',
    keys.map(({ jobId }) => jobId),
  ),
  binaryArray(
    'int4',
    keys.map(({ run }) => run),
  ),
  binaryArray(
    'int4',
    keys.map(({ attempt }) => attempt),
  ),
  binaryArray(
    'text',
    keys.map(({ batchId }) => batchId),
  ),
];

/** Which of the facts counted before, by job. */
export const countedBefore = async (
  keys: readonly FactKey[],
  tx: Tx,
): Promise<ReadonlyMap<string, readonly FactKey[]>> => {
  const found = new Map<string, FactKey[]>();
  if (keys.length === 0) return found;
  const rows = await tx.query<FactKey>({
    name: 'jobs-facts-counted',
    text: `select f.job_id as "jobId", f.run, f.attempt, f.batch_id as "batchId"
      from unnest($1::uuid[], $2::int[], $3::int[], $4::text[]) as k(job_id, run, attempt, batch_id)
      join ${tx.schema}.job_facts f using (job_id, run, attempt, batch_id)`,
    values: columnsOf(keys),
  });
  for (const key of rows) found.set(key.jobId, [...(found.get(key.jobId) ?? []), key]);
  return found;
};

/** The fold that a row and its facts that counted were left by. */
export const resume = (record: JobRecord, counted: readonly FactKey[]): JobFold => {
  const stored = toStoredJob(record);
  const { job, progress, saved } = stored;
  const own = counted.filter(({ run, attempt }) => run === job.run && attempt === job.attempt);
  return {
    stored,
    facts: {
      progress,
      saved,
      specTotal: job.spec.total,
      open: job.lease === null ? null : { run: job.run, attempt: job.attempt },
      seen: own.reduce((seen, { batchId }) => seen.add(batchId), FactKeys.none()),
    },
  };
};

/** A job whose events came here. */
class OneJob {
  fold: JobFold = walkedFrom(NO_JOB);
  /** Of one that began before: what came here. */
  readonly waiting: RecordedEvent[] = [];
  /** Whether its first event came here. */
  private readonly isNew: boolean;

  constructor(
    readonly id: string,
    first: RecordedEvent,
    /** The facts that counted, of all jobs. */
    private readonly counted: FactKey[],
  ) {
    this.isNew = first.type === 'JobCreated';
  }

  get isOlder(): boolean {
    return !this.isNew;
  }

  add(event: RecordedEvent): void {
    if (this.isNew) this.follow(event);
    else this.waiting.push(event);
  }

  follow(event: RecordedEvent): void {
    const next = foldEvent(this.fold, event);
    if (next.facts.seen !== this.fold.facts.seen && isFact(event)) this.counted.push(factKey(this.id, event));
    this.fold = next;
  }
}

/** Reads the rows that jobs have, and goes on from them. */
const resumeAll = async (jobs: readonly OneJob[], tx: Tx): Promise<void> => {
  if (jobs.length === 0) return;
  const facts = jobs.flatMap(({ id, waiting }) => waiting.filter(isFact).map((event) => factKey(id, event)));
  const counted = await countedBefore(facts, tx);
  const ids = jobs.map(({ id }) => id);
  const rows = await tx.query<JobRecord>({
    name: 'jobs-before',
    text: `select ${STORED_COLUMNS} from ${tx.schema}.jobs j where j.id = any ($1::uuid[])`,
    values: [binaryArray('uuid', ids)],
  });
  const records = new Map(rows.map((row) => [row.doc.id, row]));
  for (const job of jobs) {
    const record = records.get(job.id);
    if (record !== undefined) job.fold = walkedFrom(resume(record, counted.get(job.id) ?? []));
  }
};

/** None of the keys may be taken: whoever writes them holds the row of their job as it was when they were looked up. */
export const keepFacts = async (keys: readonly FactKey[], tx: Tx): Promise<void> => {
  if (keys.length === 0) return;
  await tx.query({
    name: 'jobs-facts-keep',
    text: `insert into ${tx.schema}.job_facts (job_id, run, attempt, batch_id)
      select * from unnest($1::uuid[], $2::int[], $3::int[], $4::text[])`,
    values: columnsOf(keys),
  });
};

/** As `keepFacts`, where a key may have been left by a row that is gone. */
export const putFacts = async (keys: readonly FactKey[], tx: Tx): Promise<void> => {
  if (keys.length === 0) return;
  await tx.query({
    name: 'jobs-facts-put',
    text: `insert into ${tx.schema}.job_facts (job_id, run, attempt, batch_id)
      select * from unnest($1::uuid[], $2::int[], $3::int[], $4::text[]) on conflict do nothing`,
    values: columnsOf(keys),
  });
};

/** Jobs of one statement: so many are written out while the database works on those before them. */
const SLICE = 250;

export class JobsFold implements Fold {
  private readonly jobs = new Map<string, OneJob>();
  /** A stream is taken apart once; undefined: it makes no row. */
  private readonly streams = new Map<string, OneJob | undefined>();
  private readonly counted: FactKey[] = [];

  add(events: readonly RecordedEvent[]): void {
    for (const event of events) {
      const { stream } = event;
      let job = this.streams.get(stream);
      if (job === undefined && !this.streams.has(stream)) {
        job = this.jobOf(stream, event);
        this.streams.set(stream, job);
      }
      job?.add(event);
    }
  }

  async write(tx: Tx): Promise<void> {
    const jobs = [...this.jobs.values()];
    await resumeAll(
      jobs.filter(({ isOlder }) => isOlder),
      tx,
    );
    let writing: Promise<unknown> = Promise.resolve();
    try {
      for (let first = 0; first < jobs.length; first += SLICE) {
        const after = jobs.slice(first, first + SLICE).flatMap((job) => {
          for (const event of job.waiting) job.follow(event);
          return job.fold.stored ?? [];
        });
        const statement = putJobs(tx.schema, after);
        await writing;
        writing = tx.query(statement);
      }
    } finally {
      // Also of one that is left behind: nothing runs on when the caller rolls back.
      await writing;
    }
    await keepFacts(this.counted, tx);
  }

  private jobOf(stream: string, first: RecordedEvent): OneJob | undefined {
    const id = jobIn(stream);
    if (id === undefined) return undefined;
    let job = this.jobs.get(id);
    if (job === undefined) this.jobs.set(id, (job = new OneJob(id, first, this.counted)));
    return job;
  }
}
