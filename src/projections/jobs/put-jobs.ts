/** Writes whole rows of `jobs`, as the log says them: of a projection that is made anew, and of a row that is repaired. */
import { hasTag } from '../../domain/job-chart.js';
import { initialProgress, type Progress } from '../../domain/progress.js';
import type { ProjectionSchema, Statement } from '../transaction.js';
import type { StoredJob } from './stored-job.js';

const COLUMNS: Readonly<Record<string, string>> = {
  id: 'uuid',
  type: 'text',
  queue: 'text',
  status: 'text',
  priority: 'int',
  tags: 'jsonb',
  run: 'int',
  attempt: 'int',
  leased: 'boolean',
  dead_lettered: 'boolean',
  revision: 'bigint',
  position: 'bigint',
  created_at: 'timestamptz',
  status_since: 'timestamptz',
  ready_at: 'timestamptz',
  wake_at: 'timestamptz',
  last_event_at: 'timestamptz',
  last_activity_at: 'timestamptz',
  last_activity_position: 'bigint',
  doc: 'json',
  payload: 'json',
  result: 'json',
  checkpoint: 'json',
  progress: 'jsonb',
  saved_progress: 'jsonb',
};

const NAMES = Object.keys(COLUMNS);
const RECORD = Object.entries(COLUMNS).map(([name, type]) => `${name} ${type}`);
const CHANGES = NAMES.filter((name) => name !== 'id').map((name) => `${name} = excluded.${name}`);

const NO_FACTS = JSON.stringify(initialProgress(null));

/** As appends keep it: null until there is a total or a fact. */
const progressColumn = (progress: Progress): Progress | null =>
  JSON.stringify(progress) === NO_FACTS ? null : progress;

const recordOf = (stored: StoredJob): object => {
  const { job, values } = stored;
  const claimable = hasTag(job.status, 'claimable');
  const waits = hasTag(job.status, 'waiting');
  return {
    id: job.id,
    type: job.spec.type,
    queue: job.spec.queue,
    status: job.status,
    priority: job.priority,
    tags: job.spec.tags,
    run: job.run,
    attempt: job.attempt,
    leased: job.lease !== null,
    dead_lettered: job.deadLettered,
    revision: job.revision,
    position: stored.position,
    created_at: job.createdAt,
    status_since: job.statusSince,
    ready_at: claimable && !waits ? (job.availableAt ?? job.createdAt) : null,
    wake_at: claimable && waits ? job.availableAt : null,
    last_event_at: stored.lastEventAt,
    last_activity_at: stored.lastActivityAt,
    last_activity_position: stored.lastActivityPosition,
    doc: job,
    payload: values.payload,
    result: values.result,
    checkpoint: values.checkpoint,
    progress: progressColumn(stored.progress),
    saved_progress: stored.saved,
  };
};

/** Inserts the rows, or replaces those that are there. No two of one job. */
export const putJobs = (schema: ProjectionSchema, jobs: readonly StoredJob[]): Statement => ({
  name: 'jobs-put',
  text: `insert into ${schema}.jobs (${NAMES.join(', ')})
    select ${NAMES.join(', ')} from json_to_recordset($1::json) as r(${RECORD.join(', ')})
    on conflict (id) do update set ${CHANGES.join(', ')}`,
  values: [JSON.stringify(jobs.map(recordOf))],
});
