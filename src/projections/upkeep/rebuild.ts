/**
 * A projection made anew: in pages beside the live one, which goes on answering, until it has nearly met the head; then
 * the last pages and the swap, in one transaction.
 *
 * No transaction is longer than a page, and no snapshot is held. Appends wait for the last pages alone; readers of the
 * live tables wait for the swap, and the swap for them, 0.2 s at a time.
 */
import { performance } from 'node:perf_hooks';
import type { Pool } from 'pg';
import { type EventStore, type Position, START } from '../../event-store/event-store.js';
import { countParked } from '../parked.js';
import { pauseFor } from '../wake.js';
import { BUILDING_SCHEMA, TakenOver, type Building } from './building.js';
import { dropRetired, NotYet, swap, withFence, type FenceDependencies } from './fence.js';
import type { UpkeepRuns } from './upkeep-runs.js';
import type { Work } from './work.js';

export interface RebuildDependencies extends FenceDependencies {
  readonly runs: UpkeepRuns;
}

/** So few events behind the head, the rest can be done while appends wait. */
const NEAR = 1_000;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 5_000;

/** Applies the log until the end is near, or the rounds do not get shorter: then it is as near as it gets. */
export const approachHead = async (building: Building, work: Work, store: EventStore): Promise<void> => {
  let before = Infinity;
  for (;;) {
    const { position } = await store.head();
    const events = await building.catchUp(position, work.signal, work.onPage);
    if (events <= NEAR || events >= before) return;
    before = events;
  }
};

/** Does something in the fence, again and again until there is a moment for it. */
export const whenPossible = async <T>(work: Work, attempt: () => Promise<T>): Promise<T> => {
  let pauseMs = FIRST_RETRY_MS;
  for (;;) {
    work.signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof NotYet)) throw error;
    }
    await pauseFor(pauseMs, work.signal);
    pauseMs = Math.min(2 * pauseMs, LAST_RETRY_MS);
  }
};

/** Columns of the table's indexes, and of their conditions. */
const INDEXED = `select string_agg(quote_ident(a.attname), ', ') as columns from pg_attribute a
  where a.attrelid = $1::regclass and a.attnum > 0 and exists (
    select from pg_index i where i.indrelid = a.attrelid and (a.attnum = any (i.indkey) or exists (
      select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
        and d.refobjid = a.attrelid and d.refobjsubid = a.attnum)))`;

/**
 * What the planner knows of the tables, before anybody asks it: for the first queries after the swap, which go by an
 * index. Of the other columns, whose values may be large, autovacuum asks in its time: a sample of all takes twice as long,
 * 0.4 s, however many rows there are.
 */
export const analyze = async ({ live }: Building, { pool }: Pick<FenceDependencies, 'pool'>): Promise<void> => {
  for (const { name } of live.tables) {
    const table = `${BUILDING_SCHEMA}.${name}`;
    const { rows } = await pool.query<{ columns: string | null }>(INDEXED, [table]);
    const columns = rows[0]?.columns ?? null;
    await pool.query(columns === null ? `analyze ${table}` : `analyze ${table} (${columns})`);
  }
};

const transactionNow = async (pool: Pool): Promise<string> => {
  const { rows } = await pool.query<{ id: string }>('select pg_current_xact_id()::xid::text as id');
  return rows[0]!.id;
};

interface Swapped {
  readonly position: Position;
  /** Streams with an event that could not be read. */
  readonly parked: number;
}

export class Rebuild {
  constructor(
    private readonly building: Building,
    private readonly work: Work,
    private readonly on: RebuildDependencies,
  ) {}

  async run(): Promise<object> {
    const { building, work, on } = this;
    const began = performance.now();
    const { live } = building;
    // Of one that is gone on with nobody remembers.
    const isNew = live.prune !== undefined && (await building.checkpoint()).position === START;
    const since = isNew ? await transactionNow(on.pool) : null;
    await approachHead(building, work, on.store);
    await analyze(building, on);
    await live.prune?.(since, work.signal);
    await work.enter('swapping');
    const swapped = await whenPossible(work, async () => {
      await approachHead(building, work, on.store);
      return this.swap();
    });
    await whenPossible(work, () => dropRetired(building, on));
    return { ...swapped, durationMs: Math.round(performance.now() - began) };
  }

  private swap(): Promise<Swapped> {
    const { building, work, on } = this;
    return withFence(building, { meeting: 'head', swaps: true }, on, async (tx, position) => {
      const swapped = { position, parked: await countParked(tx, building.projection.name) };
      await swap(tx, building);
      if (!(await on.runs.enter(tx, work.run.id, 'dropping', swapped))) throw new TakenOver(building.live.name);
      return swapped;
    });
  }
}
