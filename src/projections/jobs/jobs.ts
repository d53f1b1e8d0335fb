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
import { foldEvent, metadataOf, NO_JOB, type JobFold } from './stored-job.js';

/** A fact of an attempt, by the id that its reporter gave it. */
interface FactKey {
  readonly jobId: string;
  readonly run: number;
  readonly attempt: number;
  readonly batchId: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Of the streams that make a row: refusals change nothing. */
const PREFIXES = [jobStream(''), workStream('')];

const byJob = (events: readonly RecordedEvent[]): Map<string, RecordedEvent[]> => {
  const jobs = new Map<string, RecordedEvent[]>();
  for (const event of events) {
    const prefix = PREFIXES.find((each) => event.stream.startsWith(each));
    if (prefix === undefined) continue;
    const jobId = event.stream.slice(prefix.length);
    const own = jobs.get(jobId);
    if (own !== undefined) {
      own.push(event);
      continue;
    }
    if (!UUID.test(jobId)) throw new Error(`stream ${event.stream} is of no job`);
    jobs.set(jobId, [event]);
  }
  return jobs;
};

const factKey = (jobId: string, event: RecordedEvent): FactKey => {
  const { run, attempt } = metadataOf(event);
  return { jobId, run, attempt, batchId: (event.data as { batchId?: string }).batchId ?? '' };
};

const isFact = ({ stream }: RecordedEvent): boolean => stream.startsWith('work-');

const columnsOf = (keys: readonly FactKey[]): readonly unknown[] => [
  keys.map(({ jobId }) => jobId),
  keys.map(({ run }) => run),
  keys.map(({ attempt }) => attempt),
  keys.map(({ batchId }) => batchId),
];

/** Which of the page's facts counted before it, by job. */
const countedBefore = async (keys: readonly FactKey[], tx: Tx): Promise<ReadonlyMap<string, readonly FactKey[]>> => {
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

const resume = (record: JobRecord, counted: readonly FactKey[]): JobFold => {
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
  jobs: ReadonlyMap<string, readonly RecordedEvent[]>,
  tx: Tx,
): Promise<ReadonlyMap<string, JobFold>> => {
  const older = [...jobs].flatMap(([jobId, events]) => (events[0]!.type === 'JobCreated' ? [] : [jobId]));
  if (older.length === 0) return new Map();
  const facts = older.flatMap((jobId) =>
    jobs.get(jobId)!.flatMap((event) => (isFact(event) ? [factKey(jobId, event)] : [])),
  );
  const counted = await countedBefore(facts, tx);
  const rows = await tx.query<JobRecord>({
    name: 'jobs-before',
    text: `select ${STORED_COLUMNS} from ${tx.schema}.jobs j where j.id = any ($1::uuid[])`,
    values: [older],
  });
  return new Map(rows.map((row) => [row.doc.id, resume(row, counted.get(row.doc.id) ?? [])] as const));
};

const keepFacts = async (keys: readonly FactKey[], tx: Tx): Promise<void> => {
  if (keys.length === 0) return;
  await tx.query({
    name: 'jobs-facts-keep',
    text: `insert into ${tx.schema}.job_facts (job_id, run, attempt, batch_id)
      select * from unnest($1::uuid[], $2::int[], $3::int[], $4::text[])`,
    values: columnsOf(keys),
  });
};

const apply = async (events: readonly RecordedEvent[], tx: Tx): Promise<void> => {
  const jobs = byJob(events);
  if (jobs.size === 0) return;
  const before = await foldsBefore(jobs, tx);
  const counted: FactKey[] = [];
  const after = [...jobs].map(([jobId, own]) =>
    own.reduce(
      (fold, event) => {
        const next = foldEvent(fold, event);
        if (isFact(event) && next.facts.seen !== fold.facts.seen) counted.push(factKey(jobId, event));
        return next;
      },
      before.get(jobId) ?? NO_JOB,
    ),
  );
  await tx.query(
    putJobs(
      tx.schema,
      after.flatMap(({ stored }) => (stored === null ? [] : [stored])),
    ),
  );
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
