/** A migrated database with its log, and runners on it as processes would have them. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { EventStore } from '../../src/event-store/event-store.js';
import { createLogPool } from '../../src/event-store/postgres/connection.js';
import { migrate } from '../../src/event-store/postgres/migrate.js';
import { PostgresEventStore } from '../../src/event-store/postgres/postgres-event-store.js';
import { Checkpoints } from '../../src/projections/checkpoint.js';
import { digest } from '../../src/projections/digest.js';
import type { Projection } from '../../src/projections/projection.js';
import { ProjectionRunner, type RunnerOptions } from '../../src/projections/projection-runner.js';
import { ProjectionWatch } from '../../src/projections/projection-watch.js';
import { rebuildFromZero } from '../../src/projections/rebuild.js';
import { inTransaction } from '../../src/projections/transaction.js';
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
    return new ProjectionWatch(
      this.store,
      this.pool,
      projections.map(({ name }) => name),
    );
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

  rebuild(projection: Projection, store: EventStore = this.store): Promise<void> {
    const checkpoints = new Checkpoints(this.pool, 'rebuild');
    return rebuildFromZero(projection, { store, pool: this.pool, checkpoints });
  }

  async close(): Promise<void> {
    for (const close of this.closers.reverse()) await close();
  }
}
