/** Rows by which processes keep book, deleted by hand: what they were for goes on, or is told. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { NO_LOG } from '../../src/log-readers.js';
import { startApp, type TestApp } from '../support/app.js';
import { waitFor } from '../support/e2e/wait.js';
import { options } from '../support/ledger.js';
import { LedgerCaller, newQueue } from '../support/ledger-caller.js';

const apps: TestApp[] = [];
/** Projections that a process could not go on with. */
const failed: string[] = [];
let ledger: LedgerCaller;
const start = async (databaseUrl?: string): Promise<LedgerCaller> => {
  const { log } = options('').reaper;
  const app = await startApp({
    ...(databaseUrl !== undefined && { databaseUrl }),
    run: ['api', 'projections', 'reaper'],
    service: {
      reaper: { intervalMs: 100, log },
      projectionLog: { ...NO_LOG, failed: (projection) => failed.push(projection) },
    },
  });
  apps.unshift(app);
  return new LedgerCaller(app.url);
};
const remove = (text: string) => apps.at(-1)!.service.pool.query(`delete from jobledger.${text}`);
beforeAll(async () => {
  ledger = await start();
});
afterAll(async () => {
  for (const app of apps) await app.close();
});

it('the record of the reaper is made anew, and jobs are reaped', async () => {
  await remove('reaper');
  expect(await ledger.reaper()).toMatchObject({ instanceId: expect.any(String) });
  const held = await ledger.hold({ policy: { maxLostLeases: 0 } }, { leaseMs: 100 });
  await waitFor('it to be reaped', async () => (await ledger.job(held.job.id)).status === 'failed');
  await waitFor('the reaper to be well', async () => (await ledger.reaper()).alive);
  expect((await ledger.ready()).checks['reaper']).toEqual({ status: 'ok', detail: null });
});

it('a checkpoint is missed by readiness, and its projection counts nothing twice until it is made anew', async () => {
  const queue = newQueue();
  const { position } = await ledger.create({ queue });
  await ledger.counters(position);
  await remove(`projections where name = 'counters'`);
  // Readiness asks the same, and is 503 as soon as the first event is 30 s old.
  const { body } = await ledger.get('/v1/admin/projections/counters');
  expect(body).toMatchObject({ position: '0', lagEvents: expect.any(Number), leader: null });
  expect(body.lagEvents).toBeGreaterThan(0);
  // One that starts takes the tables for what they are: of events that it does not know.
  const other = await start(apps[0]!.databaseUrl);
  const later = await other.create({ queue });
  await waitFor('the projection to be tried', () => failed.includes('counters'));
  const rebuilt = await other.post('/v1/admin/projections/counters/rebuild', { waitMs: 60_000 });
  expect(rebuilt.body).toMatchObject({ state: 'done', ok: true });
  expect((await ledger.counters(later.position)).byQueue[queue]).toMatchObject({ queued: 2 });
  await waitFor('readiness', async () => (await ledger.ready()).status === 'ok');
  const verified = await ledger.post('/v1/admin/projections/counters/verify', { waitMs: 60_000 });
  expect(verified.body).toMatchObject({ state: 'done', ok: true });
});
