/** A session that keeps everybody from the rows of jobs. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** Takes the table for itself, once it gets it, for so long. */
export const lockJobs = async (databaseUrl: string, ms: number): Promise<void> => {
  const client = new pg.Client({ connectionString: databaseUrl });
  // Its end is met by the query that is under way.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('begin');
    await client.query('lock table jobledger.jobs in access exclusive mode');
    await sleep(ms);
    await client.query('rollback');
  } finally {
    await client.end();
  }
};
