/** Events through the `jobs` projection from zero, as a rebuild does it; beside it the same rows read and thrown away. */
import pg from 'pg';
import { PostgresEventStore } from '../dist/event-store/postgres/postgres-event-store.js';
import { alternate, elapsed, vacuum, volume, withServer } from './measure.mjs';
import { openOwn, seedCompleted } from './own.mjs';
import { Report } from './report.mjs';
import { runUpkeep } from './upkeep.mjs';

const JOBS = volume({ own: 100, short: 40_000, full: 200_000 });

const PAGE = 2_000;

/** The same rows as anybody reads them: by the driver, in pages, their JSON parsed. */
const readBare = async (url) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  let after = '0';
  for (;;) {
    const { rows } = await client.query({
      name: 'bare',
      text: `select position, stream, revision, id, type, version, at, data, metadata from jobledger.events
        where position > $1 order by position limit ${PAGE}`,
      values: [after],
    });
    for (const row of rows) {
      JSON.parse(row.data);
      JSON.parse(row.metadata);
    }
    if (rows.length === 0) break;
    after = rows.at(-1).position;
  }
  await client.end();
};

/** What the rebuild reads with, in pages of its size; JSON is parsed when somebody looks at it, and nobody does. */
const readPages = async (pool) => {
  const store = new PostgresEventStore({ pool });
  let after = '0';
  for (;;) {
    const { next } = await store.readAll({ after, limit: PAGE });
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
    `the bare read: the same rows by the driver, in pages of ${PAGE}, their JSON parsed, thrown away`,
    'its own reader: the pages that the rebuild reads, thrown away, their JSON not parsed',
  ]);
  report.row({
    ...{ label: 'rebuild of the projection jobs', unit: 'events/s', better: 'higher', limit: '≥ 100,000' },
    values: await alternate({
      jobledger: async () => perSecond(await elapsed(() => runUpkeep(own, 'rebuild', 'jobs'))),
      'bare read': async () => perSecond(await elapsed(() => readBare(url))),
      'its own reader': async () => perSecond(await elapsed(() => readPages(pool))),
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
