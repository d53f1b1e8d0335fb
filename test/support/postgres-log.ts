/** A migrated log in a database of its own, for tests of what only PostgreSQL does. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { BesideTable } from '../../src/event-store/beside-table.js';
import type {
  Appended,
  AppendRequest,
  AppendResult,
  EventStore,
  ExpectedRevision,
  JsonObject,
  NewEvent,
} from '../../src/event-store/event-store.js';
import { migrate } from '../../src/event-store/postgres/migrate.js';
import type { PostgresEventStoreConfig } from '../../src/event-store/postgres/postgres-event-store.js';
import { PostgresEventStore } from '../../src/event-store/postgres/postgres-event-store.js';
import { keyTable, keyTableSql } from './key-table.js';
import { createTestDatabase } from './test-database.js';

/** The log of migration 1 alone: what others keep beside it does not matter here. */
export const logFolder = new URL('../../src/event-store/postgres/migrations/', import.meta.url);

export class PostgresLog {
  readonly #closers: (() => Promise<void>)[] = [];

  private constructor(
    readonly url: string,
    drop: () => Promise<void>,
  ) {
    this.#closers.push(drop);
  }

  static async create(): Promise<PostgresLog> {
    const database = await createTestDatabase();
    return PostgresLog.at(database.url, () => database.drop());
  }

  static async at(url: string, drop: () => Promise<void> = () => Promise.resolve()): Promise<PostgresLog> {
    await migrate(url, [logFolder]);
    const log = new PostgresLog(url, drop);
    const client = await log.session();
    await client.query(keyTableSql);
    return log;
  }

  /** A connection that the test speaks on itself. */
  async session(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url });
    // Some tests end it from outside.
    client.on('error', () => undefined);
    await client.connect();
    this.#closers.push(() => client.end());
    return client;
  }

  store(config: Partial<PostgresEventStoreConfig> = {}): PostgresEventStore {
    const besideTables = [keyTable as BesideTable];
    const store = new PostgresEventStore({ connectionString: this.url, besideTables, ...config });
    this.#closers.push(() => store.close());
    return store;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
  }
}

export const newEvent = (type = 'Happened', data: JsonObject = {}): NewEvent => ({
  id: randomUUID(),
  type,
  version: 1,
  data,
  metadata: {},
});

export const request = (
  stream: string,
  expected: ExpectedRevision = 'any',
  events: readonly NewEvent[] = [newEvent()],
): AppendRequest => ({ stream, expected, events });

export const succeeded = (result: AppendResult | undefined): Appended => {
  if (result?.ok !== true) throw new Error('not appended', { cause: result?.error });
  return result;
};

export const appendOne = async (store: EventStore, one: AppendRequest): Promise<Appended> =>
  succeeded((await store.append([one]))[0]);

/** Resolves when as many sessions of the database wait for a lock. */
export const waitForLockQueue = async (session: pg.Client, length: number): Promise<void> => {
  for (;;) {
    const { rows } = await session.query<{ waiting: number }>(
      `select count(*)::int as waiting from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if (rows[0]!.waiting >= length) return;
  }
};
