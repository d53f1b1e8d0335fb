/** A simulated installation: one database, nodes that come and go, and those who call them. */
import { Contexts } from '../../src/commands/contexts.js';
import type { Policy } from '../../src/domain/policy.js';
import { Unavailable } from '../../src/event-store/event-store.js';
import { DeadlineExceeded, Overloaded } from '../../src/commands/errors.js';
import { Caller } from './caller.js';
import { Database } from './database.js';
import { Disconnected, Network } from './network.js';
import { SimulatedNode, type Fault } from './node.js';
import type { Process, Scheduler } from './scheduler.js';
import { Witness } from './witness.js';

export interface WorldOptions {
  readonly nodes: number;
  readonly policy: Policy;
  /** In [0, 1). */
  readonly random: () => number;
  /** How far the clock of a node is from the database's, ms. */
  readonly offsetMs: () => number;
  readonly maxOffsetMs: number;
  readonly maxPending?: number;
  readonly fault?: (label: string) => Fault;
  readonly losesWakeUp?: () => boolean;
  readonly losesAnswer?: () => boolean;
}

export class World {
  readonly database: Database;
  readonly witness: Witness;
  readonly network: Network;
  readonly contexts: Contexts;
  readonly caller: Caller;
  readonly nodes: SimulatedNode[] = [];
  /** Nobody starts anything new, and nothing fails any more. */
  healed = false;
  private started = 0;

  constructor(
    readonly scheduler: Scheduler,
    private readonly options: WorldOptions,
  ) {
    const now = (): number => scheduler.now;
    this.database = new Database(now);
    this.witness = new Witness(this.database, options.maxOffsetMs, (text) => scheduler.note(text));
    this.network = new Network(scheduler, () => !this.healed && (options.losesAnswer?.() ?? false));
    this.contexts = new Contexts({ now }, options.policy, () => 0.5);
    this.caller = new Caller(this);
    for (let index = 0; index < options.nodes; index += 1) this.nodes.push(this.start(index));
  }

  private start(index: number): SimulatedNode {
    const { policy, random, offsetMs, maxPending = 1_000, fault, losesWakeUp } = this.options;
    const isHealed = (): boolean => this.healed;
    this.started += 1;
    return new SimulatedNode(this.scheduler, this.database, {
      ...{ name: `node${index + 1}${'′'.repeat(this.started - index - 1)}`, policy, random },
      get maxPending() {
        return isHealed() ? 1_000 : maxPending;
      },
      offsetMs: offsetMs(),
      fault: (label) => (this.healed ? 'none' : (fault?.(label) ?? 'none')),
      losesWakeUp: () => !this.healed && (losesWakeUp?.() ?? false),
      onSweepError: (jobId, error) => {
        this.sweepFailed(error, ` for ${this.witness.name(jobId)}`);
      },
    });
  }

  /** A sweep, or a job of it, may fail because something was away; not otherwise. */
  sweepFailed(error: unknown, where = ''): void {
    const wasAway = [Unavailable, Disconnected, DeadlineExceeded, Overloaded].some((kind) => error instanceof kind);
    if (wasAway) return;
    this.witness.violated(`a sweep failed${where}: ${error instanceof Error ? error.stack : String(error)}`);
  }

  process(name: string): Process {
    return { name, alive: true, frozenUntil: 0 };
  }

  crash(index: number): void {
    this.nodes[index]!.crash();
  }

  restart(index: number): void {
    if (!this.nodes[index]!.alive) this.nodes[index] = this.start(index);
  }
}
