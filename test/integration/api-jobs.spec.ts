/* eslint-disable @typescript-eslint/no-unsafe-call -- answers are looked into by name. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Caller, startApp, type TestApp } from '../support/app.js';

let app: TestApp;
let call: Caller;
beforeAll(async () => {
  app = await startApp();
  call = new Caller(app.url);
});
afterAll(() => app.close());

describe('a job over HTTP', () => {
  it('goes from creation to completion', async () => {
    const created = await call.post('/v1/jobs', { type: 'report', queue: 'a', payload: { n: 1 } });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({
      status: 'queued',
      run: 1,
      attempt: 0,
      revision: 1,
      events: ['JobCreated', 'JobQueued'],
    });
    const id = created.body.jobId;
    const claimed = await call.claim('a');
    expect(claimed).toMatchObject({ attempt: 1, checkpoint: null, credentials: [], job: { id, status: 'running' } });
    expect((await call.worker(claimed, 'progress', { batchId: 'b1', processed: 3, total: 10 })).body).toMatchObject({
      events: ['ProgressRecorded'],
    });
    const beat = await call.worker(claimed, 'heartbeat', { checkpoint: { at: 3 }, state: 'rendering' });
    expect(beat.body).toEqual({ leaseExpiresAt: expect.any(String), directive: 'continue' });
    const running = await call.get(`/v1/jobs/${id}`);
    expect(running.headers.get('x-position')).toMatch(/^\d+$/);
    expect(running.body).toMatchObject({
      status: 'running',
      progress: { total: 10, processed: 3, percent: 30 },
      lease: { workerId: 'w1', workerState: 'rendering', expiresAt: beat.body.leaseExpiresAt },
      deadline: { rule: 'lease_expired', at: beat.body.leaseExpiresAt },
    });
    expect((await call.worker(claimed, 'complete', { result: { ok: true } })).body).toMatchObject({
      status: 'completed',
      events: ['JobCompleted'],
    });
    const done = await call.get(`/v1/jobs/${id}`);
    expect(done.body).toMatchObject({ status: 'completed', lease: null, deadline: null, result: { ok: true } });
    const history = await call.get(`/v1/jobs/${id}/events`);
    expect(history.body.items.map((event: { type: string }) => event.type)).toEqual([
      'JobCreated',
      'JobQueued',
      'JobClaimed',
      'JobStarted',
      'ProgressRecorded',
      'CheckpointSaved',
      'WorkerStateReported',
      'JobCompleted',
    ]);
    expect(history.body.items.at(-1).actor).toEqual({ type: 'worker', id: 'w1' });
  });
});
