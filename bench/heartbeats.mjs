/** Renewals of 10,000 leases; beside pgbench with a single-row update on as many rows. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { alternate, createDatabase, flag, isOwn, seconds, throughput, vacuum, volume, withServer } from './measure.mjs';
import { bareCall, openOwn } from './own.mjs';
import { Report } from './report.mjs';

const LEASES = volume({ own: 100, short: 10_000, full: 10_000 });
const CALL = 1_000;
const CLIENTS = 32;
const LEASE_MS = 600_000;
const IN_FLIGHT = flag('lanes', isOwn ? '32' : '32,256')
  .split(',')
  .map(Number);

const UPDATE = 'update counted set n = n + 1, at = clock_timestamp() where id = ';

const openRows = async (databaseUrl) => {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(
    'create table counted (id int primary key, n bigint not null, at timestamptz) with (fillfactor = 70)',
  );
  await client.query('insert into counted select n, 0 from generate_series(1, $1::int) n', [LEASES]);
  await client.query('vacuum analyze counted');
  await client.end();
};

const PGBENCH = process.env.PGBENCH ?? 'pgbench';

const openPgbench = async (databaseUrl) => {
  await openRows(databaseUrl);
  const folder = mkdtempSync(join(tmpdir(), 'jobledger-pgbench-'));
  const script = join(folder, 'update.sql');
  writeFileSync(script, `\\set id random(1, ${LEASES})\n${UPDATE}:id;\n`);
  const args = ['-n', '-M', 'prepared', '-c', CLIENTS, '-j', 2, '-T', Math.max(1, Math.round(seconds)), '-f', script];
  return {
    name: 'pgbench',
    settings: `pgbench: a single-row update by key, ${CLIENTS} clients, 2 threads, prepared, ${LEASES} rows`,
    run: async () => {
      const child = spawn(PGBENCH, [...args.map(String), databaseUrl], { stdio: ['ignore', 'pipe', 'pipe'] });
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
      const rate = /tps = ([\d.]+)/.exec(out)?.[1];
      if (rate === undefined) throw new Error(`pgbench said: ${err.split('\n').slice(0, 5).join(' ')}`);
      return Number(rate);
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
};

/** Where there is no pgbench. */
const openStatements = async (databaseUrl) => {
  await openRows(databaseUrl);
  const pool = new pg.Pool({ connectionString: databaseUrl, max: CLIENTS });
  const step = async () => {
    const values = [1 + Math.floor(Math.random() * LEASES)];
    await pool.query({ name: 'update', text: `${UPDATE}$1`, values });
    return 1;
  };
  return {
    name: 'the update through pg',
    settings: `no pgbench here (PGBENCH says where it is): the same update through pg, ${CLIENTS} connections, prepared`,
    run: () => throughput(CLIENTS, step),
    close: () => pool.end(),
  };
};

const openBaseline = (databaseUrl) =>
  spawnSync(PGBENCH, ['--version']).status === 0 ? openPgbench(databaseUrl) : openStatements(databaseUrl);

const claimAll = async (own) => {
  const claimed = [];
  while (claimed.length < LEASES) {
    const count = Math.min(CALL, LEASES - claimed.length);
    await own.create(count);
    claimed.push(...(await own.claim(count, { leaseMs: LEASE_MS })));
  }
  return claimed;
};

await withServer(async (url) => {
  const own = await openOwn(url);
  const claimed = await claimAll(own);
  const { ledger } = own.service;
  await vacuum(url);
  const baseline = isOwn ? undefined : await openBaseline(await createDatabase(url, 'peer'));
  const report = new Report(
    `heartbeats: renewals of ${LEASES} leases`,
    baseline === undefined ? [] : [baseline.settings],
  );
  let next = 0;
  const beat = async () => {
    const { jobId, token } = claimed[(next += 1) % claimed.length];
    await ledger.heartbeat(
      jobId,
      { name: 'heartbeat', token, checkpoint: null, state: null },
      bareCall('worker'),
      null,
    );
    return 1;
  };
  for (const count of IN_FLIGHT) {
    report.row({
      ...{ label: `heartbeats, ${count} in flight`, unit: 'renewals/s', better: 'higher' },
      values: await alternate({
        jobledger: () => throughput(count, beat),
        ...(baseline && { [baseline.name]: baseline.run }),
      }),
      ...(baseline && { goals: { [baseline.name]: 0.5 } }),
    });
  }
  report.end();
  await baseline?.close();
  await own.close();
});
