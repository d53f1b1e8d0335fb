/** Rows of `jobs` as commands load them, and their repair from the log. */
import type { Pool } from 'pg';
import { JOB_STATUSES, type JobStatus } from '../../domain/job-chart.js';
import { toEpochMs } from '../../domain/job-events.js';
import type { Job, JobValues } from '../../domain/job.js';
import { type EventMetadata, jobStream, workStream } from '../../domain/streams.js';
import { ROW_WAIT_MS } from '../../event-store/beside-table.js';
import { type RecordedEvent, RowLocked } from '../../event-store/event-store.js';
import { jsonObject } from '../../event-store/json-object.js';
import { isNewer, NEWEST_FORMAT } from '../formats.js';
import { inTransaction, StatementFailed, type Statement, type Tx } from '../transaction.js';
import type { KnownWork } from './job-history.js';
import { keepWork, putJobs } from './put-jobs.js';
import { progressOf, type StoredJob } from './stored-job.js';
import { isProgress, isSavedProgress, type Progress, type SavedProgress } from '../../domain/progress.js';

export interface JobRows {
  /** Rows that exist and say what the log says, and may be used for what these rows are for, by id. */
  load(ids: readonly string[]): Promise<ReadonlyMap<string, StoredJob>>;
  /** Jobs in one of the states that have no lease row: operational rows can be lost, their jobs must not be. */
  withoutLease(statuses: readonly JobStatus[], limit: number): Promise<readonly StoredJob[]>;
  /**
   * Writes the row that the log says; the way back for a row that was lost or edited.
   * @param facts of the attempt in hand that counted
   * @param work what the replay knows of its facts
   */
  repair(stored: StoredJob, facts: readonly string[], work: KnownWork): Promise<void>;
  /**
   * Takes away the row of a job that the log does not have: it would be offered to claims for ever. Beside a log
   * elsewhere nothing is taken away on the word of one read: who follows it judges that.
   */
  drop(jobId: string): Promise<void>;
}

/** What a row says twice, and what the last transition in the log says of it. */
interface Witnessed {
  id: string;
  status: string;
  revision: string;
  run: number;
  attempt: number;
  leased: boolean;
  /** Empty when the log, which is in this database, has none; null when it is elsewhere. */
  transition: string | null;
  /** The newest of the log that was declared when the row was read. */
  format: number | null;
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

export type WitnessedRecord = JobRecord & Witnessed;

/** Of the alias `j`: what a stored job is made of. */
export const STORED_COLUMNS = `j.doc, j.payload, j.result, j.checkpoint, j.progress, j.saved_progress, j.position,
  j.last_event_at, j.last_activity_at, j.last_activity_position`;

/**
 * Of the alias `j`, with what tells whether the row may be served. The last one is what the log's last transition says of the job, its revision first: one probe of
 * an index a row, measured 5 µs.
 */
export const JOB_COLUMNS = `${STORED_COLUMNS}, j.id, j.status, j.revision, j.run, j.attempt, j.leased,
  coalesce((select e.revision || ' ' || e.metadata from jobledger.events e where e.stream = 'job-' || j.id
    order by e.revision desc limit 1), (select '' from jobledger.events limit 1)) as transition,
  ${NEWEST_FORMAT} as format`;

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

type Said = Pick<Job, 'status' | 'run' | 'attempt'>;

const saysTheSame = (doc: Said, { status, run, attempt }: Said | Witnessed): boolean =>
  doc.status === status && doc.run === run && doc.attempt === attempt;

/** Whether a transition of the log is the last one that a row knows. */
export const isLastOf = ({ doc }: JobRecord, event: Pick<RecordedEvent, 'revision' | 'metadata'>): boolean => {
  const { to, run, attempt } = event.metadata as unknown as EventMetadata;
  return event.revision === doc.revision && to !== null && saysTheSame(doc, { status: to, run, attempt });
};

/** What the log's last transition says of the job. */
const isOfLog = (row: WitnessedRecord): boolean => {
  const { transition } = row;
  if (transition === null) return true;
  const space = transition.indexOf(' ');
  const metadata = jsonObject(transition.slice(space));
  return metadata !== undefined && isLastOf(row, { revision: Number(transition.slice(0, space)), metadata });
};

/**
 * Whether a row may be served. One that cannot be read, was edited by hand or is older than the log is as good as
 * lost: the log has its job, and it must not take others with it.
 */
export const isSound = (row: WitnessedRecord): boolean => {
  const doc = row.doc as Job | null;
  if (doc?.id !== row.id || (doc.spec as Job['spec'] | undefined) === undefined) return false;
  const isCounted = row.progress === null || isProgress(row.progress);
  if (!isCounted || (row.saved_progress !== null && !isSavedProgress(row.saved_progress))) return false;
  const isKnown = JOB_STATUSES.some((known) => known === doc.status);
  const isItsRow = doc.revision === Number(row.revision) && (doc.lease !== null) === row.leased;
  return isKnown && isItsRow && saysTheSame(doc, row) && isOfLog(row);
};

/**
 * Whether this program may decide on what a row says. Where a newer one writes, a row may come from events that this one
 * cannot read: then the log is asked, which holds them. Whoever only shows a row shows it as the newer program made it.
 */
export const mayDecideOn = (row: WitnessedRecord): boolean => !isNewer(row) && isSound(row);

/** Undefined when the row may not be decided on. */
export const readJob = (row: WitnessedRecord): StoredJob | undefined =>
  mayDecideOn(row) ? toStoredJob(row) : undefined;

/** Without a name: it is rare, and a connection keeps what it prepared. */
const repairStatement = ({ schema }: Tx, stored: StoredJob): Omit<Statement, 'name'> => {
  const { name: _, ...statement } = putJobs(schema, [stored]);
  return statement;
};

/** Position of the job's last event, null when it has none; until the transaction ends no append moves the job. */
const lockedHead = async (tx: Tx, jobId: string): Promise<string | null> => {
  // None waits long while somebody has the row locked.
  await tx.query({ text: `select jobledger.lock_log(), set_config('lock_timeout', '${ROW_WAIT_MS}', true)` });
  const [row] = await tx.query<{ head: string | null }>({
    text: 'select max(position)::text as head from jobledger.events where stream = any ($1)',
    values: [[jobStream(jobId), workStream(jobId)]],
  });
  return row!.head;
};

/** False when the job has moved on since it was replayed: nothing is written. */
const writeLocked = async (tx: Tx, stored: StoredJob): Promise<boolean> => {
  if ((await lockedHead(tx, stored.job.id)) !== stored.position) return false;
  await tx.query(repairStatement(tx, stored));
  return true;
};

/** A row that knows of more than the replay stays: it was written since. */
const writeNewer = async (tx: Tx, stored: StoredJob, work: KnownWork): Promise<boolean> => {
  const { text, values = [] } = repairStatement(tx, stored);
  const written = await tx.query({
    text: `${text} where jobs.revision < excluded.revision
      or (jobs.revision = excluded.revision and jobs.position <= excluded.position) returning id`,
    values,
  });
  if (written.length === 0) return false;
  for (const statement of keepWork(stored.job.id, work)) await tx.query(statement);
  return true;
};

const orLocked = (error: unknown): never => {
  throw error instanceof StatementFailed && error.isLockTimeout ? new RowLocked() : error;
};

export class PostgresJobRows implements JobRows {
  constructor(
    private readonly pool: Pool,
    /** Whether the log is in the same database: then no append moves a job between its replay and the repair. */
    private readonly log: 'here' | 'elsewhere' = 'here',
    private readonly mayUse: typeof isSound = mayDecideOn,
    /** Brings rows to the end of a log elsewhere before they are loaded. */
    private readonly catchUp: (ids: readonly string[]) => Promise<void> = () => Promise.resolve(),
  ) {}

  async load(ids: readonly string[]): Promise<ReadonlyMap<string, StoredJob>> {
    await this.catchUp(ids);
    const { rows } = await this.pool.query<WitnessedRecord>({
      name: 'jobs-load',
      text: `select ${JOB_COLUMNS} from jobledger.jobs j where j.id = any ($1::uuid[])`,
      values: [ids],
    });
    return new Map(rows.filter(this.mayUse).map((row) => [row.doc.id, toStoredJob(row)]));
  }

  async withoutLease(statuses: readonly JobStatus[], limit: number): Promise<readonly StoredJob[]> {
    const { rows } = await this.pool.query<WitnessedRecord>({
      name: 'jobs-without-lease',
      text: `select ${JOB_COLUMNS} from jobledger.jobs j where j.status = any ($1::text[])
        and not exists (select from jobledger.leases l where l.job_id = j.id) limit $2`,
      values: [statuses, limit],
    });
    return rows.filter(this.mayUse).map(toStoredJob);
  }

  async repair(stored: StoredJob, facts: readonly string[], work: KnownWork): Promise<void> {
    await inTransaction(this.pool, async (tx) => {
      const isElsewhere = this.log === 'elsewhere';
      if (!(isElsewhere ? await writeNewer(tx, stored, work) : await writeLocked(tx, stored))) return;
      await tx.query({
        text: `insert into jobledger.job_facts select $1, $2, $3, b from unnest($4::text[]) as b on conflict do nothing`,
        values: [stored.job.id, stored.job.run, stored.job.attempt, facts],
      });
    }).catch(orLocked);
  }

  async drop(jobId: string): Promise<void> {
    if (this.log === 'elsewhere') return;
    // Of most that are not in the log there is no row: whoever asks for ids by chance keeps no append waiting.
    const { rowCount } = await this.pool.query('select from jobledger.jobs where id = $1', [jobId]);
    if (rowCount === 0) return;
    await inTransaction(this.pool, async (tx) => {
      if ((await lockedHead(tx, jobId)) !== null) return;
      await tx.query({
        text: `with gone as (delete from jobledger.jobs where id = $1 returning id)
          delete from jobledger.job_facts f using gone where f.job_id = gone.id`,
        values: [jobId],
      });
    }).catch(orLocked);
  }
}

/** When the job was last seen to work, epoch ms: creation when it never did. */
export const lastActivityMs = (stored: StoredJob): number => toEpochMs(stored.lastActivityAt ?? stored.job.createdAt);
