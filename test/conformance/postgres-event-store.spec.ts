import pg from 'pg';
import type { BesideTable } from '../../src/event-store/beside-table.js';
import { migrate } from '../../src/event-store/postgres/migrate.js';
import { PostgresEventStore } from '../../src/event-store/postgres/postgres-event-store.js';
import { keyTable, keyTableSql } from '../support/key-table.js';
import { createTestDatabase } from '../support/test-database.js';
import { eventStoreConformance } from './event-store.conformance.js';

eventStoreConformance('postgres', async () => {
  const database = await createTestDatabase();
  await migrate(database.url);
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(keyTableSql);
  const config = { connectionString: database.url, besideTables: [keyTable as BesideTable] };
  const [store, other] = [new PostgresEventStore(config), new PostgresEventStore(config)];
  return {
    store,
    other,
    keys: keyTable,
    hasKey: async (key) => (await client.query('select from jobledger.test_keys where key = $1', [key])).rowCount === 1,
    close: async () => {
      await Promise.all([store.close(), other.close(), client.end()]);
      await database.drop();
    },
  };
});
