/**
 * Whether a projection says what the log says: it is made anew beside the live one, and the two are compared.
 *
 * Under load the two are never at the same position, so rows that differ at first are only suspects: they are compared
 * again in the fence, where both stand at one. What differs there is wrong. A repair puts what was made anew in the place
 * of the live tables in that same transaction: whole, exact, and with nothing between the finding and the cure.
 */
import { comparePositions } from '../../event-store/event-store.js';
import { LogDiverged, verifyCheckpoint, VersionMismatch } from '../checkpoint.js';
import { countParked } from '../parked.js';
import type { Tx } from '../transaction.js';
import { inTransaction } from '../transaction.js';
import { TakenOver, type Building } from './building.js';
import { differences, differingKeys, type Difference, type RowKey } from './compare.js';
import { dropRetired, moveParked, swap, withFence } from './fence.js';
import { analyze, approachHead, whenPossible, type RebuildDependencies } from './rebuild.js';
import type { Work } from './work.js';

export interface VerifyResult {
  readonly ok: boolean;
  /** Where both were compared. */
  readonly position: string;
  /** Why the projection is wrong as a whole; null when it is right, or some rows are wrong. */
  readonly reason: string | null;
  readonly differing: number;
  /** There are more than were looked for. */
  readonly truncated: boolean;
  /** The first ones. */
  readonly differences: readonly Difference[];
  /** Whether what was found was repaired. */
  readonly repaired: boolean;
  /** Streams with an event that cannot be read. */
  readonly parked: number;
}

/** Suspects that are kept; a table that was emptied has one for each of its rows. */
const MAX_SUSPECTS = 10_000;
/** Differences that are named. */
const MAX_NAMED = 1_000;
/** Suspects that are looked at in one statement. */
const CHUNK = 1_000;

export class Verify {
  constructor(
    private readonly building: Building,
    private readonly work: Work,
    private readonly on: RebuildDependencies,
  ) {}

  async run(): Promise<VerifyResult> {
    const { building, work, on } = this;
    await this.approach();
    await analyze(building, on);
    await work.enter('comparing');
    const reason = await this.wrongAsAWhole();
    const found = reason === null ? await this.suspects() : { keys: [], truncated: false };
    await this.approach();
    // Most of those that only differed because the two were at different positions fall out here.
    const keys = await this.stillDiffering(found.keys);
    const result = await whenPossible(work, async () => {
      await this.approach();
      return this.judge(keys, found.truncated, reason);
    });
    if (result.repaired) await whenPossible(work, () => dropRetired(building, on));
    else await building.drop();
    return result;
  }

  private get repairs(): boolean {
    return this.work.run.options['repair'] === true;
  }

  /** Up to the live projection, never past it: a row of later events would differ without being wrong. */
  private async approach(): Promise<void> {
    const { building, work, on } = this;
    if (building.live.inline === true) return approachHead(building, work, on.store);
    const [live] = await on.checkpoints.read([building.live.name]);
    const { position: head } = await on.store.head();
    const goal = live === undefined || comparePositions(live.position, head) > 0 ? head : live.position;
    await building.catchUp(goal, work.signal, work.onPage);
  }

  private async wrongAsAWhole(): Promise<string | null> {
    const { live } = this.building;
    if (live.inline === true) return null;
    const [row] = await this.on.checkpoints.read([live.name]);
    if (row === undefined) return `projection ${live.name} has never run`;
    if (row.version !== live.version) return new VersionMismatch(live.name, row.version, live.version).message;
    try {
      await verifyCheckpoint(this.on.store, live.name, row);
      return null;
    } catch (error) {
      if (error instanceof LogDiverged) return error.message;
      throw error;
    }
  }

  private async query<Row extends object>(statement: Parameters<Tx['query']>[0]): Promise<readonly Row[]> {
    this.work.signal.throwIfAborted();
    return inTransaction(this.on.pool, (tx) => tx.query<Row>(statement));
  }

  private async suspects(): Promise<{ readonly keys: readonly RowKey[]; readonly truncated: boolean }> {
    const keys: RowKey[] = [];
    for (const table of this.building.live.tables) {
      for await (const page of differingKeys((statement) => this.query(statement), table)) {
        keys.push(...page);
        if (keys.length > MAX_SUSPECTS) return { keys: keys.slice(0, MAX_SUSPECTS), truncated: true };
      }
    }
    return { keys, truncated: false };
  }

  private async stillDiffering(keys: readonly RowKey[]): Promise<readonly RowKey[]> {
    const still: RowKey[] = [];
    for (let first = 0; first < keys.length; first += CHUNK) {
      const chunk = keys.slice(first, first + CHUNK);
      const found = await differences((statement) => this.query(statement), this.building.live, chunk);
      const names = new Set(found.map(({ table, id }) => `${table} ${id}`));
      still.push(...chunk.filter(({ table, key }) => names.has(`${table} ${key.join('/')}`)));
    }
    return still;
  }

  private judge(keys: readonly RowKey[], truncated: boolean, reason: string | null): Promise<VerifyResult> {
    const { building, work, on } = this;
    const meeting = reason === null ? 'live' : 'head';
    return withFence(building, { meeting, swaps: this.repairs }, on, async (tx, position) => {
      const found = await differences((statement) => tx.query(statement), building.live, keys);
      const ok = found.length === 0 && reason === null;
      const repaired = !ok && this.repairs;
      const parked = await countParked(tx, building.projection.name);
      const result: VerifyResult = {
        ...{ ok, position, reason, differing: found.length, truncated: truncated && !ok },
        ...{ differences: found.slice(0, MAX_NAMED), repaired, parked },
      };
      if (repaired) await swap(tx, building);
      else if (building.live.inline === true) await moveParked(tx, building.live.name);
      const step = repaired ? 'dropping' : 'comparing';
      if (!(await on.runs.enter(tx, work.run.id, step, result))) throw new TakenOver(building.live.name);
      return result;
    });
  }
}
