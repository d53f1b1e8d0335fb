/** The same work on logs of different sizes, turn by turn on one server: does it slow down as the log grows. */
import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { alternate, createDatabase, elapsed, isOwn, throughput, vacuum, volume, withServer } from './measure.mjs';
import { openOwn, seedCompleted } from './own.mjs';
import { Report } from './report.mjs';
import { startService } from './service-process.mjs';
import { runUpkeep } from './upkeep.mjs';

const SIZES = volume({ own: [100, 200], short: [10_000, 100_000], full: [10_000, 100_000, 1_000_000] });
const IN_FLIGHT = 32;
/** Jobs of one round of claims or completions. */
const BATCH = isOwn ? 64 : 1_024;
const SEARCHES = 20;

const nameOf = (size) =>
  `${size >= 1_000_000 ? `${size / 1_000_000}M` : size >= 1_000 ? `${size / 1_000}k` : size} jobs`;

const openSize = async (serverUrl, size) => {
  const url = await createDatabase(serverUrl, `size_${size}`);
  const own = await openOwn(url);
  await seedCompleted(own, size);
  await vacuum(url);
  return { url, own };
};

/** Jobs a second of so many in flight over a number of them. */
const perSecond = async (items, work) => {
  const left = [...items];
  const lane = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  const ms = await elapsed(() => Promise.all(Array.from({ length: IN_FLIGHT }, lane)));
  return (items.length * 1000) / ms;
};

const count = (length) => Array.from({ length }, (_, n) => n);

const claimRound = async (own) => {
  await own.create(BATCH);
  return perSecond(count(BATCH), async () => own.complete(await own.claim()));
};

const completeRound = async (own) => {
  await own.create(BATCH);
  const claimed = [];
  while (claimed.length < BATCH) claimed.push(...(await own.claim(Math.min(1_000, BATCH - claimed.length))));
  return perSecond(claimed, (each) => own.complete([each]));
};

const append = async ({ service }) => {
  const event = { id: randomUUID(), type: 'Measured', version: 1, data: { note: 'x'.repeat(230) }, metadata: {} };
  const [result] = await service.store.append([{ stream: `bench-${event.id}`, expected: 'any', events: [event] }]);
  if (!result.ok) throw result.error;
  return 1;
};

const searchDue = async ({ service }) => {
  const ms = await elapsed(async () => {
    for (let n = 0; n < SEARCHES; n += 1) await service.leases.due(service.clock.now(), null, 500);
  });
  return ms / SEARCHES;
};

const replayRound = async (own) => {
  const events = Number((await own.service.store.head()).position);
  return (events * 1000) / (await elapsed(() => runUpkeep(own, 'rebuild', 'jobs')));
};

/** Resident memory in MB and the time to be ready in ms of the service as a process, idle. */
const idleService = async (url) => {
  const service = await startService(url);
  await service.get('/v1/queues');
  const status = readFileSync(`/proc/${service.pid}/status`, 'utf8');
  await service.close();
  return { rss: Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024, ready: service.startedInMs };
};

/** Completes what is left. */
const drain = async (own) => {
  for (;;) {
    const claimed = await own.claim(1_000, { waitMs: 0 });
    if (claimed.length === 0) return;
    await own.complete(claimed);
  }
};

const MEASURES = [
  {
    label: 'create',
    unit: 'jobs/s',
    better: 'higher',
    of: (own) => throughput(IN_FLIGHT, async () => (await own.create()).length),
  },
  { label: 'claim and complete', unit: 'jobs/s', better: 'higher', of: claimRound },
  { label: 'complete', unit: 'jobs/s', better: 'higher', of: completeRound },
  { label: 'append', unit: 'events/s', better: 'higher', of: (own) => throughput(IN_FLIGHT, () => append(own)) },
  { label: 'reaper: search, none due', unit: 'ms', better: 'lower', of: searchDue },
  { label: 'rebuild of the projection jobs', unit: 'events/s', better: 'higher', of: replayRound },
];

await withServer(async (url) => {
  const logs = [];
  for (const size of SIZES) logs.push({ size, ...(await openSize(url, size)) });
  const report = new Report(`scale: ${SIZES.map(nameOf).join(', ')} in the log, five events a job`, [
    `each size is a database of its own on one server; ${IN_FLIGHT} in flight, one command a call`,
  ]);
  // Ours first is the largest: how it does beside the smaller ones.
  const ordered = [...logs].reverse();
  const names = ordered.slice(1).map(({ size }) => nameOf(size));
  for (const { label, unit, better, of } of MEASURES) {
    report.row({
      ...{ label, unit, better },
      values: await alternate(Object.fromEntries(ordered.map(({ size, own }) => [nameOf(size), () => of(own)]))),
      goals: Object.fromEntries(names.map((name) => [name, 0.8])),
    });
    // What is left claimable would make the next ones unequal.
    for (const { own } of logs) await drain(own);
  }
  for (const { own } of logs) await own.close();
  if (process.platform === 'linux' && !isOwn) {
    const found = await alternate(
      Object.fromEntries(ordered.map((log) => [nameOf(log.size), () => idleService(log.url)])),
    );
    const take = (field) =>
      Object.fromEntries(Object.entries(found).map(([name, each]) => [name, each.map((one) => one[field])]));
    report.row({
      label: 'memory of an idle service',
      unit: 'MB',
      better: 'lower',
      limit: '≤ 150 MB',
      values: take('rss'),
    });
    report.row({
      label: 'start of a service on its database',
      unit: 'ms',
      better: 'lower',
      limit: '≤ 3,000 ms',
      values: take('ready'),
    });
  }
  report.end();
});
