/**
 * One process of the service: the real write path, claims, heartbeats and sweeps, on connections that the simulation
 * owns. A crash drops it with all its memory; a new one starts on the same database.
 */
import { BatchSteps } from '../../src/commands/batch.js';
import { Claims } from '../../src/commands/claims.js';
import { Contexts } from '../../src/commands/contexts.js';
import { Heartbeats } from '../../src/commands/heartbeats.js';
import type { JobLogs } from '../../src/commands/job-logs.js';
import { JobStates } from '../../src/commands/job-states.js';
import { LostLeases } from '../../src/commands/lease-seed.js';
import { Ledger } from '../../src/commands/ledger.js';
import { Pipeline } from '../../src/commands/pipeline.js';
import { Refusals } from '../../src/commands/refusals.js';
import { Verification } from '../../src/commands/verification.js';
import type { Policy } from '../../src/domain/policy.js';
import { Unavailable } from '../../src/event-store/event-store.js';
import { reapWith } from '../../src/reaper/reap.js';
import { seedLostLeases } from '../../src/reaper/housekeeping.js';
import { Sweep, type SweepReport } from '../../src/reaper/sweep.js';
import type { Database } from './database.js';
import { toError } from './network.js';
import type { Process, Scheduler } from './scheduler.js';

/** Which stream is read tells two reads apart. */
const labelOf = (method: string, argument: unknown): string =>
  typeof argument === 'string' ? `${method} ${argument.slice(0, 5)}` : method;

export type Fault = 'none' | 'not done' | 'answer lost';

/** Command that is not appended after this long is refused, as in the service. */
const COMMAND_TIMEOUT_MS = 10_000;

export interface NodeOptions {
  readonly name: string;
  readonly policy: Policy;
  readonly random: () => number;
  /** How far its clock is from the database's, ms. */
  readonly offsetMs: number;
  readonly maxPending: number;
  /** What happens to a statement on its way. */
  readonly fault: (label: string) => Fault;
  /** Whether a wake-up is lost. */
  readonly losesWakeUp: () => boolean;
  /** What a sweep could not do. */
  readonly onSweepError: (jobId: string, error: unknown) => void;
}

/** A call of a client that waits for this node's answer. */
interface Waiter {
  readonly fail: () => void;
}

export class SimulatedNode implements Process {
  readonly name: string;
  alive = true;
  frozenUntil = 0;
  readonly waiters = new Set<Waiter>();
  readonly ledger: Ledger;
  readonly pipeline: Pipeline;
  readonly claims: Claims;
  readonly heartbeats: Heartbeats;
  readonly contexts: Contexts;
  readonly verification: Verification;
  private readonly sweeping: ConstructorParameters<typeof Sweep>[0];

  constructor(
    private readonly scheduler: Scheduler,
    database: Database,
    private readonly options: NodeOptions,
  ) {
    this.name = options.name;
    const store = this.connection('store', database.store);
    const rows = this.connection('jobs', database.jobs);
    const leases = this.connection('leases', database.leases);
    const answers = this.connection('answers', database.answers);
    const reservations = this.connection('reservations', database.reservations);
    const logs = { write: () => this.statement('logs.write', () => Promise.resolve(true)) } as unknown as JobLogs;
    const clock = { now: () => Math.floor(scheduler.now + options.offsetMs) };
    this.contexts = new Contexts(clock, options.policy, options.random);
    const { contexts } = this;
    const refusals = new Refusals(store);
    const states = new JobStates(store, rows);
    const lostLeases = new LostLeases(store, rows, leases, contexts);
    this.verification = new Verification({ store, states, rows, lostLeases, answers, refusals });
    const { verification } = this;
    this.pipeline = new Pipeline(new BatchSteps({ store, states, verification, contexts }), options);
    const { pipeline } = this;
    this.claims = new Claims(store, answers, reservations, states, rows, pipeline, options.maxPending);
    this.heartbeats = new Heartbeats(leases, options.maxPending);
    const { claims, heartbeats } = this;
    this.ledger = new Ledger({
      ...{ store, states, pipeline, claims, heartbeats, leases, lostLeases, answers, refusals, logs },
      commandTimeoutMs: COMMAND_TIMEOUT_MS,
    });
    const execute = reapWith(this.pipeline, this.claims, this.name);
    this.sweeping = {
      store,
      leases,
      rows,
      contexts,
      clock,
      execute,
      absence: () => Promise.resolve(null),
      onError: options.onSweepError,
    };
    database.store.onAppended(() => {
      if (this.alive && !options.losesWakeUp()) scheduler.enqueue(`${this.name} news`, this, () => claims.wake());
    });
  }

  get isIdle(): boolean {
    const { waiting } = this.claims as unknown as { waiting: ReadonlySet<unknown> };
    const { waiting: beats } = this.heartbeats as unknown as { waiting: readonly unknown[] };
    return this.pipeline.load === 0 && waiting.size === 0 && beats.length === 0;
  }

  sweep(): Promise<SweepReport> {
    return new Sweep(this.sweeping, false).run();
  }

  /** What the reaper does every minute. */
  keepHouse(): Promise<void> {
    return seedLostLeases(this.sweeping);
  }

  /** A table or the log as this node reaches it: each method is a statement that travels there and back. */
  private connection<Target extends object>(name: string, target: Target): Target {
    return new Proxy(target, {
      get: (_target, key) => {
        const method: unknown = Reflect.get(target, key, target);
        if (typeof method !== 'function') return method;
        return (...args: unknown[]) =>
          this.statement(
            labelOf(`${name}.${String(key)}`, args[0]),
            () => Reflect.apply(method, target, args) as Promise<unknown>,
          );
      },
    });
  }

  private statement<T>(label: string, run: () => Promise<T>): Promise<T> {
    const { scheduler, name, options } = this;
    return new Promise<T>((resolve, reject) => {
      const answer = (text: string, settle: () => void): void => {
        scheduler.enqueue(`${name} < ${label}${text}`, this, settle);
      };
      scheduler.enqueue(`${name} > ${label}`, null, () => {
        const fault = options.fault(label);
        if (fault === 'not done') {
          answer(' not done', () => reject(new Unavailable('the connection is broken')));
          return;
        }
        run().then(
          (value) => {
            if (fault === 'none') answer('', () => resolve(value));
            else answer(' lost', () => reject(new Unavailable('the answer was lost')));
          },
          (error: unknown) => answer(' failed', () => reject(toError(error))),
        );
      });
    });
  }

  /** Dies with all its memory. Who waits for an answer hears that there is none; what it sent may still be done. */
  crash(): void {
    this.alive = false;
    for (const waiter of this.waiters) waiter.fail();
    this.waiters.clear();
  }
}
