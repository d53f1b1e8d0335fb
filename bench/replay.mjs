/** Events through the `jobs` projection from zero, as a rebuild does it; beside it the same rows read and thrown away. */
import { PostgresEventStore } from '../dist/event-store/postgres/postgres-event-store.js';
import { alternate, elapsed, vacuum, volume, withServer } from './measure.mjs';
import { openOwn, seedCompleted } from './own.mjs';
import { Report } from './report.mjs';
import { runUpkeep } from './upkeep.mjs';

const JOBS = volume({ own: 100, short: 40_000, full: 200_000 });

/** What the rebuild reads with, and pages of its size. */
const readAll = async (pool, pageSize) => {
  const store = new PostgresEventStore({ pool });
  let after = '0';
  for (;;) {
    const { next } = await store.readAll({ after, limit: pageSize });
    if (next === after) break;
    after = next;
  }
  await store.close();
};

await withServer(async (url) => {
  const own = await openOwn(url);
  await seedCompleted(own, JOBS);
  const { pool, store } = own.service;
  await vacuum(url);
  const events = Number((await store.head()).position);
  const perSecond = (ms) => (events * 1000) / ms;
  const report = new Report(`replay: ${events} events of ${JOBS} jobs, five a job, from zero`, [
    'the bare read: the same pages through the same reader, parsed, thrown away',
  ]);
  report.row({
    ...{ label: 'rebuild of the projection jobs', unit: 'events/s', better: 'higher', limit: '≥ 100,000' },
    values: await alternate({
      jobledger: async () => perSecond(await elapsed(() => runUpkeep(own, 'rebuild', 'jobs'))),
      'bare read': async () => perSecond(await elapsed(() => readAll(pool, 2_000))),
    }),
    goals: { 'bare read': 0.6 },
  });
  report.row({
    ...{ label: 'verification of the log, every hash', unit: 'events/s', better: 'higher', limit: '≥ 100,000' },
    values: await alternate({
      jobledger: async () => perSecond(await elapsed(() => runUpkeep(own, 'verify-log', 'log'))),
    }),
  });
  report.end();
  await own.close();
});
