import { randomBytes } from 'node:crypto';
import pg from 'pg';

export interface TestDatabase {
  readonly url: string;
  /** Closes what is still connected. */
  drop(): Promise<void>;
}

const run = async (server: string, statement: string): Promise<void> => {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
};

/** An empty database of its own on the server of the run, so that test files do not meet. */
export const createTestDatabase = async (): Promise<TestDatabase> => {
  const server = process.env['JOBLEDGER_TEST_DATABASE_URL'];
  if (server === undefined) throw new Error('JOBLEDGER_TEST_DATABASE_URL is not set: run the tests with npm run jest');
  const name = `test_${randomBytes(8).toString('hex')}`;
  await run(server, `create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => run(server, `drop database if exists ${name} with (force)`) };
};
