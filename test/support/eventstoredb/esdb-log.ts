/** The second log for tests: a driver on a server, and a database of its own for what stands beside the events. */
import type pg from 'pg';
import type { BesideTable } from '../../../src/event-store/beside-table.js';
import {
  EventStoreDbEventStore,
  type EventStoreDbConfig,
} from '../../../src/event-store/eventstoredb/eventstoredb-event-store.js';
import { openDriver } from '../../../src/event-store/eventstoredb/open-driver.js';
import { createLogPool } from '../../../src/event-store/postgres/connection.js';
import { migrate } from '../../../src/event-store/postgres/migrate.js';
import { keysAroundSql, keyTable } from '../key-table.js';
import { createTestDatabase } from '../test-database.js';

/** Intents alone: what others keep in the database does not matter here. */
const intentsFolder = new URL('../../../src/event-store/eventstoredb/migrations/', import.meta.url);

export class EsdbLog {
  readonly #closers: (() => Promise<void>)[] = [];

  private constructor(
    readonly serverUrl: string,
    readonly databaseUrl: string,
    readonly database: pg.Pool,
  ) {}

  static async create(serverUrl: string): Promise<EsdbLog> {
    const database = await createTestDatabase();
    await migrate(database.url, [intentsFolder]);
    const pool = createLogPool({ connectionString: database.url });
    await pool.query(keysAroundSql);
    const log = new EsdbLog(serverUrl, database.url, pool);
    log.#closers.push(
      () => database.drop(),
      () => pool.end(),
    );
    return log;
  }

  /** One more adapter on the same log, as another process has it. */
  async store(config: Partial<EventStoreDbConfig> = {}): Promise<EventStoreDbEventStore> {
    const driver = config.driver ?? (await openDriver(this.serverUrl));
    const besideTables = [keyTable as BesideTable];
    const store = new EventStoreDbEventStore({ pool: this.database, clock: Date.now, besideTables, ...config, driver });
    this.#closers.push(() => store.close());
    return store;
  }

  async hasKey(key: string): Promise<boolean> {
    return (await this.database.query('select from jobledger.test_keys where key = $1', [key])).rowCount === 1;
  }

  async intents(): Promise<number> {
    const { rows } = await this.database.query<{ n: number }>('select count(*)::int as n from jobledger.intents');
    return rows[0]!.n;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
  }
}
