/** pg-boss the same way: send, fetch, complete, one job a call, on a database of its own on the same server. */
import pg from 'pg';

export const openPgBoss = async (serverUrl) => {
  const { PgBoss } = await import('pg-boss');
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  await client.query('create database peer');
  await client.end();
  const url = new URL(serverUrl);
  url.pathname = '/peer';
  const boss = new PgBoss({ connectionString: url.href, max: 10 });
  boss.on('error', (error) => console.error('pg-boss:', error.message));
  await boss.start();
  await boss.createQueue('bench');
  const step = async () => {
    await boss.send('bench', { url: 'https://example.org/things/1', size: 12345 });
    const [job] = await boss.fetch('bench');
    if (job === undefined) return false;
    await boss.complete('bench', job.id, { ok: true });
    return true;
  };
  return { step, close: () => boss.stop({ graceful: false }) };
};
