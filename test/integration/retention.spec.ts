/** What is kept for a time only, and forgotten by the process that keeps house. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Caller, startApp, type TestApp } from '../support/app.js';
import { waitFor } from '../support/e2e/wait.js';

let app: TestApp;
let call: Caller;
beforeAll(async () => {
  app = await startApp();
  call = new Caller(app.url);
});
afterAll(() => app.close());

const keyed = (key: string) => ({ headers: { 'idempotency-key': key } });
const AGED = "clock_timestamp() - interval '25 hours'";

it('keys of a day ago are free again, later ones are not; who asked a day ago is not told any more', async () => {
  const create = (key: string, type: string) => call.post('/v1/jobs', { type, queue: 'kept' }, keyed(key));
  const old = await create('old', 'report');
  expect((await create('old', 'report')).body).toEqual(old.body);
  expect((await create('old', 'other')).body.code).toBe('idempotency_key_reused');
  await call.post('/v1/claims', { workerId: 'gone', queues: ['asked'], types: ['x'] });
  const { position } = await call.create({ queue: 'asked' });
  const asked = () => call.get('/v1/queues/asked', { headers: { 'x-min-position': position } });
  expect((await asked()).body.claimers).toMatchObject([{ workerId: 'gone' }]);
  const { pool } = app.service;
  await pool.query(`update jobledger.answers set at = ${AGED}`);
  await pool.query(`update jobledger.claimers set asked_at = ${AGED}`);
  const young = await create('young', 'report');
  await call.post('/v1/claims', { workerId: 'here', queues: ['asked'], types: ['x'] });
  const keeper = await startApp({ databaseUrl: app.databaseUrl, run: ['reaper'] });
  try {
    const left = async (table: string, at: string) =>
      (await pool.query(`select from jobledger.${table} where ${at} < clock_timestamp() - interval '24 hours'`))
        .rowCount;
    await waitFor('the old to be forgotten', async () => {
      const counts = [await left('answers', 'at'), await left('claimers', 'asked_at')];
      return counts.every((count) => count === 0);
    });
  } finally {
    await keeper.close();
  }
  const again = await create('old', 'other');
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, null]);
  expect(again.body.jobId).not.toBe(old.body.jobId);
  expect((await create('young', 'report')).body).toEqual(young.body);
  expect((await asked()).body.claimers).toMatchObject([{ workerId: 'here' }]);
});
