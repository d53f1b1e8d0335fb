/**
 * Makes up for rows of jobs that an append to a log elsewhere did not leave: its process died between the two, or the
 * database was away. It follows the log, and replays each job whose row does not know of what the page says.
 *
 * A row is written a moment after its events, so one that is behind young events is looked at again before it is
 * replayed. What was repaired is committed before the checkpoint moves: a crash repeats it.
 *
 * Made anew (`upkeep`), it takes no row's word: each job is replayed once, at its first event, and written again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { jobIdOf } from '../../domain/streams.js';
import { comparePositions, type Position, type RecordedEvent } from '../../event-store/event-store.js';
import type { Projection } from '../projection.js';
import type { Tx } from '../transaction.js';
import { catchUpJob, type CatchUpDependencies, inLots } from './catch-up.js';
import { repairRow } from './repair-row.js';

/** How often the transaction says that it lives while rows are written beside it; idle, it would be ended. */
const ALIVE_MS = 500;
/** How old the events are that a row must know of. */
const GRACE_MS = 200;
const LOOK_MS = 25;

interface Place {
  readonly revision: number;
  readonly position: Position;
}

/** What the rows of the page's jobs must know of, at least. */
const placesOf = (events: readonly RecordedEvent[]): ReadonlyMap<string, Place> => {
  const places = new Map<string, Place>();
  for (const { stream, revision, position } of events) {
    const jobId = stream.startsWith('refusals-') ? null : jobIdOf(stream);
    if (jobId === null) continue;
    const before = places.get(jobId) ?? { revision: 0, position: '0' };
    places.set(jobId, { revision: stream.startsWith('job-') ? revision : before.revision, position });
  }
  return places;
};

/** Jobs that begin in the page. */
const bornIn = (events: readonly RecordedEvent[]): readonly string[] =>
  events.flatMap(({ stream, revision }) => {
    const jobId = revision === 0 && stream.startsWith('job-') ? jobIdOf(stream) : null;
    return jobId === null ? [] : [jobId];
  });

const behind = async (tx: Tx, places: ReadonlyMap<string, Place>): Promise<readonly string[]> => {
  const rows = await tx.query<{ id: string; revision: string; position: string }>({
    name: 'rows-behind',
    text: 'select id, revision::text, position::text from jobledger.jobs where id = any ($1::uuid[])',
    values: [[...places.keys()]],
  });
  const known = new Map(rows.map((row) => [row.id, row]));
  return [...places].flatMap(([id, { revision, position }]) => {
    const row = known.get(id);
    const knows =
      row !== undefined && Number(row.revision) >= revision && comparePositions(row.position, position) >= 0;
    return knows ? [] : [id];
  });
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

/** @param now epoch ms, of the clock that gives events their times */
export const rowFollower = (on: CatchUpDependencies, now: () => number): Projection => ({
  name: JOB_ROWS,
  version: 1,
  tables: [],
  gapMs: 20,
  apply: async (events, tx) => {
    const places = placesOf(events);
    if (places.size === 0) return;
    const youngest = Math.max(...events.map(({ at }) => Date.parse(at)));
    let late = await behind(tx, places);
    while (late.length > 0 && now() < youngest + GRACE_MS) {
      await pause(LOOK_MS);
      late = await behind(tx, places);
    }
    const isMadeAnew = tx.schema !== 'jobledger';
    const written = isMadeAnew ? [...new Set([...late, ...bornIn(events)])] : late;
    const write = (jobId: string): Promise<unknown> =>
      isMadeAnew ? repairRow(on.store, on.rows, jobId) : catchUpJob(on, jobId);
    await alive(tx, inLots(written, write));
  },
});
