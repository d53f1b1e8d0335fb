/**
 * The rows of the jobs in a page of the log, beside a log elsewhere: read once, folded in memory, written once, in the
 * transaction that moves the checkpoint. So a log of any length is followed at some thousand events a second.
 *
 * The page alone moves a row only where nothing of the job can stand in between: the job begins in the page, or the row is
 * as this process left it when it followed the log up to there. Any other job is read from its streams. A row is written if
 * it still is what it was read as, and if nobody holds it locked: an append that does may wait for another row of the
 * page, so nothing is waited for with rows in hand; all is read again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { comparePositions, Unavailable, type RecordedEvent } from '../../event-store/event-store.js';
import { Recent } from '../../event-store/recent.js';
import { binaryArray } from '../../event-store/postgres/binary-array.js';
import type { Tx } from '../transaction.js';
import { follow, type FollowedJob, type KnownRow } from './catch-up.js';
import { isSound, JOB_COLUMNS } from './job-rows.js';
import { countedBefore, factKey, isFact, putFacts, resume, type FactKey } from './jobs-fold.js';
import { putJobs } from './put-jobs.js';
import { NO_JOB, type JobFold } from './stored-job.js';

/** Where the streams of a job end; -1: before their first event. */
interface Ends {
  readonly revision: number;
  readonly work: number;
}

const NOWHERE: Ends = { revision: -1, work: -1 };
/** Jobs whose ends are remembered, of 150 bytes each: those that were written last. */
const REMEMBERED = 100_000;
/** Rows of one statement. */
const SLICE = 500;
/** Rows that others move or hold each time are somebody's all the time: the page is begun again, later. */
const MAX_TRIES = 40;
const LOOK_MS = 25;

/** What the page makes of a job. */
interface PageJob {
  readonly id: string;
  /** In the order of the log. */
  readonly events: readonly RecordedEvent[];
}

/** A row on its way: what it was read as, and what it becomes. */
interface Step {
  readonly id: string;
  readonly row: KnownRow | undefined;
  readonly after: FollowedJob;
  readonly ends: Ends;
}

/** A job that the page alone brings on, and the events that its row does not know. */
interface Ready extends PageJob {
  readonly row: KnownRow | undefined;
  readonly base: 'nothing' | 'row';
}

const endsOf = (row: KnownRow): Ends => ({ revision: Number(row.revision), work: Number(row.work_revision ?? -1) });

/** The ends after the events; undefined when they do not follow. */
const endsAfter = (before: Ends, events: readonly RecordedEvent[]): Ends | undefined => {
  let { revision, work } = before;
  for (const event of events) {
    const next = isFact(event) ? (work += 1) : (revision += 1);
    if (event.revision !== next) return undefined;
  }
  return { revision, work };
};

/** Whether a row knows of all that the page says of its job. */
export const knowsOf = (row: Pick<KnownRow, 'revision' | 'position'>, events: readonly RecordedEvent[]): boolean => {
  const last = events.findLast((event) => !isFact(event))?.revision ?? 0;
  return Number(row.revision) >= last && comparePositions(row.position, events.at(-1)!.position) >= 0;
};

/** One that begins in the page needs no word of its row, unless that knows what comes after the page. */
const fromNothing = (job: PageJob, row: KnownRow | undefined): Ready | undefined => {
  if (isFact(job.events[0]!) || endsAfter(NOWHERE, job.events) === undefined) return undefined;
  const knowsMore = row !== undefined && comparePositions(row.position, job.events.at(-1)!.position) > 0;
  return knowsMore ? undefined : { ...job, row, base: 'nothing' };
};

const fromRow = (job: PageJob, row: KnownRow, remembered: Ends | undefined): Ready | undefined => {
  const ends = endsOf(row);
  if (!isSound(row) || remembered?.revision !== ends.revision || remembered.work !== ends.work) return undefined;
  const events = job.events.filter((event) => event.revision > (isFact(event) ? ends.work : ends.revision));
  const [first] = events;
  const isBehind = first !== undefined && comparePositions(row.position, first.position) < 0;
  return isBehind && endsAfter(ends, events) !== undefined ? { ...job, events, row, base: 'row' } : undefined;
};

export class PageRows {
  readonly #ends = new Recent<string, Ends>(REMEMBERED);

  /**
   * @param jobs with the events of a page, in the order of the log
   * @param bring brings a job on from its streams, in a transaction of its own
   * @param mayTrust whether a row that this process left is gone on with
   * @throws Unavailable when rows are held by others for too long
   */
  async write(
    jobs: readonly PageJob[],
    tx: Tx,
    bring: (ids: readonly string[]) => Promise<void>,
    mayTrust: boolean,
  ): Promise<void> {
    let left = jobs;
    for (let tries = 0; left.length > 0; tries += 1) {
      if (tries >= MAX_TRIES) throw new Unavailable('rows of jobs are held by others');
      if (tries > 0) await pause(LOOK_MS);
      const rows = await readRows(left, tx);
      if (mayTrust) left = left.filter(({ id, events }) => !rows.has(id) || !knowsOf(rows.get(id)!, events));
      const ready = left.flatMap((job) => this.#ready(job, rows.get(job.id), mayTrust) ?? []);
      const isReady = new Set(ready.map(({ id }) => id));
      // Before rows are in hand: their transactions could wait for us.
      await bring(left.flatMap(({ id }) => (isReady.has(id) ? [] : [id])));
      const steps = await this.#fold(ready, tx);
      if (await writeAll(steps, tx)) {
        if (mayTrust) for (const { id, ends } of steps) this.#ends.set(id, ends);
        return;
      }
      left = left.filter(({ id }) => isReady.has(id));
    }
  }

  #ready(job: PageJob, row: KnownRow | undefined, mayTrust: boolean): Ready | undefined {
    const ready = fromNothing(job, row);
    if (ready !== undefined || row === undefined || !mayTrust) return ready;
    return fromRow(job, row, this.#ends.get(job.id));
  }

  async #fold(ready: readonly Ready[], tx: Tx): Promise<readonly Step[]> {
    const known = ready.filter(({ base }) => base === 'row');
    const keys = known.flatMap(({ id, events }) => events.filter(isFact).map((event) => factKey(id, event)));
    const counted = await countedBefore(keys, tx);
    return ready.map(({ id, events, row, base }) => {
      const isFirst = base === 'nothing' || row === undefined;
      const before: JobFold = isFirst ? NO_JOB : resume(row, counted.get(id) ?? []);
      try {
        const ends = endsAfter(isFirst ? NOWHERE : endsOf(row), events)!;
        return { id, row, after: follow(id, before, events), ends };
      } catch (error) {
        // What the page has of it from there on is not all.
        this.#ends.delete(id);
        throw error;
      }
    });
  }
}

const readRows = async (jobs: readonly PageJob[], tx: Tx): Promise<ReadonlyMap<string, KnownRow>> => {
  const rows = await tx.query<KnownRow>({
    name: 'jobs-of-page',
    text: `select ${JOB_COLUMNS}, j.work_revision from jobledger.jobs j where j.id = any ($1::uuid[])`,
    values: [ids(jobs)],
  });
  return new Map(rows.map((row) => [row.id, row]));
};

const ids = (jobs: readonly { readonly id: string }[]): Buffer =>
  binaryArray(
    'uuid',
    jobs.map(({ id }) => id),
  );

/** Writes all of it, or nothing: false when a row is not what it was, or locked. */
const writeAll = async (steps: readonly Step[], tx: Tx): Promise<boolean> => {
  if (steps.length === 0) return true;
  await tx.query({ text: 'savepoint rows' });
  const sorted = [...steps].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (let first = 0; first < sorted.length; first += SLICE) {
    if (await writeSlice(sorted.slice(first, first + SLICE), tx)) continue;
    await tx.query({ text: 'rollback to savepoint rows; release savepoint rows' });
    return false;
  }
  await writeFacts(sorted, tx);
  await tx.query({ text: 'release savepoint rows' });
  return true;
};

const writeSlice = async (steps: readonly Step[], tx: Tx): Promise<boolean> => {
  const there = steps.filter(({ row }) => row !== undefined);
  if (!(await holdAll(there, tx))) return false;
  const { text, values = [] } = putJobs(
    'jobledger',
    steps.map(({ after }) => after.stored!),
  );
  // A row that was not there and is now stays as it is.
  const put = await tx.query({
    name: 'jobs-put-page',
    text: `${text} where jobs.id = any ($${values.length + 1}::uuid[]) returning id`,
    values: [...values, ids(there)],
  });
  return put.length === steps.length;
};

/** Locks the rows that still are what they were read as, unless another has. */
const holdAll = async (steps: readonly Step[], tx: Tx): Promise<boolean> => {
  if (steps.length === 0) return true;
  const held = await tx.query({
    name: 'jobs-hold-page',
    text: `select j.id from unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[]) as r(id, revision, position, work)
      join jobledger.jobs j on j.id = r.id and j.revision = r.revision and j.position = r.position
        and coalesce(j.work_revision, -1) = r.work
      for update of j skip locked`,
    values: [
      ids(steps),
      ...[
        (row: KnownRow) => row.revision,
        (row: KnownRow) => row.position,
        (row: KnownRow) => row.work_revision ?? '-1',
      ].map((value) =>
        binaryArray(
          'int8',
          steps.map(({ row }) => value(row!)),
        ),
      ),
    ],
  });
  return held.length === steps.length;
};

const writeFacts = async (steps: readonly Step[], tx: Tx): Promise<void> => {
  const counted: FactKey[] = steps.flatMap(({ after }) => after.counted);
  await putFacts(counted, tx);
  const worked = steps.filter(({ ends }) => ends.work >= 0);
  if (worked.length > 0) {
    await tx.query({
      name: 'jobs-work-page',
      text: `update jobledger.jobs j set work_revision = r.work
        from unnest($1::uuid[], $2::int8[]) as r(id, work) where j.id = r.id`,
      values: [
        ids(worked),
        binaryArray(
          'int8',
          worked.map(({ ends }) => String(ends.work)),
        ),
      ],
    });
  }
  const late = steps.flatMap(({ id, after }) => after.late.map((revision) => ({ id, revision })));
  if (late.length > 0) {
    await tx.query({
      name: 'late-facts-page',
      text: `insert into jobledger.late_facts (job_id, revision) select * from unnest($1::uuid[], $2::int8[])
        on conflict do nothing`,
      values: [
        ids(late),
        binaryArray(
          'int8',
          late.map(({ revision }) => String(revision)),
        ),
      ],
    });
  }
};
