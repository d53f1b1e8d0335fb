/* eslint-disable @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return
   -- answers are looked into by name. */
/** Pages of a job's history: a cursor is of its job and of its order, and the last page says that it is. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Caller, startApp, type TestApp } from '../support/app.js';

let app: TestApp;
let call: Caller;
beforeAll(async () => {
  app = await startApp();
  call = new Caller(app.url);
});
afterAll(() => app.close());

it('end with the last event, and go on only where they began', async () => {
  const [first, second] = [await call.create({ queue: 'pages' }), await call.create({ queue: 'pages' })];
  const events = (id: string, query: string) => call.get(`/v1/jobs/${id}/events?${query}`);
  const whole = await events(first.jobId, 'limit=2');
  expect([whole.body.items.length, whole.body.nextCursor]).toEqual([2, null]);
  const { nextCursor } = (await events(first.jobId, 'limit=1')).body;
  const rest = (await events(first.jobId, `limit=1&cursor=${nextCursor}`)).body;
  expect([rest.items[0].type, rest.nextCursor]).toEqual(['JobQueued', null]);
  const wrong = await Promise.all([
    events(first.jobId, `order=desc&cursor=${nextCursor}`),
    events(second.jobId, `cursor=${nextCursor}`),
    call.get(`/v1/jobs/${first.jobId}/logs?cursor=${nextCursor}`),
  ]);
  expect(wrong.map(({ status, body }) => [status, body.errors?.[0].path])).toEqual(Array(3).fill([400, 'cursor']));
});
