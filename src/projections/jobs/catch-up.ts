/**
 * Brings the row of a job to the end of the log, beside a log elsewhere: only what the row does not know is read, and
 * folded on top of it. Several processes may do so at once, and appends may move the row meanwhile: it is written if it
 * still is what it was read as, else the same is done again on what it has become.
 */
import type { Pool } from 'pg';
import { isRefusalsStream, jobIdOf, jobStream, workStream } from '../../domain/streams.js';
import { comparePositions, type EventStore, type RecordedEvent } from '../../event-store/event-store.js';
import { inTransaction, type Tx } from '../transaction.js';
import { isLastOf, isSound, JOB_COLUMNS, type JobRows, type WitnessedRecord } from './job-rows.js';
import { countedBefore, factKey, isFact, keepFacts, resume, type FactKey } from './jobs-fold.js';
import { keepWork, putJobs } from './put-jobs.js';
import { repairRow } from './repair-row.js';
import { foldEvent, inOrder, isDamage, lateFacts, type JobFold, type StoredJob, walkedFrom } from './stored-job.js';

/** A row that changes so often while it is brought on is written by somebody, all the time: a livelock must show. */
const MAX_TRIES = 50;

/** A row with how far it knows the facts of its job. */
export interface KnownRow extends WitnessedRecord {
  /** Null: it knows of no fact. */
  work_revision: string | null;
}

/** Jobs that are brought on at once: each needs a connection, and those who wait for one too long fail. */
const LOT = 20;

/** Several at once, not all of them. */
export const inLots = async (ids: readonly string[], bring: (id: string) => Promise<unknown>): Promise<void> => {
  for (let first = 0; first < ids.length; first += LOT) await Promise.all(ids.slice(first, first + LOT).map(bring));
};

export interface CatchUpDependencies {
  readonly pool: Pool;
  readonly store: EventStore;
  readonly rows: JobRows;
  /** Whether a log that ends before a row was restored, as somebody says who has it made anew; default false. */
  readonly isRestored?: boolean;
}

const rowOf = async (pool: Pool, jobId: string): Promise<KnownRow | undefined> => {
  const { rows } = await pool.query<KnownRow>({
    name: 'jobs-catch-up',
    text: `select ${JOB_COLUMNS}, j.work_revision from jobledger.jobs j where j.id = $1`,
    values: [jobId],
  });
  return rows[0];
};

/**
 * What the log has behind the row, in order; one instant of both streams. Undefined: the row is not of this log, which
 * does not have its last transition, or another one in its place. It was restored, and ends before the row.
 */
const eventsBehind = async (
  { store, isRestored = false }: CatchUpDependencies,
  row: KnownRow,
): Promise<readonly RecordedEvent[] | undefined> => {
  const { position: upTo } = await store.head();
  const [[last, ...transitions], facts] = await Promise.all([
    store.readStream(jobStream(row.id), { from: Number(row.revision), upTo }),
    store.readStream(workStream(row.id), { from: Number(row.work_revision ?? -1) + 1, upTo }),
  ]);
  if (last !== undefined && isLastOf(row, last)) return inOrder([...transitions, ...facts]);
  // A node that leads no more, and does not know it, ends before rows too: nothing is taken away on its word.
  return isRestored || comparePositions(upTo, row.position) >= 0 ? undefined : [];
};

/** Takes a row away, with what was kept of its facts, if it still is what it was read as. */
const forget = async (pool: Pool, { id, revision, position }: KnownRow): Promise<void> => {
  await pool.query({
    text: `with gone as (delete from jobledger.jobs where id = $1 and revision = $2 and position = $3 returning id),
        facts as (delete from jobledger.job_facts f using gone where f.job_id = gone.id)
      delete from jobledger.late_facts l using gone where l.job_id = gone.id`,
    values: [id, revision, position],
  });
};

/** False when the row is not any more what it was. */
const moveOn = async (tx: Tx, row: KnownRow, after: StoredJob): Promise<boolean> => {
  const { text, values = [] } = putJobs(tx.schema, [after]);
  const n = values.length;
  const moved = await tx.query({
    text: `${text} where jobs.revision = $${n + 1} and jobs.position = $${n + 2}
      and coalesce(jobs.work_revision, -1) = $${n + 3} returning id`,
    values: [...values, row.revision, row.position, row.work_revision ?? -1],
  });
  return moved.length > 0;
};

export interface FollowedJob {
  readonly stored: StoredJob | null;
  readonly counted: readonly FactKey[];
  /** Revisions of the facts that came after the end of their attempt. */
  readonly late: readonly number[];
}

/** What the events make of the fold. */
export const follow = (jobId: string, before: JobFold, events: readonly RecordedEvent[]): FollowedJob => {
  const counted: FactKey[] = [];
  let fold = walkedFrom(before);
  for (const event of events) {
    const next = foldEvent(fold, event);
    if (isFact(event) && next.facts !== fold.facts) counted.push(factKey(jobId, event));
    fold = next;
  }
  return { stored: fold.stored, counted, late: events.some(isFact) ? lateFacts(before, events) : [] };
};

/** @returns false when the row changed meanwhile. */
const tryOnce = async (on: CatchUpDependencies, jobId: string): Promise<boolean> => {
  const { pool, store, rows } = on;
  const row = await rowOf(pool, jobId);
  if (row === undefined || !isSound(row)) {
    await repairRow(store, rows, jobId);
    return true;
  }
  const events = await eventsBehind(on, row);
  if (events === undefined) {
    await forget(pool, row);
    await repairRow(store, rows, jobId);
    return true;
  }
  if (events.length === 0) return true;
  const keys = events.filter(isFact).map((event) => factKey(jobId, event));
  const revision = Number(row.work_revision ?? -1) + keys.length;
  return inTransaction(pool, async (tx) => {
    const before = await countedBefore(keys, tx);
    const { stored, counted, late } = follow(jobId, resume(row, before.get(jobId) ?? []), events);
    if (stored === null || !(await moveOn(tx, row, stored))) return false;
    await keepFacts(counted, tx);
    for (const statement of keepWork(jobId, { revision, late })) await tx.query(statement);
    return true;
  });
};

/** @throws Error when others moved the row each time */
export const catchUpJob = async (on: CatchUpDependencies, jobId: string): Promise<void> => {
  for (let tries = 0; !(await tryOnce(on, jobId)); tries += 1) {
    if (tries >= MAX_TRIES) throw new Error(`the row of job ${jobId} changed each time that it was brought on`);
  }
};

/** As `catchUpJob`, for the jobs of streams; those that make no row are passed over. */
export const catchUpStreams = async (on: CatchUpDependencies, streams: readonly string[]): Promise<void> => {
  const jobs = new Set(streams.filter((stream) => !isRefusalsStream(stream)).map(jobIdOf));
  jobs.delete(null);
  await inLots([...jobs] as readonly string[], (jobId) => catchUpJob(on, jobId));
};

/** Before jobs are shown. What cannot be read here is shown as far as others have brought it. */
export const catchUpToShow = async (on: CatchUpDependencies, jobIds: readonly string[]): Promise<void> => {
  const bring = async (jobId: string): Promise<void> => {
    try {
      await catchUpJob(on, jobId);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  };
  await inLots(jobIds, bring);
};
