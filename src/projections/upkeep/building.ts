/**
 * A projection that is made anew beside the live one: the same events into tables of another schema, with a checkpoint
 * and parked streams of its own. Nobody reads it, so it may be behind, or thrown away, at any time.
 */
import type { Pool } from 'pg';
import {
  comparePositions,
  type EventStore,
  type Page,
  type Position,
  type RecordedEvent,
} from '../../event-store/event-store.js';
import { applyFold, applyPage, isUnreadable } from '../apply-page.js';
import { checkpointAt, verifyCheckpoint, type Checkpoint, type Checkpoints } from '../checkpoint.js';
import { parkedStreams } from '../parked.js';
import type { Fold, Projection } from '../projection.js';
import { inTransaction, type ProjectionSchema } from '../transaction.js';

export const BUILDING_SCHEMA: ProjectionSchema = 'jobledger_building';

export interface BuildingDependencies {
  readonly store: EventStore;
  readonly pool: Pool;
  readonly checkpoints: Checkpoints;
}

/** Events that are read at once. More keep an event loop that others wait for too long. */
const PAGE_SIZE = 2_000;

/**
 * Events of a transaction, read page by page. A job's row is written once a transaction, whatever happened to it there, and
 * read again where it began in one before: in pages of 2,000 a rebuild cost 25 µs an event here and 19 in the database, in
 * stretches of 20,000 12 and 9; since they are copied, and folded as they are read, 9 and 8; in stretches of 40,000 a sixth
 * less of both. More gains little, and what is folded is in memory twice.
 */
const STRETCH_EVENTS = 40_000;

/** Of their data, as text: values may be large, and those of a stretch are in memory, and of the next one. */
const STRETCH_CHARACTERS = 8 * 1_048_576;

/** The lead of a row that only its run of upkeep works on. */
const LEAD_MS = 10_000;

export const buildingName = (name: string): string => `${name}~building`;
export const retiredName = (name: string): string => `${name}~retired`;

/** Events that go into one transaction. */
interface Stretch {
  /** What is made of them; undefined when one of them cannot be read. */
  fold: Fold | undefined;
  /** Everything up to here is in it. */
  next: Position;
  /** The last event alone; none in a stretch without events. */
  last: readonly RecordedEvent[];
  count: number;
}

/** Of a projection that needs the events themselves. */
const keep = (projection: Projection): Fold => {
  const kept: RecordedEvent[] = [];
  return {
    add: (events) => {
      for (const event of events) kept.push(event);
    },
    write: (tx) => projection.apply(kept, tx),
  };
};

/** Somebody else works on what is made anew. */
export class TakenOver extends Error {
  constructor(name: string) {
    super(`another process has taken over ${name}`);
  }
}

export class Building {
  /** The live projection under the name of the one that is made anew. */
  readonly projection: Projection;
  /** Streams that it skips. */
  private parked: Set<string> = new Set();

  constructor(
    readonly live: Projection,
    private readonly on: BuildingDependencies,
  ) {
    this.projection = { ...live, name: buildingName(live.name) };
  }

  /** Empty tables, at the start of the log. What was there goes. */
  async begin(): Promise<void> {
    const { name, version, tables } = this.projection;
    await inTransaction(this.on.pool, async (tx) => {
      await tx.query({
        text: `insert into jobledger.projections (name, version, state) values ($1, $2, 'building')
          on conflict (name) do update set version = $2, position = 0, hash = null, at = null, last_error = null`,
        values: [name, version],
      });
      await tx.query({ text: 'delete from jobledger.parked where projection = $1', values: [name] });
      for (const table of tables) {
        await tx.query({ text: 'select jobledger.create_beside($1)', values: [table.name] });
      }
    });
  }

  /** Whether what is there can be gone on with: made by this version, from this log. */
  async isUsable(): Promise<boolean> {
    const [row] = await this.on.checkpoints.read([this.projection.name]);
    if (row?.version !== this.projection.version) return false;
    try {
      await verifyCheckpoint(this.on.store, this.projection.name, row);
      return true;
    } catch {
      return false;
    }
  }

  async checkpoint(): Promise<Checkpoint> {
    const [row] = await this.on.checkpoints.read([this.projection.name]);
    if (row === undefined) throw new TakenOver(this.projection.name);
    return row;
  }

  /** The page after a checkpoint, cut off after the goal. */
  async page(after: Position, goal: Position): Promise<Page> {
    const { types } = this.projection;
    const page = await this.on.store.readAll({ after, limit: PAGE_SIZE, ...(types && { filter: { types } }) });
    if (page.next === after) throw new Error(`the log ends at ${after}, before ${goal}`);
    if (comparePositions(page.next, goal) <= 0) return page;
    return { ...page, events: page.events.filter(({ position }) => comparePositions(position, goal) <= 0), next: goal };
  }

  /** Pages after a checkpoint, as many as go into one transaction, folded as they come; the next one is read meanwhile. */
  private async stretch(after: Position, goal: Position): Promise<Stretch> {
    const stretch: Stretch = {
      fold: this.projection.fold?.() ?? keep(this.projection),
      next: after,
      last: [],
      count: 0,
    };
    let characters = 0;
    let ahead = this.readAhead(after, goal);
    while (ahead !== undefined && stretch.count < STRETCH_EVENTS && characters < STRETCH_CHARACTERS) {
      const page = await ahead;
      characters += page.characters ?? 0;
      stretch.next = page.next;
      stretch.count += page.events.length;
      stretch.last = page.events.length === 0 ? stretch.last : page.events.slice(-1);
      const isLast = stretch.count >= STRETCH_EVENTS || characters >= STRETCH_CHARACTERS;
      ahead = isLast ? undefined : this.readAhead(page.next, goal);
      try {
        stretch.fold?.add(this.parked.size === 0 ? page.events : page.events.filter((event) => !this.skips(event)));
      } catch {
        stretch.fold = undefined;
      }
    }
    return stretch;
  }

  private readAhead(after: Position, goal: Position): Promise<Page> | undefined {
    if (comparePositions(after, goal) >= 0) return undefined;
    const page = this.page(after, goal);
    // It is awaited a moment later.
    page.catch(() => undefined);
    return page;
  }

  private skips({ stream }: RecordedEvent): boolean {
    return this.parked.has(stream);
  }

  /**
   * Applies the log up to a position, in stretches, each in a transaction of its own; the next one is read meanwhile.
   * @returns how many events
   */
  async catchUp(
    goal: Position,
    signal: AbortSignal,
    onPage: (position: Position, events: number) => void,
  ): Promise<number> {
    let from = await this.checkpoint();
    this.parked = await parkedStreams(this.on.pool, this.projection.name);
    let events = 0;
    let ahead: Promise<Stretch> | undefined;
    while (comparePositions(from.position, goal) < 0) {
      signal.throwIfAborted();
      const stretch = await (ahead ?? this.stretch(from.position, goal));
      ahead = comparePositions(stretch.next, goal) < 0 ? this.stretch(stretch.next, goal) : undefined;
      // It is awaited in the next turn, if there is one.
      ahead?.catch(() => undefined);
      const skipped = this.parked.size;
      from = await this.apply(from, stretch);
      // What was read ahead still has the streams that have been parked.
      if (this.parked.size > skipped) ahead = undefined;
      events += stretch.count;
      onPage(from.position, stretch.count);
    }
    return events;
  }

  /** A step from a checkpoint over a page, as `applyPage` takes it. */
  async step(from: Checkpoint, page: Page) {
    const to = await checkpointAt(this.on.store, page, from);
    return { from: from.position, to, events: page.events, leadMs: LEAD_MS };
  }

  /** Takes what was made away. */
  async drop(): Promise<void> {
    const { name, tables } = this.projection;
    await inTransaction(this.on.pool, async (tx) => {
      await tx.query({ text: 'delete from jobledger.parked where projection = $1', values: [name] });
      await tx.query({ text: 'delete from jobledger.projections where name = $1', values: [name] });
      for (const table of tables) {
        await tx.query({ text: `drop table if exists ${BUILDING_SCHEMA}.${table.name}` });
      }
    });
  }

  private async apply(from: Checkpoint, { fold, next, last }: Stretch): Promise<Checkpoint> {
    const on = { ...this.on, projection: this.projection };
    const step = await this.step(from, { events: last, next });
    try {
      if (fold !== undefined) {
        if (!(await applyFold(on, step, fold, BUILDING_SCHEMA))) throw new TakenOver(this.projection.name);
        return step.to;
      }
    } catch (error) {
      if (error instanceof TakenOver || !isUnreadable(error)) throw error;
    }
    const parked = await applyPage(on, { ...step, events: await this.eventsOf(from.position, next) }, BUILDING_SCHEMA);
    if (parked === undefined) throw new TakenOver(this.projection.name);
    for (const { stream } of parked) this.parked.add(stream);
    return step.to;
  }

  /** The events of a stretch, one of which is to blame. */
  private async eventsOf(after: Position, upTo: Position): Promise<readonly RecordedEvent[]> {
    const events: RecordedEvent[] = [];
    let next = after;
    while (comparePositions(next, upTo) < 0) {
      const page = await this.page(next, upTo);
      for (const event of page.events) events.push(event);
      next = page.next;
    }
    return events;
  }
}
