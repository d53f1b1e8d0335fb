/** Rows of `jobs` as commands load them, and their repair from the log. */
import type { Pool, PoolClient } from 'pg';
import { hasTag, JOB_STATUSES, type JobStatus } from '../../domain/job-chart.js';
import { toEpochMs } from '../../domain/job-events.js';
import type { Job, JobValues } from '../../domain/job.js';
import { progressOf, type StoredJob } from './stored-job.js';
import type { Progress, SavedProgress } from '../../domain/progress.js';

export interface JobRows {
  /** Rows that exist and can be read, by id. */
  load(ids: readonly string[]): Promise<ReadonlyMap<string, StoredJob>>;
  /** Jobs in one of the states that have no lease row: operational rows can be lost, their jobs must not be. */
  withoutLease(statuses: readonly JobStatus[], limit: number): Promise<readonly StoredJob[]>;
  /** Writes the row that the log says; the way back for a row that was lost or edited. */
  repair(stored: StoredJob, facts: readonly string[]): Promise<void>;
}

export interface JobRecord {
  doc: Job;
  payload: JobValues['payload'];
  result: JobValues['result'];
  checkpoint: JobValues['checkpoint'];
  progress: Progress | null;
  saved_progress: SavedProgress | null;
  position: string;
  last_event_at: Date;
  last_activity_at: Date | null;
  last_activity_position: string | null;
}

export const JOB_COLUMNS = `j.doc, j.payload, j.result, j.checkpoint, j.progress, j.saved_progress, j.position,
  j.last_event_at, j.last_activity_at, j.last_activity_position`;

export const toStoredJob = (row: JobRecord): StoredJob => ({
  job: row.doc,
  values: { payload: row.payload, result: row.result, checkpoint: row.checkpoint },
  progress: progressOf(row.progress, row.doc),
  saved: row.saved_progress,
  position: row.position,
  lastEventAt: row.last_event_at.toISOString(),
  lastActivityAt: row.last_activity_at?.toISOString() ?? null,
  lastActivityPosition: row.last_activity_position,
});

/** One that cannot be read is as good as lost: the log has its job, and it must not take others with it. */
const isReadable = ({ doc }: { readonly doc: Partial<Job> | null }): boolean =>
  doc?.id !== undefined && doc.spec !== undefined && JOB_STATUSES.some((known) => known === doc.status);

/** Undefined when the row cannot be read. */
export const readJob = (row: JobRecord): StoredJob | undefined => (isReadable(row) ? toStoredJob(row) : undefined);

const text = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

const REPAIR = `
insert into jobledger.jobs (id, type, queue, status, priority, tags, run, attempt, leased, dead_lettered, revision,
  position, created_at, status_since, ready_at, wake_at, last_event_at, last_activity_at, last_activity_position, doc,
  payload, result, checkpoint, progress, saved_progress)
values ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
  $24::jsonb, $25::jsonb)
on conflict (id) do update set status = excluded.status, priority = excluded.priority, run = excluded.run,
  attempt = excluded.attempt, leased = excluded.leased, dead_lettered = excluded.dead_lettered,
  revision = excluded.revision, position = excluded.position, created_at = excluded.created_at,
  status_since = excluded.status_since, ready_at = excluded.ready_at, wake_at = excluded.wake_at,
  last_event_at = excluded.last_event_at, last_activity_at = excluded.last_activity_at,
  last_activity_position = excluded.last_activity_position, doc = excluded.doc, payload = excluded.payload,
  result = excluded.result, checkpoint = excluded.checkpoint, progress = excluded.progress,
  saved_progress = excluded.saved_progress, type = excluded.type, queue = excluded.queue, tags = excluded.tags`;

const repairValues = (stored: StoredJob): unknown[] => {
  const { job, values } = stored;
  const claimable = hasTag(job.status, 'claimable');
  const waits = hasTag(job.status, 'waiting');
  const ready = claimable && !waits ? (job.availableAt ?? job.createdAt) : null;
  const wakes = claimable && waits ? job.availableAt : null;
  return [
    ...[job.id, job.spec.type, job.spec.queue, job.status, job.priority, JSON.stringify(job.spec.tags)],
    ...[job.run, job.attempt, job.lease !== null, job.deadLettered, job.revision, stored.position],
    ...[job.createdAt, job.statusSince, ready, wakes, stored.lastEventAt, stored.lastActivityAt],
    ...[stored.lastActivityPosition, JSON.stringify(job), text(values.payload), text(values.result)],
    ...[text(values.checkpoint), text(stored.progress), text(stored.saved)],
  ];
};

/** False when the job has moved on since it was replayed: nothing is written. */
const writeLocked = async (client: PoolClient, stored: StoredJob): Promise<boolean> => {
  // No append may move the job between the replay and this write.
  await client.query('select jobledger.lock_log()');
  const { rows } = await client.query<{ head: string | null }>(
    'select max(position)::text as head from jobledger.events where stream = any ($1)',
    [[`job-${stored.job.id}`, `work-${stored.job.id}`]],
  );
  if (rows[0]?.head !== stored.position) return false;
  await client.query(REPAIR, repairValues(stored));
  return true;
};

/** A row that knows of more than the replay stays: it was written since. */
const writeNewer = async (client: PoolClient, stored: StoredJob): Promise<boolean> => {
  const { rowCount } = await client.query(
    `${REPAIR} where jobs.revision < excluded.revision
      or (jobs.revision = excluded.revision and jobs.position <= excluded.position)`,
    repairValues(stored),
  );
  return rowCount === 1;
};

export class PostgresJobRows implements JobRows {
  constructor(
    private readonly pool: Pool,
    /** Whether the log is in the same database: then no append moves a job between its replay and the repair. */
    private readonly log: 'here' | 'elsewhere' = 'here',
  ) {}

  async load(ids: readonly string[]): Promise<ReadonlyMap<string, StoredJob>> {
    const { rows } = await this.pool.query<JobRecord>({
      name: 'jobs-load',
      text: `select ${JOB_COLUMNS} from jobledger.jobs j where j.id = any ($1::uuid[])`,
      values: [ids],
    });
    return new Map(rows.filter(isReadable).map((row) => [row.doc.id, toStoredJob(row)]));
  }

  async withoutLease(statuses: readonly JobStatus[], limit: number): Promise<readonly StoredJob[]> {
    const { rows } = await this.pool.query<JobRecord>({
      name: 'jobs-without-lease',
      text: `select ${JOB_COLUMNS} from jobledger.jobs j where j.status = any ($1::text[])
        and not exists (select from jobledger.leases l where l.job_id = j.id) limit $2`,
      values: [statuses, limit],
    });
    return rows.filter(isReadable).map(toStoredJob);
  }

  async repair(stored: StoredJob, facts: readonly string[]): Promise<void> {
    const client = await this.pool.connect();
    try {
      await client.query('begin');
      // A process that freezes here must not hold the log: the server ends its transaction.
      await client.query("select set_config('idle_in_transaction_session_timeout', '2000', true)");
      if (this.log === 'elsewhere' ? await writeNewer(client, stored) : await writeLocked(client, stored)) {
        await client.query(
          `insert into jobledger.job_facts select $1, $2, $3, b from unnest($4::text[]) as b on conflict do nothing`,
          [stored.job.id, stored.job.run, stored.job.attempt, facts],
        );
      }
      await client.query('commit');
    } catch (error) {
      await client.query('rollback').catch(() => undefined);
      throw error;
    } finally {
      client.release();
    }
  }
}

/** When the job was last seen to work, epoch ms: creation when it never did. */
export const lastActivityMs = (stored: StoredJob): number => toEpochMs(stored.lastActivityAt ?? stored.job.createdAt);
