/** A migrated database with its log, and runners on it as processes would have them. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { EventStore } from '../../src/event-store/event-store.js';
import { createLogPool } from '../../src/event-store/postgres/connection.js';
import { migrate } from '../../src/event-store/postgres/migrate.js';
import { PostgresEventStore } from '../../src/event-store/postgres/postgres-event-store.js';
import { digest } from '../../src/projections/digest.js';
import type { Projection } from '../../src/projections/projection.js';
import { ProjectionRunner, type RunnerOptions } from '../../src/projections/projection-runner.js';
import { ProjectionWatch } from '../../src/projections/projection-watch.js';
import { inTransaction } from '../../src/projections/transaction.js';
import { Upkeep } from '../../src/projections/upkeep/upkeep.js';
import type { UpkeepKind, UpkeepRun } from '../../src/projections/upkeep/upkeep-runs.js';
import { createTestDatabase } from './test-database.js';

export interface RunnerSetup extends RunnerOptions {
  readonly projections: readonly Projection[];
  readonly instanceId?: string;
  readonly store?: EventStore;
  /** Whose connections the runner uses; default ones of its own. The caller's to end. */
  readonly pool?: pg.Pool;
}

export class ProjectionBench {
  /** Failures that runners told of. */
  readonly failures: unknown[] = [];
  private readonly closers: (() => Promise<unknown>)[] = [];

  private constructor(
    readonly url: string,
    readonly pool: pg.Pool,
    readonly store: PostgresEventStore,
  ) {}

  static async create(): Promise<ProjectionBench> {
    const database = await createTestDatabase();
    await migrate(database.url);
    const pool = createLogPool({ connectionString: database.url, poolSize: 8 });
    const bench = new ProjectionBench(database.url, pool, new PostgresEventStore({ pool }));
    bench.closers.push(
      () => database.drop(),
      () => pool.end(),
      () => bench.store.close(),
    );
    return bench;
  }

  /** With pools of its own, as in another process. Stopped with the bench. */
  runner({ projections, instanceId = randomUUID(), store, pool: given, ...options }: RunnerSetup): ProjectionRunner {
    const pool = given ?? this.ownPool();
    const log = { failed: (_: string, error: unknown) => void this.failures.push(error), parked: () => undefined };
    const runner = new ProjectionRunner(
      { store: store ?? this.store, pool, projections, instanceId, log },
      { minPollMs: 50, maxPollMs: 100, gapMs: 0, ...options },
    );
    this.closers.push(() => runner.stop());
    return runner;
  }

  /** Ended with the bench, after the runners. */
  ownPool(): pg.Pool {
    const pool = createLogPool({ connectionString: this.url, poolSize: 4, applicationName: 'runner' });
    this.closers.push(() => pool.end());
    return pool;
  }

  watch(...projections: readonly Projection[]): ProjectionWatch {
    return new ProjectionWatch(this.store, this.pool, projections);
  }

  /** Resolves when the projection has applied the whole log. */
  async caughtUp(projection: Projection, store: EventStore = this.store): Promise<void> {
    const { position } = await store.head();
    if (await this.watch(projection).waitFor(projection.name, position, 30_000)) return;
    throw new Error(`${projection.name} does not reach ${position}`, { cause: this.failures.at(-1) });
  }

  digest(projection: Projection): Promise<string> {
    return inTransaction(this.pool, (tx) => digest(projection, tx));
  }

  /** As a process of its own has it; stopped with the bench. */
  upkeep({ projections, store = this.store, pool = this.ownPool(), instanceId = randomUUID() }: RunnerSetup): Upkeep {
    const log = {
      head: () => undefined,
      ended: () => undefined,
      failed: (_: unknown, error: unknown) => void this.failures.push(error),
    };
    const upkeep = new Upkeep({
      ...{ store, pool, projections, instanceId, log },
      walkLog: () => Promise.reject(new Error('no log to walk')),
    });
    this.closers.push(() => upkeep.stop());
    return upkeep;
  }

  /** Asks for a run and resolves when it is done. */
  async maintain(kind: UpkeepKind, setup: RunnerSetup, options: object = {}): Promise<UpkeepRun> {
    const upkeep = this.upkeep({ pool: this.pool, ...setup });
    try {
      const { id } = await upkeep.ask(kind, setup.projections[0]!.name, { ...options }, 'a test');
      const run = await upkeep.waitFor(id, 60_000, new AbortController().signal);
      if (run?.state !== 'done') throw new Error(`${kind}: ${run?.error}`, { cause: this.failures.at(-1) });
      return run;
    } finally {
      await upkeep.stop();
    }
  }

  async rebuild(projection: Projection, store: EventStore = this.store): Promise<void> {
    await this.maintain('rebuild', { projections: [projection], store });
  }

  async close(): Promise<void> {
    for (const close of this.closers.reverse()) await close();
  }
}
