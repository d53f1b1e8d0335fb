/** Makes faults, several at a time where they do not need the same thing, and keeps which there were and when. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../simulation/random.js';
import { type FaultName, faultOf, faultsOf, type Hold } from './faults.js';
import type { Site } from './site.js';

/** A fault that was made. */
export interface MadeFault {
  readonly name: FaultName;
  /** The process that it was made on, or asked for it; null where it concerned all. */
  readonly node: string | null;
  /** Ticks of the recorder, as calls have. */
  readonly beganAt: number;
  endedAt: number | null;
  readonly at: string;
  /** Null while it lasts. */
  ms: number | null;
  /** What did not come back as it should have. */
  error: string | null;
}

/** What chance has to choose from. */
export interface Chance {
  /** Null: all that can be made there. */
  readonly only: readonly FaultName[] | null;
  /** Between two faults of one of three lanes, ms, from and to. */
  readonly pauseMs: readonly [number, number];
}

/** What each may not overlap with. A process may be frozen while the database crashes, not while it is killed. */
const EXCLUDES: Readonly<Record<Hold, readonly Hold[]>> = {
  node: ['nodes'],
  nodes: ['node', 'nodes'],
  database: ['database'],
  log: ['log'],
  clients: [],
  upkeep: ['upkeep'],
};

const ON_ONE_NODE: ReadonlySet<Hold> = new Set<Hold>(['node', 'clients', 'upkeep']);
const LANES = 3;

export class Saboteur {
  readonly made: MadeFault[] = [];
  private readonly lasting = new Set<{ readonly holds: Hold; readonly node: number }>();

  constructor(private readonly site: Site) {}

  /** Makes one, and resolves when it is healed. @throws Error when something does not come back as it should. */
  async make(name: FaultName, node: number, random: Random): Promise<void> {
    const { holds, make } = faultOf(name);
    const hold = { holds, node };
    const { recorder } = this.site.cluster;
    const beganMs = performance.now();
    const isOnOne = ON_ONE_NODE.has(holds);
    const fault: MadeFault = {
      ...{ name, node: isOnOne ? this.site.cluster.node(node).name : null, beganAt: recorder.now, endedAt: null },
      ...{ at: new Date().toISOString(), ms: null, error: null },
    };
    this.lasting.add(hold);
    this.made.push(fault);
    try {
      await make(this.site, node, random);
    } catch (error) {
      fault.error = (error as Error).message;
      throw error;
    } finally {
      this.lasting.delete(hold);
      fault.endedAt = recorder.now;
      fault.ms = performance.now() - beganMs;
    }
  }

  /**
   * Makes faults by chance until it is told to stop, and resolves when the last is healed.
   * @throws the first error of a fault; the others go on until then.
   */
  async makeMany(seed: number, stop: AbortSignal, { only, pauseMs }: Chance): Promise<void> {
    const failed = new AbortController();
    const signal = AbortSignal.any([stop, failed.signal]);
    const names = faultsOf(this.site).filter((name) => only?.includes(name) !== false);
    const weights = Object.fromEntries(names.map((name) => [name, faultOf(name).weight]));
    const goesOn = (): boolean => !signal.aborted;
    const lane = async (random: Random): Promise<void> => {
      while (goesOn()) {
        await sleep(random.int(...pauseMs), undefined, { signal }).catch(() => undefined);
        const name = random.weighted<FaultName>(weights);
        const node = random.int(0, this.site.cluster.nodes.length - 1);
        if (goesOn() && this.isFree(name, node)) await this.make(name, node, random);
      }
    };
    const lanes = Array.from({ length: LANES }, (_, n) =>
      lane(new Random(seed + n)).catch((error: unknown) => {
        failed.abort();
        throw error;
      }),
    );
    const ends = await Promise.allSettled(lanes);
    const broken = ends.find((end) => end.status === 'rejected');
    if (broken !== undefined) throw broken.reason;
  }

  private isFree(name: FaultName, node: number): boolean {
    const { holds } = faultOf(name);
    return ![...this.lasting].some(
      (other) =>
        EXCLUDES[holds].includes(other.holds) ||
        EXCLUDES[other.holds].includes(holds) ||
        (holds === 'node' && other.holds === 'node' && other.node === node),
    );
  }
}
