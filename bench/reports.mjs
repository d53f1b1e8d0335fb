/**
 * What a hot job costs: reports of many writers to one job, each an event of its own. Beside a counter in a row, and
 * beside a document that is read, changed and written back under a lock, as origin systems kept theirs.
 */
import pg from 'pg';
import { alternate, createDatabase, flag, isOwn, throughput, withServer } from './measure.mjs';
import { bareCall, openOwn } from './own.mjs';
import { Report } from './report.mjs';

const WRITERS = flag('lanes', isOwn ? '8' : '1,8,50')
  .split(',')
  .map(Number);
const CONNECTIONS = 10;

const openRows = async (databaseUrl) => {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: CONNECTIONS });
  await pool.query('create table hot (id int primary key, n bigint not null, doc jsonb not null)');
  await pool.query(`insert into hot values (1, 0, '{"processed": 0}')`);
  const counted = async () => {
    await pool.query({ name: 'count', text: 'update hot set n = n + 1 where id = 1' });
    return 1;
  };
  const locked = async () => {
    const client = await pool.connect();
    try {
      await client.query('begin');
      const read = { name: 'read', text: 'select doc from hot where id = 1 for update' };
      const { processed } = (await client.query(read)).rows[0].doc;
      const values = [JSON.stringify({ processed: processed + 1 })];
      await client.query({ name: 'write', text: 'update hot set doc = $1 where id = 1', values });
      await client.query('commit');
    } finally {
      client.release();
    }
    return 1;
  };
  return {
    sides: (count) => ({
      'a counter in a row': () => throughput(count, counted),
      'a document under a lock': () => throughput(count, locked),
    }),
    close: () => pool.end(),
  };
};

await withServer(async (url) => {
  const own = await openOwn(url);
  const { ledger, reads } = own.service;
  await own.create();
  const [{ jobId, token }] = await own.claim(1, { leaseMs: 86_400_000 });
  let reported = 0;
  const report = async () => {
    const batchId = `b${(reported += 1)}`;
    const said = { stage: null, total: null, current: null, message: null, processed: 1, failed: 0, skipped: 0 };
    await ledger.execute(jobId, { name: 'progress', token, batchId, ...said }, bareCall('worker'));
    return 1;
  };
  const rows = isOwn ? undefined : await openRows(await createDatabase(url, 'peer'));
  const table = new Report(
    'reports: progress of one job, each report an event',
    rows === undefined ? [] : [`the others: ${CONNECTIONS} connections, prepared, no history, no keys`],
  );
  for (const count of WRITERS) {
    table.row({
      ...{ label: `reports to one job, ${count} writers`, unit: 'reports/s', better: 'higher' },
      values: await alternate({ jobledger: () => throughput(count, report), ...rows?.sides(count) }),
    });
  }
  const processed = (await reads.rows.load([jobId])).get(jobId)?.progress.processed;
  if (processed !== reported) throw new Error(`${reported} were reported, and ${processed} are counted`);
  table.end();
  await rows?.close();
  await own.close();
});
