/* eslint-disable @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return
   -- answers are looked into by name. */
/** Pages of a job's history: a cursor is of its job and of its order, and the last page says that it is. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { viewEvent } from '../../src/api/event-view.js';
import { readTimeline } from '../../src/projections/jobs/job-history.js';
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

it('are in every byte what the parsed events say', async () => {
  const payload = { text: 'é "x" \\ \u2028', list: [1e21, -0.5, null], 10: 'ten', 9: 'nine', '!': { a: {} } };
  const { jobId } = await call.create({ queue: 'bytes', payload });
  const { jobs } = (await call.post('/v1/claims', { workerId: 'w', queues: ['bytes'] })).body;
  const leaseToken = jobs[0].leaseToken;
  await call.post(`/v1/jobs/${jobId}/progress`, { leaseToken, batchId: 'b1', processed: 1, message: 'page "1"' });
  await call.post(`/v1/jobs/${jobId}/complete`, { leaseToken, result: { ok: true } });
  await call.post(`/v1/jobs/${jobId}/complete`, { leaseToken: 'forged', result: null });
  const items = (await readTimeline(app.service.store, jobId)).map(viewEvent);
  expect(items.map(({ type }) => type)).toEqual(
    expect.arrayContaining(['JobCreated', 'ProgressRecorded', 'JobCompleted', 'CommandRefused']),
  );
  for (const path of [`/v1/jobs/${jobId}/events`, '/v1/events']) {
    const answer = await fetch(`${app.url}${path}`);
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    const text = await answer.text();
    expect(text).toContain(JSON.stringify(items.slice(0, 4)).slice(1, -1));
    expect(text).toContain(JSON.stringify(items.at(-1)));
  }
  const page = await fetch(`${app.url}/v1/jobs/${jobId}/events`);
  expect(await page.text()).toBe(JSON.stringify({ items, nextCursor: null }));
});
