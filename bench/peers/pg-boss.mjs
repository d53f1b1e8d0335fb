/** pg-boss the same way: send, fetch, complete, one job a call or many. */
import { versionOf } from './version.mjs';

const QUEUE = 'bench';
const job = () => ({ url: 'https://example.org/things/1', size: 12345 });

export const openPgBoss = async (databaseUrl) => {
  const { PgBoss } = await import('pg-boss');
  const boss = new PgBoss({ connectionString: databaseUrl, max: 10 });
  boss.on('error', (error) => console.error('pg-boss:', error.message));
  await boss.start();
  await boss.createQueue(QUEUE);
  const name = `pg-boss ${versionOf('pg-boss')}`;
  return {
    name,
    settings: `${name}: defaults, 10 connections`,
    step: async () => {
      await boss.send(QUEUE, job());
      const [fetched] = await boss.fetch(QUEUE);
      if (fetched === undefined) return false;
      await boss.complete(QUEUE, fetched.id, { ok: true });
      return true;
    },
    /** @returns how many */
    bulk: async (count) => {
      await boss.insert(
        QUEUE,
        Array.from({ length: count }, () => ({ data: job() })),
      );
      const fetched = await boss.fetch(QUEUE, { batchSize: count });
      await boss.complete(
        QUEUE,
        fetched.map(({ id }) => id),
        { ok: true },
      );
      return fetched.length;
    },
    close: () => boss.stop({ graceful: false }),
  };
};
