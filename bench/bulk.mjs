/** 1,000 a call: insert, claim, complete. Ours appends and keeps five events a job; the others delete or overwrite. */
import { alternate, createDatabase, isOwn, throughput, volume, withServer } from './measure.mjs';
import { openOwn } from './own.mjs';
import { Report } from './report.mjs';

const SIZE = volume({ own: 100, short: 1_000, full: 1_000 });
const CALLERS = isOwn ? [1] : [1, 4];

/** @returns the peers that can be measured here, and why the others cannot */
const openPeers = async (url) => {
  const { openPgBoss } = await import('./peers/pg-boss.mjs');
  const { openGraphile } = await import('./peers/graphile.mjs');
  const { openBullMq } = await import('./peers/bullmq.mjs');
  const peers = [
    await openPgBoss(await createDatabase(url, 'pgboss')),
    await openGraphile(await createDatabase(url, 'graphile')),
  ];
  try {
    return { peers: [...peers, await openBullMq()], missing: null };
  } catch (error) {
    return { peers, missing: `BullMQ was not measured: ${error.message}` };
  }
};

await withServer(async (url) => {
  const own = await openOwn(url);
  const { peers, missing } = isOwn ? { peers: [], missing: null } : await openPeers(url);
  const report = new Report(`bulk: ${SIZE} jobs a call: insert, claim, complete; ours keeps five events a job`, [
    `jobledger: insert and claim of ${SIZE} in one call each, ${SIZE} completions sent at once, each with a key`,
    ...peers.map(({ settings }) => settings),
  ]);
  for (const callers of CALLERS) {
    const sides = [
      ['jobledger', () => throughput(callers, () => own.bulk(SIZE))],
      ...peers.map(({ name, bulk }) => [name, () => throughput(callers, () => bulk(SIZE))]),
    ];
    report.row({
      ...{ label: `bulk, ${callers} ${callers === 1 ? 'caller' : 'callers'}`, unit: 'jobs/s', better: 'higher' },
      values: await alternate(Object.fromEntries(sides)),
      goals: Object.fromEntries(peers.map(({ name }) => [name, 1])),
    });
  }
  if (missing !== null) report.missing(missing);
  report.end();
  for (const peer of peers) await peer.close();
  await own.close();
});
