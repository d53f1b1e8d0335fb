/**
 * How the projections do, and whether one is as fresh as somebody needs it: read from the database, so in any process,
 * whether projections run in it or not.
 */
import { performance } from 'node:perf_hooks';
import type { Pool } from 'pg';
import { comparePositions, type EventStore, type Position, START } from '../event-store/event-store.js';
import { Checkpoints, type CheckpointRow } from './checkpoint.js';
import type { Projection } from './projection.js';
import { Wake } from './wake.js';

export interface ProjectionStatus {
  readonly name: string;
  readonly version: number;
  readonly position: Position;
  /** Between its position and the head: events on PostgreSQL, whose positions are dense. */
  readonly lagEvents: number;
  /** Age of the first event that it has not applied, ms; 0 when it is at the head. */
  readonly lagMs: number;
  /** The instance that leads, or led last. Null: none, or it has stopped. */
  readonly leader: string | null;
  /** Streams that it skips. */
  readonly parked: number;
  /** The one of them whose event stands first in the log; null when there is none. */
  readonly firstParked: string | null;
  /** Why it stands still. */
  readonly lastError: string | null;
}

/** A projection that is no further behind goes on as usual; one that is serves nobody who asks for what is now, ms. */
export const MAX_LAG_MS = 30_000;

/** How much of the log a projection has read, whole percent; 100 at its end alone. */
export const readPercent = ({ position, lagEvents }: Pick<ProjectionStatus, 'position' | 'lagEvents'>): number =>
  lagEvents === 0 ? 100 : Math.floor((Number(position) / (Number(position) + lagEvents)) * 100);

/** Between looks at the checkpoints while somebody waits, ms. */
const LOOK_MS = 25;

interface Waiter {
  readonly name: string;
  readonly position: Position;
  readonly settle: (reached: boolean) => void;
  readonly fail: (error: Error) => void;
}

type Parked = Readonly<Record<string, Pick<ProjectionStatus, 'parked' | 'firstParked'>>>;

const parkedOf = (parked: Parked, name: string) => parked[name] ?? { parked: 0, firstParked: null };

const withoutCheckpoint = ({ name, version }: Projection): CheckpointRow => ({
  ...{ name, version, position: START, hash: null, at: null, leader: null, leadsForMs: 0, lastError: null },
});

export class ProjectionWatch {
  private readonly checkpoints: Checkpoints;
  private readonly names: readonly string[];
  private readonly waiters = new Set<Waiter>();
  private readonly pause = new Wake();
  private looking = false;

  constructor(
    private readonly store: EventStore,
    private readonly pool: Pool,
    /** That are looked at. */
    private readonly projections: readonly Projection[],
    /** Tells the projection, where it runs in this process, that somebody waits for it. */
    private readonly hurry: (name: string) => void = () => undefined,
  ) {
    this.names = projections.map(({ name }) => name);
    this.checkpoints = new Checkpoints(pool, '');
  }

  /** Whether the projection is one of this installation's that follow the log. */
  has(name: string): boolean {
    return this.projections.some((projection) => projection.name === name && projection.inline !== true);
  }

  /** In order of name. One that has no checkpoint stands at the start; one that appends write is at the head. */
  async status(): Promise<readonly ProjectionStatus[]> {
    const following = this.projections.filter(({ inline }) => inline !== true);
    const [found, { parked, now }, head] = await Promise.all([
      this.checkpoints.read(following.map(({ name }) => name)),
      this.parkedAndNow(),
      this.store.head(),
    ]);
    const rows = following.map(
      (projection): CheckpointRow =>
        found.find(({ name }) => name === projection.name) ?? withoutCheckpoint(projection),
    );
    const followed = rows.map(async (row): Promise<ProjectionStatus> => ({
      name: row.name,
      version: row.version,
      position: row.position,
      // Positions of a log are numbers; how far apart two are is all that is asked of them here.
      lagEvents: Math.max(0, Number(BigInt(head.position) - BigInt(row.position))),
      lagMs: await this.lagMs(row, head.position, now),
      leader: row.leader,
      ...parkedOf(parked, row.name),
      lastError: row.lastError,
    }));
    const inline = this.projections.flatMap(({ name, version, inline: isInline }): ProjectionStatus[] =>
      isInline === true
        ? [
            {
              ...{ name, version, position: head.position, lagEvents: 0, lagMs: 0, leader: null, lastError: null },
              ...parkedOf(parked, name),
            },
          ]
        : [],
    );
    return [...(await Promise.all(followed)), ...inline].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Waits until a projection has applied everything up to a position.
   * @param timeoutMs longest wait
   * @returns false when it has not by then
   * @throws Unavailable when the database is away
   */
  async waitFor(name: string, position: Position, timeoutMs: number): Promise<boolean> {
    const reached = new Promise<boolean>((resolve, reject) => {
      const over = (): void => {
        clearTimeout(timer);
        this.waiters.delete(waiter);
      };
      const waiter: Waiter = {
        ...{ name, position },
        settle: (answer) => {
          over();
          resolve(answer);
        },
        fail: (error) => {
          over();
          reject(error);
        },
      };
      const timer = setTimeout(() => waiter.settle(false), timeoutMs);
      this.waiters.add(waiter);
    });
    this.pause.wake();
    if (!this.looking) void this.look();
    return reached;
  }

  /** One loop for all who wait. */
  private async look(): Promise<void> {
    this.looking = true;
    while (this.waiters.size > 0) {
      this.pause.clear();
      const began = performance.now();
      const waiters = [...this.waiters];
      try {
        const rows = await this.checkpoints.read(this.names);
        const positions = new Map(rows.map((row) => [row.name, row.position]));
        for (const waiter of this.waiters) {
          const position = positions.get(waiter.name);
          if (position !== undefined && comparePositions(position, waiter.position) >= 0) waiter.settle(true);
          else this.hurry(waiter.name);
        }
      } catch (error) {
        for (const waiter of waiters) waiter.fail(error as Error);
      }
      if (this.waiters.size > 0) await this.pause.wait(Math.max(1, LOOK_MS - (performance.now() - began)));
    }
    this.looking = false;
  }

  private async parkedAndNow(): Promise<{ parked: Parked; now: number }> {
    const { rows } = await this.pool.query<{ parked: Parked | null; now: number }>({
      name: 'projections-parked',
      text: `select extract(epoch from clock_timestamp())::float8 * 1000 as now,
        (select json_object_agg(projection, json_build_object('parked', n, 'firstParked', first)) from (
          select projection, count(*) as n, (array_agg(stream order by position, stream))[1] as first
          from jobledger.parked group by projection) p) as parked`,
    });
    const { parked, now } = rows[0]!;
    return { parked: parked ?? {}, now };
  }

  private async lagMs(row: CheckpointRow, head: Position, now: number): Promise<number> {
    if (comparePositions(row.position, head) >= 0) return 0;
    const { events } = await this.store.readAll({ after: row.position, limit: 1 });
    const oldest = events[0];
    return oldest === undefined ? 0 : Math.max(0, Math.floor(now - Date.parse(oldest.at)));
  }
}
