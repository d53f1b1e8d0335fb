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
import { applyPage } from '../apply-page.js';
import { checkpointAt, verifyCheckpoint, type Checkpoint, type Checkpoints } from '../checkpoint.js';
import type { Projection } from '../projection.js';
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
 * Events of a transaction, read page by page. A job's row is written once a transaction, whatever happened to it there:
 * in pages of 2,000 a rebuild cost 25 µs an event here and 19 in the database, in stretches of 20,000 12 and 9.
 */
const STRETCH_EVENTS = 20_000;

/** Of their data, as text: values may be large, and a stretch is in memory as a whole, the next one too. */
const STRETCH_CHARACTERS = 8 * 1_048_576;

/** The lead of a row that only its run of upkeep works on. */
const LEAD_MS = 10_000;

export const buildingName = (name: string): string => `${name}~building`;
export const retiredName = (name: string): string => `${name}~retired`;

/** Somebody else works on what is made anew. */
export class TakenOver extends Error {
  constructor(name: string) {
    super(`another process has taken over ${name}`);
  }
}

export class Building {
  /** The live projection under the name of the one that is made anew. */
  readonly projection: Projection;

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

  /** Pages after a checkpoint, as many as go into one transaction. */
  private async stretch(after: Position, goal: Position): Promise<Page> {
    const events: RecordedEvent[] = [];
    let next = after;
    let characters = 0;
    while (comparePositions(next, goal) < 0 && events.length < STRETCH_EVENTS && characters < STRETCH_CHARACTERS) {
      const page = await this.page(next, goal);
      for (const event of page.events) events.push(event);
      characters += page.characters ?? 0;
      next = page.next;
    }
    return { events, next };
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
    let events = 0;
    let ahead: Promise<Page> | undefined;
    while (comparePositions(from.position, goal) < 0) {
      signal.throwIfAborted();
      const page = await (ahead ?? this.stretch(from.position, goal));
      ahead = comparePositions(page.next, goal) < 0 ? this.stretch(page.next, goal) : undefined;
      // It is awaited in the next turn, if there is one.
      ahead?.catch(() => undefined);
      from = await this.apply(from, page);
      events += page.events.length;
      onPage(from.position, page.events.length);
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

  private async apply(from: Checkpoint, page: Page): Promise<Checkpoint> {
    const step = await this.step(from, page);
    const parked = await applyPage({ ...this.on, projection: this.projection }, step, BUILDING_SCHEMA);
    if (parked === undefined) throw new TakenOver(this.projection.name);
    return step.to;
  }
}
