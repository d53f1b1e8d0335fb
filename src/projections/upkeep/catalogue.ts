/** The projections of this program as the database has them: the live ones, what is made anew, what waits to be dropped. */
import type { Pool } from 'pg';
import { START, type Position } from '../../event-store/event-store.js';
import { Checkpoints } from '../checkpoint.js';
import { digest } from '../digest.js';
import { listParked, type ParkedEntry } from '../parked.js';
import type { ProjectionStatus, ProjectionWatch } from '../projection-watch.js';
import type { Projection } from '../projection.js';
import { inTransaction } from '../transaction.js';
import { buildingName, retiredName } from './building.js';
import { UpkeepRuns, type UpkeepRun } from './upkeep-runs.js';

/** Another generation of a projection, beside the live one. */
export interface Generation {
  readonly state: 'building' | 'retired';
  readonly version: number;
  readonly position: Position;
}

export interface CataloguedProjection extends ProjectionStatus {
  /** Written by the appends themselves. */
  readonly inline: boolean;
  readonly generations: readonly Generation[];
  /** The last run of upkeep on it. */
  readonly upkeep: UpkeepRun | null;
}

/** Parked streams that are listed. */
const MAX_PARKED = 100;

export class ProjectionCatalogue {
  private readonly checkpoints: Checkpoints;
  private readonly runs: UpkeepRuns;

  constructor(
    private readonly on: {
      readonly pool: Pool;
      readonly projections: readonly Projection[];
      readonly watch: ProjectionWatch;
    },
  ) {
    this.checkpoints = new Checkpoints(on.pool, '');
    this.runs = new UpkeepRuns(on.pool, '');
  }

  /** In the order of the program. */
  get names(): readonly string[] {
    return this.on.projections.map(({ name }) => name);
  }

  /** In the order of the program. One that follows the log and never ran stands at the start. */
  async list(): Promise<readonly CataloguedProjection[]> {
    const { projections, watch } = this.on;
    const { names } = this;
    const beside = names.flatMap((name) => [buildingName(name), retiredName(name)]);
    const [statuses, rows, runs] = await Promise.all([
      watch.status(),
      this.checkpoints.read(beside),
      this.runs.lastOf(names),
    ]);
    return projections.map(({ name, version, inline = false }) => {
      const generations = rows.flatMap((row): Generation[] => {
        const { version: made, position } = row;
        if (row.name === buildingName(name)) return [{ state: 'building', version: made, position }];
        return row.name === retiredName(name) ? [{ state: 'retired', version: made, position }] : [];
      });
      const status = statuses.find((each) => each.name === name);
      const neverRan = {
        version,
        position: START,
        lagEvents: 0,
        lagMs: 0,
        leader: null,
        parked: 0,
        firstParked: null,
        lastError: null,
      };
      return { ...neverRan, ...status, name, inline, generations, upkeep: runs.get(name) ?? null };
    });
  }

  /** The first streams that the projection skips. */
  parked(name: string): Promise<readonly ParkedEntry[]> {
    return listParked(this.on.pool, MAX_PARKED, name);
  }

  /** Of one instant. It holds a snapshot for as long as it reads the whole projection. */
  async digest(name: string): Promise<string> {
    const projection = this.on.projections.find((each) => each.name === name);
    if (projection === undefined) throw new Error(`this program has no projection ${name}`);
    return inTransaction(this.on.pool, async (tx) => {
      await tx.query({ text: 'set transaction isolation level repeatable read, read only' });
      return digest(projection, tx);
    });
  }
}
