/**
 * The end of a rebuild: one transaction in which the live projection stands still, the one beside it is brought to the
 * same position, and what has to be done at one position is done.
 *
 * A projection that appends write stands still under the lock of the log; one that follows the log, under the lock of
 * its checkpoint, so that no append waits for it.
 */
import type { Pool } from 'pg';
import { comparePositions, START, type EventStore, type Position } from '../../event-store/event-store.js';
import { applyPageIn } from '../apply-page.js';
import type { Checkpoints } from '../checkpoint.js';
import { inTransaction, StatementFailed, type Tx } from '../transaction.js';
import { BUILDING_SCHEMA, buildingName, retiredName, TakenOver, type Building } from './building.js';

export interface FenceDependencies {
  readonly store: EventStore;
  readonly pool: Pool;
  readonly checkpoints: Checkpoints;
}

/** Most pages that are applied while others wait. */
const MAX_PAGES = 3;

/** Longest wait for readers of a live table, ms: whoever comes later waits behind it. */
const LOCK_TIMEOUT_MS = 200;

/**
 * Longest wait for a vacuum or an analyze of a live table, ms. An automatic one gives way to who has waited for 1 s
 * (`deadlock_timeout`), so the short wait of the swap would meet it again and again, for as long as it takes.
 */
const VACUUM_TIMEOUT_MS = 5_000;

/** More is left than others may be kept waiting for: go on beside, and come back. */
export class NotYet extends Error {}

/** @throws NotYet when a lock was not to be had in time */
const locking = async (tx: Tx, timeoutMs: number, reason: string, lock: () => Promise<unknown>): Promise<void> => {
  try {
    await tx.query({ text: `set local lock_timeout = ${timeoutMs}` });
    await lock();
    await tx.query({ text: 'set local lock_timeout = 0' });
  } catch (error) {
    if (!(error instanceof StatementFailed && error.isLockTimeout)) throw error;
    throw new NotYet(reason);
  }
};

/** Keeps vacuum away from tables that are to be swapped. Nobody else notices: reads and writes go on. */
const keepVacuumAway = (tx: Tx, { live }: Building): Promise<void> =>
  locking(tx, VACUUM_TIMEOUT_MS, 'its tables are vacuumed or analyzed', async () => {
    for (const { name } of live.tables) {
      await tx.query({ text: `lock table jobledger.${name} in share update exclusive mode` });
    }
  });

const lockCheckpoint = async (tx: Tx, name: string): Promise<Position> => {
  const rows = await tx.query<{ position: string }>({
    text: 'select position::text from jobledger.projections where name = $1 for update',
    values: [name],
  });
  return rows[0]?.position ?? START;
};

/** Where both are to stand: `live` at the position of the live projection, `head` at that of the log. */
export type Meeting = 'live' | 'head';

/**
 * @param swaps whether `work` may swap
 * @param work done at the position where both stand
 * @throws NotYet, TakenOver
 */
export const withFence = async <T>(
  building: Building,
  { meeting, swaps }: { readonly meeting: Meeting; readonly swaps: boolean },
  on: FenceDependencies,
  work: (tx: Tx, position: Position) => Promise<T>,
): Promise<T> => {
  const { live, projection } = building;
  return inTransaction(
    on.pool,
    async (tx) => {
      await tx.query({ text: 'set local synchronous_commit = on' });
      if (swaps) await keepVacuumAway(tx, building);
      if (live.inline === true) await tx.query({ text: 'select jobledger.lock_log()' });
      const standsAt = await lockCheckpoint(tx, live.name);
      const goal = live.inline === true || meeting === 'head' ? (await on.store.head()).position : standsAt;
      let from = await building.checkpoint();
      for (let pages = 0; comparePositions(from.position, goal) < 0; pages += 1) {
        if (pages === MAX_PAGES) throw new NotYet('too many events have come meanwhile');
        const step = await building.step(from, await building.page(from.position, goal));
        if ((await applyPageIn(tx, { ...on, projection }, step)) === undefined) throw new TakenOver(projection.name);
        from = step.to;
      }
      if (comparePositions(from.position, goal) > 0) throw new NotYet('the live projection has to come as far');
      return work(tx, from.position);
    },
    BUILDING_SCHEMA,
  );
};

/**
 * Puts what was made beside in the place of the live projection, in the transaction of a fence.
 * @throws NotYet while somebody reads the live tables
 */
export const swap = async (tx: Tx, { live }: Building): Promise<void> => {
  const { name, tables } = live;
  await locking(tx, LOCK_TIMEOUT_MS, 'somebody reads its tables in a long transaction', () =>
    tx.query({ text: 'select jobledger.swap_beside($1)', values: [tables.map((table) => table.name)] }),
  );
  await moveParked(tx, name);
  await tx.query({ text: 'delete from jobledger.projections where name = $1', values: [retiredName(name)] });
  await tx.query({
    text: `update jobledger.projections set name = $2, state = 'retired', leader = null, leads_until = null where name = $1`,
    values: [name, retiredName(name)],
  });
  await tx.query({
    text: `update jobledger.projections set name = $2, state = 'live', leader = null, leads_until = null where name = $1`,
    values: [buildingName(name), name],
  });
};

/** What could not be read beside cannot be read at all; what could be read is no longer parked. */
export const moveParked = async (tx: Tx, name: string): Promise<void> => {
  await tx.query({ text: 'delete from jobledger.parked where projection = $1', values: [name] });
  await tx.query({
    text: 'update jobledger.parked set projection = $2 where projection = $1',
    values: [buildingName(name), name],
  });
};

/** Takes away the tables that were replaced. Whoever still reads them is waited for no longer than a moment. */
export const dropRetired = async (building: Building, { pool }: Pick<FenceDependencies, 'pool'>): Promise<void> => {
  const { name, tables } = building.live;
  await inTransaction(pool, async (tx) => {
    await locking(tx, LOCK_TIMEOUT_MS, 'somebody reads the tables that were replaced', async () => {
      for (const table of tables) await tx.query({ text: `drop table if exists jobledger_retired.${table.name}` });
    });
    await tx.query({ text: 'delete from jobledger.projections where name = $1', values: [retiredName(name)] });
  });
};
