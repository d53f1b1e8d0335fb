/**
 * The rows of jobs, computed from events: what appends write inline, for a projection that is made anew beside them.
 *
 * A page is folded in memory job by job and costs four statements, whatever it holds. Of the facts that counted before
 * the page only those are looked up that it might repeat.
 */
import { jobStream, workStream } from '../../domain/streams.js';
import { FactKeys } from '../../domain/progress.js';
import type { RecordedEvent } from '../../event-store/event-store.js';
import type { Projection } from '../projection.js';
import type { Tx } from '../transaction.js';
import { STORED_COLUMNS, toStoredJob, type JobRecord } from './job-rows.js';
import { putJobs } from './put-jobs.js';
import { foldEvent, metadataOf, NO_JOB, toFact, type JobFold, type StoredJob } from './stored-job.js';

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
const jobOf = (stream: string): string | undefined => {
  const prefix = PREFIXES.find((each) => stream.startsWith(each));
  if (prefix === undefined) return undefined;
  const jobId = stream.slice(prefix.length);
  if (!UUID.test(jobId)) throw new Error(`stream ${stream} is of no job`);
  return jobId;
};

const byJob = (events: readonly RecordedEvent[]): Map<string, RecordedEvent[]> => {
  const jobs = new Map<string, RecordedEvent[]>();
  /** A stream is taken apart once. */
  const streams = new Map<string, RecordedEvent[] | undefined>();
  for (const event of events) {
    let own = streams.get(event.stream);
    if (own === undefined && !streams.has(event.stream)) {
      const jobId = jobOf(event.stream);
      if (jobId !== undefined) {
        own = jobs.get(jobId) ?? [];
        jobs.set(jobId, own);
      }
      streams.set(event.stream, own);
    }
    own?.push(event);
  }
  return jobs;
};

export const factKey = (jobId: string, event: RecordedEvent): FactKey => {
  const { run, attempt } = metadataOf(event);
  return { jobId, run, attempt, batchId: toFact(event).data.batchId };
};

export const isFact = ({ stream }: RecordedEvent): boolean => stream.startsWith('work-');

const columnsOf = (keys: readonly FactKey[]): readonly unknown[] => [
  keys.map(({ jobId }) => jobId),
  keys.map(({ run }) => run),
  keys.map(({ attempt }) => attempt),
  keys.map(({ batchId }) => batchId),
];

/** Which of the page's facts counted before it, by job. */
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

/** The fold that the row and the facts that counted were left by. */
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

/** The folds of the jobs that began before the page. */
const foldsBefore = async (
  jobs: readonly (readonly [jobId: string, events: readonly RecordedEvent[]])[],
  tx: Tx,
): Promise<ReadonlyMap<string, JobFold>> => {
  const older = jobs.filter(([, events]) => events[0]!.type !== 'JobCreated');
  if (older.length === 0) return new Map();
  const facts = older.flatMap(([jobId, events]) => events.filter(isFact).map((event) => factKey(jobId, event)));
  const counted = await countedBefore(facts, tx);
  const rows = await tx.query<JobRecord>({
    name: 'jobs-before',
    text: `select ${STORED_COLUMNS} from ${tx.schema}.jobs j where j.id = any ($1::uuid[])`,
    values: [older.map(([jobId]) => jobId)],
  });
  return new Map(rows.map((row) => [row.doc.id, resume(row, counted.get(row.doc.id) ?? [])] as const));
};

export const keepFacts = async (keys: readonly FactKey[], tx: Tx): Promise<void> => {
  if (keys.length === 0) return;
  await tx.query({
    name: 'jobs-facts-keep',
    text: `insert into ${tx.schema}.job_facts (job_id, run, attempt, batch_id)
      select * from unnest($1::uuid[], $2::int[], $3::int[], $4::text[]) on conflict do nothing`,
    values: columnsOf(keys),
  });
};

/** Jobs of one statement: so many are folded and written out while the database works on those before them. */
const SLICE = 250;

/** Folds the events of one job. @returns undefined when they make no row; the facts that counted are added */
export const foldJob = (
  jobId: string,
  events: readonly RecordedEvent[],
  before: JobFold,
  counted: FactKey[],
): StoredJob | null => {
  let fold = before;
  for (const event of events) {
    const next = foldEvent(fold, event);
    if (next.facts.seen !== fold.facts.seen && isFact(event)) counted.push(factKey(jobId, event));
    fold = next;
  }
  return fold.stored;
};

const apply = async (events: readonly RecordedEvent[], tx: Tx): Promise<void> => {
  const jobs = [...byJob(events)];
  const before = await foldsBefore(jobs, tx);
  const counted: FactKey[] = [];
  let writing: Promise<unknown> = Promise.resolve();
  try {
    for (let first = 0; first < jobs.length; first += SLICE) {
      const after = jobs
        .slice(first, first + SLICE)
        .flatMap(([jobId, own]) => foldJob(jobId, own, before.get(jobId) ?? NO_JOB, counted) ?? []);
      const statement = putJobs(tx.schema, after);
      await writing;
      writing = tx.query(statement);
    }
  } finally {
    // Also of one that is left behind: nothing runs on when the caller rolls back.
    await writing;
  }
  await keepFacts(counted, tx);
};

const asIs = (...columns: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(columns.map((column) => [column, column]));

export const JOBS: Projection = {
  name: 'jobs',
  version: 1,
  inline: true,
  tables: [
    {
      name: 'jobs',
      key: { id: 'uuid' },
      fields: {
        ...asIs('type', 'queue', 'status', 'priority', 'tags', 'run', 'attempt', 'leased', 'dead_lettered'),
        ...asIs('revision', 'position', 'created_at', 'status_since', 'ready_at', 'wake_at', 'last_event_at'),
        ...asIs('last_activity_at', 'last_activity_position'),
        doc: 'doc::jsonb',
        payload: 'payload::jsonb',
        result: 'result::jsonb',
        checkpoint: 'checkpoint::jsonb',
        progress: 'progress',
        saved_progress: 'saved_progress',
      },
    },
    { name: 'job_facts', key: { job_id: 'uuid', run: 'int', attempt: 'int', batch_id: 'text' }, fields: {} },
  ],
  apply,
};
