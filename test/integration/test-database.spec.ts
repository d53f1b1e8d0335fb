import { describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase } from '../support/test-database.js';

const query = async (url: string, text: string): Promise<unknown[]> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<Record<string, unknown>>(text);
  await client.end();
  return rows;
};

describe('a test database', () => {
  it('is empty, UTF-8, ordered by bytes, and durable', async () => {
    const database = await createTestDatabase();
    expect(await query(database.url, "select from information_schema.tables where table_schema = 'public'")).toEqual(
      [],
    );
    expect(
      await query(
        database.url,
        `select current_setting('server_encoding') as encoding, datcollate as collate, current_setting('fsync') as fsync
         from pg_database where datname = current_database()`,
      ),
    ).toEqual([{ encoding: 'UTF8', collate: 'C', fsync: 'on' }]);
    await database.drop();
  });

  it('is gone when dropped, connected or not', async () => {
    const database = await createTestDatabase();
    const client = new pg.Client({ connectionString: database.url });
    const ended = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    await database.drop();
    await ended;
    await expect(query(database.url, 'select 1')).rejects.toThrow(/does not exist/);
  });
});
