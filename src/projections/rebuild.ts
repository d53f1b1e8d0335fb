/** A projection made anew from the first event on, in place. */
import type { Pool } from 'pg';
import type { EventStore } from '../event-store/event-store.js';
import { applyPage } from './apply-page.js';
import { checkpointAt, type Checkpoints } from './checkpoint.js';
import type { Projection } from './projection.js';
import { inTransaction } from './transaction.js';

export interface RebuildDependencies {
  readonly store: EventStore;
  readonly pool: Pool;
  readonly checkpoints: Checkpoints;
}

const PAGE_SIZE = 1_000;
const LEAD_MS = 10_000;

/**
 * Empties the projection and applies the log to it until its end. Until then it says less than it did. A runner that
 * works on it meanwhile does no harm: each page is applied once, by one of the two.
 */
export const rebuildFromZero = async (projection: Projection, on: RebuildDependencies): Promise<void> => {
  const { pool, checkpoints } = on;
  await checkpoints.ensure(projection);
  await inTransaction(pool, async (tx) => {
    // Its lock comes first, as in `applyPage`.
    await tx.query({
      text: `update jobledger.projections set version = $2, position = 0, hash = null, at = null, last_error = null
        where name = $1`,
      values: [projection.name, projection.version],
    });
    await tx.query({ text: `truncate ${projection.tables.join(', ')}` });
    await tx.query({ text: 'delete from jobledger.parked where projection = $1', values: [projection.name] });
  });
  while (await applyNext(projection, on));
  await checkpoints.resign(projection.name);
};

/** @returns false when the log has no more */
const applyNext = async (projection: Projection, on: RebuildDependencies): Promise<boolean> => {
  const { store, checkpoints } = on;
  const [from] = await checkpoints.read([projection.name]);
  if (from === undefined) throw new Error(`projection ${projection.name} has no row`);
  const { types } = projection;
  const page = await store.readAll({ after: from.position, limit: PAGE_SIZE, ...(types && { filter: { types } }) });
  if (page.next === from.position) return false;
  const to = await checkpointAt(store, page, from);
  const step = { from: from.position, to, events: page.events, leadMs: LEAD_MS };
  await applyPage({ ...on, projection }, step);
  return true;
};
