/** Writes whole rows of `jobs`, as the log says them: of a projection that is made anew, and of a row that is repaired. */
import { claimableAt, isReady, wakes } from '../../domain/claimable.js';
import { toEpochMs } from '../../domain/job-events.js';
import { binaryArray, type ArrayType, type ArrayValue } from '../../event-store/postgres/binary-array.js';
import type { ProjectionSchema, Statement } from '../transaction.js';
import type { KnownWork } from './job-history.js';
import type { StoredJob } from './stored-job.js';

interface Column {
  /** As it is sent; JSON is sent as text. */
  readonly type: ArrayType;
  readonly cast?: 'json' | 'jsonb';
  readonly value: (stored: StoredJob) => ArrayValue;
}

/** The last one that was asked for: most times of a row are the same, and of rows that came together. */
let known: { readonly instant: string; readonly ms: number } = { instant: '', ms: NaN };

const ms = (instant: string | null): number | null => {
  if (instant === null) return null;
  if (instant !== known.instant) known = { instant, ms: toEpochMs(instant) };
  return known.ms;
};
const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

const COLUMNS: Readonly<Record<string, Column>> = {
  id: { type: 'uuid', value: ({ job }) => job.id },
  type: { type: 'text', value: ({ job }) => job.spec.type },
  queue: { type: 'text', value: ({ job }) => job.spec.queue },
  status: { type: 'text', value: ({ job }) => job.status },
  priority: { type: 'int4', value: ({ job }) => job.priority },
  tags: { type: 'text', cast: 'jsonb', value: ({ job }) => JSON.stringify(job.spec.tags) },
  run: { type: 'int4', value: ({ job }) => job.run },
  attempt: { type: 'int4', value: ({ job }) => job.attempt },
  leased: { type: 'bool', value: ({ job }) => job.lease !== null },
  dead_lettered: { type: 'bool', value: ({ job }) => job.deadLettered },
  revision: { type: 'int8', value: ({ job }) => job.revision },
  position: { type: 'int8', value: ({ position }) => position },
  created_at: { type: 'timestamptz', value: ({ job }) => ms(job.createdAt) },
  status_since: { type: 'timestamptz', value: ({ job }) => ms(job.statusSince) },
  ready_at: {
    type: 'timestamptz',
    value: ({ job }) => (isReady(job) ? ms(claimableAt(job)) : null),
  },
  wake_at: {
    type: 'timestamptz',
    value: ({ job }) => (wakes(job) ? ms(claimableAt(job)) : null),
  },
  last_event_at: { type: 'timestamptz', value: ({ lastEventAt }) => ms(lastEventAt) },
  last_activity_at: { type: 'timestamptz', value: ({ lastActivityAt }) => ms(lastActivityAt) },
  last_activity_position: { type: 'int8', value: ({ lastActivityPosition }) => lastActivityPosition },
  doc: { type: 'text', cast: 'json', value: ({ job }) => JSON.stringify(job) },
  payload: { type: 'text', cast: 'json', value: ({ values }) => json(values.payload) },
  result: { type: 'text', cast: 'json', value: ({ values }) => json(values.result) },
  checkpoint: { type: 'text', cast: 'json', value: ({ values }) => json(values.checkpoint) },
  progress: { type: 'text', cast: 'jsonb', value: ({ progress }) => json(progress) },
  saved_progress: { type: 'text', cast: 'jsonb', value: ({ saved }) => json(saved) },
};

const NAMES = Object.keys(COLUMNS);
const ARRAYS = Object.values(COLUMNS).map(({ type }, index) => `$${index + 1}::${type}[]`);
const SELECTED = Object.entries(COLUMNS).map(([name, { cast }]) => (cast === undefined ? name : `${name}::${cast}`));
const CHANGES = NAMES.filter((name) => name !== 'id').map((name) => `${name} = excluded.${name}`);

/**
 * Inserts the rows, or replaces those that are there. No two of one job. Arrays in binary cost the database half of
 * what one JSON text costs it (17 against 39 µs a row), and this process a third (7 against 19).
 */
export const putJobs = (schema: ProjectionSchema, jobs: readonly StoredJob[]): Statement => ({
  name: 'jobs-put',
  text: `insert into ${schema}.jobs (${NAMES.join(', ')})
    select ${SELECTED.join(', ')} from unnest(${ARRAYS.join(', ')}) as r(${NAMES.join(', ')})
    on conflict (id) do update set ${CHANGES.join(', ')}`,
  values: Object.values(COLUMNS).map(({ type, value }) => binaryArray(type, jobs.map(value))),
});

/** What a row that was just put knows of its facts, beside a log elsewhere. */
export const keepWork = (jobId: string, { revision, late }: KnownWork): readonly Required<Statement>[] => [
  {
    name: 'jobs-work-revision',
    text: 'update jobledger.jobs set work_revision = $2 where id = $1',
    values: [jobId, revision],
  },
  ...(late.length === 0
    ? []
    : [
        {
          name: 'late-facts-keep',
          text: `insert into jobledger.late_facts (job_id, revision) select $1, l from unnest($2::bigint[]) l
            on conflict do nothing`,
          values: [jobId, late],
        },
      ]),
];
