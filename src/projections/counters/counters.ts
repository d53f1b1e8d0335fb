/**
 * How many jobs stand where, by queue, type and status, and how often things happened.
 *
 * Every transition says which status it leads from and to, so a count moves without any state of the job; only queue
 * and type are looked up, in a table of the projection's own, since they stand in the job's first event alone.
 *
 * A page costs four statements, whatever it holds. One writer: no counter is ever waited for by an append.
 */
import type { RecordedEvent } from '../../event-store/event-store.js';
import type { Projection } from '../projection.js';
import type { Tx } from '../transaction.js';
import { foldCounters, statusDeltas, type JobKey, type StatusDelta } from './fold-counters.js';

const keepKeys = async (born: ReadonlyMap<string, JobKey>, tx: Tx): Promise<void> => {
  if (born.size === 0) return;
  const keys = [...born.values()];
  await tx.query({
    name: 'counters-jobs',
    text: `insert into ${tx.schema}.counters_jobs (job_id, queue, type)
      select * from unnest($1::uuid[], $2::text[], $3::text[])`,
    values: [[...born.keys()], keys.map(({ queue }) => queue), keys.map(({ type }) => type)],
  });
};

/** The keys of the jobs that moved: of those that began in the page, and of the others from the table. */
const keysOf = async (
  moved: readonly string[],
  born: ReadonlyMap<string, JobKey>,
  tx: Tx,
): Promise<ReadonlyMap<string, JobKey>> => {
  const older = moved.filter((jobId) => !born.has(jobId));
  if (older.length === 0) return born;
  const rows = await tx.query<JobKey & { job_id: string }>({
    name: 'counters-keys',
    text: `select job_id, queue, type from ${tx.schema}.counters_jobs where job_id = any ($1::uuid[])`,
    values: [older],
  });
  return new Map([...born, ...rows.map(({ job_id, queue, type }) => [job_id, { queue, type }] as const)]);
};

const countStatuses = async (deltas: readonly StatusDelta[], tx: Tx): Promise<void> => {
  if (deltas.length === 0) return;
  const rows = await tx.query<{ n: string }>({
    name: 'counters-statuses',
    text: `insert into ${tx.schema}.counters_by_status as c (queue, type, status, n)
      select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
      on conflict (queue, type, status) do update set n = c.n + excluded.n
      returning n`,
    values: [
      deltas.map(({ queue }) => queue),
      deltas.map(({ type }) => type),
      deltas.map(({ status }) => status),
      deltas.map(({ n }) => n),
    ],
  });
  if (rows.some(({ n }) => Number(n) < 0)) throw new Error('an event moves a job from a status that no job is in');
};

const countTotals = async (totals: readonly (readonly [string, string, number])[], tx: Tx): Promise<void> => {
  await tx.query({
    name: 'counters-totals',
    text: `insert into ${tx.schema}.counters_totals as c (name, label, n)
      select * from unnest($1::text[], $2::text[], $3::bigint[])
      on conflict (name, label) do update set n = c.n + excluded.n`,
    values: [totals.map(([name]) => name), totals.map(([, label]) => label), totals.map(([, , n]) => n)],
  });
};

const apply = async (events: readonly RecordedEvent[], tx: Tx): Promise<void> => {
  const page = foldCounters(events);
  const keys = await keysOf([...page.moves.keys()], page.born, tx);
  await keepKeys(page.born, tx);
  await countStatuses(statusDeltas(page.moves, keys), tx);
  await countTotals(
    [
      ...[...page.events].map(([type, n]) => ['events', type, n] as const),
      ...[...page.reaped].map(([rule, n]) => ['reaped', rule, n] as const),
    ],
    tx,
  );
};

export const COUNTERS: Projection = {
  name: 'counters',
  version: 1,
  tables: [
    // Whether a count went up and down again within a page or over two leaves a row of none, or no row.
    {
      name: 'counters_by_status',
      key: { queue: 'text', type: 'text', status: 'text' },
      fields: { n: 'n' },
      where: 'n <> 0',
    },
    { name: 'counters_totals', key: { name: 'text', label: 'text' }, fields: { n: 'n' } },
    { name: 'counters_jobs', key: { job_id: 'uuid' }, fields: { queue: 'queue', type: 'type' } },
  ],
  apply,
};
