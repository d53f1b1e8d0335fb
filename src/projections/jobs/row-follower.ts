/**
 * Makes up for rows of jobs that an append to a log elsewhere did not leave: its process died between the two, or the
 * database was away. It follows the log, and brings on the rows that do not know of what a page says, all of them at once
 * (`page-rows.ts`).
 *
 * A row is written a moment after its events, so one that is behind young events is looked at again before it is
 * brought on. What is read from streams is committed before the checkpoint moves: a crash repeats it.
 *
 * Made anew (`upkeep`), it takes no row's word: each job is made of its events from the first on, and written again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { isJobStream, isRefusalsStream, jobIdOf } from '../../domain/streams.js';
import type { RecordedEvent } from '../../event-store/event-store.js';
import type { Projection } from '../projection.js';
import type { Tx } from '../transaction.js';
import { catchUpJob, catchUpToShow, type CatchUpDependencies, inLots } from './catch-up.js';
import { knowsOf, PageRows } from './page-rows.js';
import { repairRow } from './repair-row.js';

/** How often the transaction says that it lives while rows are written beside it; idle, it would be ended. */
const ALIVE_MS = 500;
/** For how long rows are waited for that do not know yet of events that are young: who appended those writes them. */
const GRACE_MS = 500;
const YOUNG_MS = 10_000;
const LOOK_MS = 25;

/** Before every id that there is. */
const FIRST_ID = '00000000-0000-0000-0000-000000000000';
const PRUNED_AT_ONCE = 500;

/** Jobs with their events of the page, in order. */
const jobsOf = (events: readonly RecordedEvent[]): ReadonlyMap<string, readonly RecordedEvent[]> => {
  const jobs = new Map<string, RecordedEvent[]>();
  for (const event of events) {
    const jobId = isRefusalsStream(event.stream) ? null : jobIdOf(event.stream);
    if (jobId === null) continue;
    const own = jobs.get(jobId);
    if (own === undefined) jobs.set(jobId, [event]);
    else own.push(event);
  }
  return jobs;
};

const isBorn = ([first]: readonly RecordedEvent[]): boolean => first?.revision === 0 && isJobStream(first.stream);

type Jobs = ReadonlyMap<string, readonly RecordedEvent[]>;

/** Jobs whose rows do not know of all that the page says. */
const behind = async (tx: Tx, jobs: Jobs): Promise<ReadonlySet<string>> => {
  const rows = await tx.query<{ id: string; revision: string; position: string }>({
    name: 'rows-behind',
    text: 'select id, revision::text, position::text from jobledger.jobs where id = any ($1::uuid[])',
    values: [[...jobs.keys()]],
  });
  const known = new Map(rows.map((row) => [row.id, row]));
  const late = [...jobs].flatMap(([id, events]) => {
    const row = known.get(id);
    return row !== undefined && knowsOf(row, events) ? [] : [id];
  });
  return new Set(late);
};

/** Of a process that freezes nothing is heard, and the session ends. */
const alive = async (tx: Tx, work: Promise<void>): Promise<void> => {
  let said: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    said = tx.query({ text: 'select' }).catch(() => undefined);
  }, ALIVE_MS);
  try {
    await work;
  } finally {
    clearInterval(timer);
    await said;
  }
};

/** Name of the projection: beside a log elsewhere, rows of jobs are as fresh as it is. */
export const JOB_ROWS = 'job_rows';

/** The tables of the rows that answer: a rebuild writes them in place. */
const onLive = (tx: Tx): Tx =>
  tx.schema === 'jobledger'
    ? tx
    : { schema: 'jobledger', query: ({ text, values = [] }) => tx.query({ text, values }) };

/** @param now epoch ms, of the clock that gives events their times */
export const rowFollower = (on: CatchUpDependencies, now: () => number): Projection => {
  const pageRows = new PageRows();
  return {
    name: JOB_ROWS,
    version: 1,
    tables: [],
    gapMs: 20,
    prune: async (since, signal) => {
      for (let after = FIRST_ID; ;) {
        signal.throwIfAborted();
        // A row that was written since stands for a job of the log; any other is held against its stream.
        const { rows } = await on.pool.query<{ id: string }>({
          text: `select id from jobledger.jobs where id > $1 and ($2::xid is null or age(xmin) >= age($2::xid))
            order by id limit $3`,
          values: [after, since, PRUNED_AT_ONCE],
        });
        await catchUpToShow(
          { ...on, isRestored: true },
          rows.map(({ id }) => id),
        );
        const last = rows.at(-1);
        if (last === undefined) return;
        after = last.id;
      }
    },
    apply: async (events, given) => {
      const jobs = jobsOf(events);
      if (jobs.size === 0) return;
      const tx = onLive(given);
      const youngest = Math.max(...events.map(({ at }) => Date.parse(at)));
      const until = Math.min(now() + GRACE_MS, youngest + YOUNG_MS);
      let late = await behind(tx, jobs);
      while (late.size > 0 && now() < until) {
        await pause(LOOK_MS);
        late = await behind(tx, jobs);
      }
      const isMadeAnew = given !== tx;
      const written = [...jobs].flatMap(([id, own]) =>
        late.has(id) || (isMadeAnew && isBorn(own)) ? [{ id, events: own }] : [],
      );
      const bring = (jobId: string): Promise<unknown> =>
        isMadeAnew ? repairRow(on.store, on.rows, jobId) : catchUpJob(on, jobId);
      await alive(
        tx,
        pageRows.write(written, tx, (ids) => inLots(ids, bring), !isMadeAnew),
      );
    },
  };
};
