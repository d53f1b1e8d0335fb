/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-return
   -- answers are looked into by name. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Caller, startApp, type TestApp } from '../support/app.js';

let app: TestApp;
let call: Caller;
beforeAll(async () => {
  app = await startApp();
  call = new Caller(app.url);
});
afterAll(() => app.close());

const claimNew = async (queue: string, over: object = {}) => {
  await call.create({ queue, ...over });
  return call.claim(queue);
};

describe('commands of clients', () => {
  it('start, reschedule, prioritise, cancel and retry a job', async () => {
    const { jobId } = await call.create({ autostart: false, queue: 'c1' });
    const send = async (name: string, body: object = {}) => (await call.post(`/v1/jobs/${jobId}/${name}`, body)).body;
    expect(await send('start', { reason: 'ready' })).toMatchObject({ status: 'queued', events: ['JobQueued'] });
    expect(await send('start')).toMatchObject({ status: 'queued', events: [] });
    const later = await send('reschedule', { delayMs: 3_600_000 });
    expect(later).toMatchObject({ status: 'scheduled', events: ['JobRescheduled', 'JobScheduled'] });
    expect(await send('priority', { priority: 9 })).toMatchObject({ events: ['PriorityChanged'] });
    expect(await send('cancel', { reason: 'no need' })).toMatchObject({
      status: 'cancelled',
      events: ['JobCancelled'],
    });
    expect(await send('cancel')).toMatchObject({ status: 'cancelled', events: [] });
    expect(await send('retry', { payload: { again: true } })).toMatchObject({
      run: 2,
      events: ['JobRetried', 'JobQueued'],
    });
    expect((await call.get(`/v1/jobs/${jobId}`)).body).toMatchObject({ payload: { again: true }, run: 2, priority: 9 });
  });

  it('say where the job stands when they are refused', async () => {
    const { jobId } = await call.create({ queue: 'c2' });
    const illegal = await call.post(`/v1/jobs/${jobId}/retry`);
    expect(illegal.status).toBe(409);
    expect(illegal.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(illegal.body).toMatchObject({
      code: 'illegal_transition',
      status: 409,
      from: 'queued',
      command: 'retry',
      jobStatus: 'queued',
      run: 1,
      attempt: 0,
      revision: 1,
    });
    const claimed = await call.claim('c2');
    await call.worker(claimed, 'complete');
    const late = await call.post(`/v1/jobs/${jobId}/cancel`);
    expect([late.status, late.body.code, late.body.jobStatus]).toEqual([409, 'already_terminal', 'completed']);
  });

  it('of no job that is there are refused a revision that they should match', async () => {
    const headers = { 'if-match': '1' };
    const { position } = (await call.get('/v1/log/head')).body;
    const answers = await Promise.all([
      call.post('/v1/jobs', { type: 't', queue: 'c-match' }, { headers }),
      call.post('/v1/jobs/batch', { jobs: [{ type: 't', queue: 'c-match' }] }, { headers }),
      call.post('/v1/claims', { workerId: 'w', queues: ['c-match'] }, { headers }),
      call.post('/v1/admin/reaper/sweep', {}, { headers }),
    ]);
    expect(answers.map(({ status, body }) => [status, body.errors?.[0].path])).toEqual(
      answers.map(() => [400, 'If-Match']),
    );
    expect((await call.get('/v1/log/head')).body.position).toBe(position);
  });

  it('of parts that are not built are 501', async () => {
    const { jobId } = await call.create({ queue: 'c3' });
    for (const [method, path, body] of [
      ['GET', `/v1/jobs/${jobId}/why`, undefined],
      ['POST', `/v1/jobs/${jobId}/cancel`, { cascade: false }],
      ['POST', '/v1/jobs', { type: 'x', itemCount: 3 }],
      ['GET', '/v1/stuck', undefined],
      ['GET', '/v1/streams/stuck', undefined],
    ] as const) {
      const answer = await call.send(method, path, body);
      expect([path, answer.status, answer.body.code]).toEqual([path, 501, 'not_implemented']);
    }
  });
});

describe('a worker', () => {
  it('claims by priority, then age, as many as it asks for', async () => {
    const low = await call.create({ queue: 'w1' });
    const high = await call.create({ queue: 'w1', priority: 10 });
    const lower = await call.create({ queue: 'w1' });
    const { body } = await call.post('/v1/claims', { workerId: 'w', queues: ['w1'], max: 2, leaseMs: 60_000 });
    expect(body.blocked).toEqual([]);
    expect(body.jobs.map((each: any) => each.job.id)).toEqual([high.jobId, low.jobId]);
    const { job, leaseToken, leaseExpiresAt } = body.jobs[0];
    expect(job).toMatchObject({ status: 'running', attempt: 1, lease: { workerId: 'w', expiresAt: leaseExpiresAt } });
    expect(JSON.stringify(job)).not.toContain(leaseToken);
    expect(Date.parse(leaseExpiresAt) - Date.parse(job.startedAt)).toBeGreaterThan(50_000);
    expect((await call.claim('w1')).job.id).toBe(lower.jobId);
    expect((await call.post('/v1/claims', { workerId: 'w', queues: ['w1'] })).body).toEqual({ jobs: [], blocked: [] });
  });

  it('waits for a job that is not there yet', async () => {
    const waiting = call.claim('w2', { waitMs: 30_000 });
    const { jobId } = await call.create({ queue: 'w2' });
    expect((await waiting).job.id).toBe(jobId);
  });

  it('is leased nothing when it hangs up', async () => {
    const gone = new AbortController();
    const body = { workerId: 'gone', queues: ['w3'], waitMs: 60_000 };
    const waiting = call.post('/v1/claims', body, { signal: gone.signal }).catch(() => 'hung up');
    // A second claim that is answered proves that the first has arrived.
    await call.post('/v1/claims', { workerId: 'x', queues: ['w3'] });
    gone.abort();
    expect(await waiting).toBe('hung up');
    const { jobId } = await call.create({ queue: 'w3' });
    const claimed = await call.claim('w3', { waitMs: 30_000, workerId: 'stays' });
    expect(claimed.job).toMatchObject({ id: jobId, lease: { workerId: 'stays' } });
  });

  it('starts what it claimed without starting', async () => {
    await call.create({ queue: 'w4' });
    const claimed = await call.claim('w4', { start: false });
    expect(claimed.job.status).toBe('claimed');
    expect((await call.worker(claimed, 'start')).body).toMatchObject({ status: 'running', events: ['JobStarted'] });
    expect((await call.worker(claimed, 'start')).body.events).toEqual([]);
  });

  it('goes on from its checkpoint after it failed', async () => {
    const first = await claimNew('w5', { policy: { retry: { initialMs: 100, maxMs: 100 } } });
    expect((await call.worker(first, 'heartbeat', { checkpoint: { page: 7 } })).body.directive).toBe('continue');
    const failed = await call.worker(first, 'fail', { code: 'Boom', message: 'it broke', detail: { n: 1 } });
    expect(failed.body).toMatchObject({ status: 'scheduled', events: ['AttemptFailed', 'JobScheduled'] });
    const second = await call.claim('w5', { waitMs: 30_000 });
    expect(second).toMatchObject({ attempt: 2, checkpoint: { page: 7 } });
    expect(second.job.failures).toMatchObject([{ run: 1, attempt: 1, code: 'Boom', message: 'it broke' }]);
    const stale = await call.worker(first, 'complete');
    expect([stale.status, stale.body]).toEqual([
      409,
      expect.objectContaining({ code: 'stale_lease', jobStatus: 'running', run: 1, attempt: 2 }),
    ]);
  });

  it('is told to stop when its job is cancelled', async () => {
    const claimed = await claimNew('w6');
    expect((await call.post(`/v1/jobs/${claimed.job.id}/cancel`)).body.status).toBe('cancelling');
    expect((await call.worker(claimed, 'heartbeat')).body.directive).toBe('cancel');
    expect((await call.worker(claimed, 'release', { reason: 'stopped' })).body.status).toBe('cancelled');
  });

  it('throttles, waits and releases at no cost in attempts', async () => {
    const throttled = await claimNew('w7');
    const later = await call.worker(throttled, 'throttle', { retryAfterMs: 60_000 });
    expect(later.body).toMatchObject({ status: 'scheduled', events: ['JobThrottled', 'JobScheduled'] });
    const based = await claimNew('w7b');
    expect((await call.worker(based, 'throttle', { baseMs: 1_000 })).body.status).toBe('scheduled');
    const waiting = await claimNew('w8');
    const wait = await call.worker(waiting, 'wait', { reason: 'approval', detail: { of: 'bob' } });
    expect(wait.body).toMatchObject({ status: 'waiting', events: ['JobWaiting'] });
    expect((await call.get(`/v1/jobs/${waiting.job.id}`)).body).toMatchObject({
      waiting: { reason: 'approval', detail: { of: 'bob' }, until: null },
      deadline: { rule: 'wait_expired' },
      lease: null,
    });
    const resumed = await call.post(`/v1/jobs/${waiting.job.id}/resume`);
    expect(resumed.body).toMatchObject({ status: 'queued', events: ['JobResumed', 'JobQueued'] });
    const released = await claimNew('w9');
    expect((await call.worker(released, 'release', { reason: 'shutdown' })).body).toMatchObject({
      status: 'queued',
      events: ['JobReleased', 'JobQueued'],
    });
    expect((await call.get(`/v1/jobs/${released.job.id}`)).body).toMatchObject({ failedAttempts: 0, attempt: 1 });
    for (const body of [{}, { retryAfterMs: 1, baseMs: 1 }, { retryAfterMs: 86_400_001 }]) {
      expect((await call.worker(released, 'throttle', body)).status).toBe(400);
    }
  });

  it('counts a batch of progress once', async () => {
    const claimed = await claimNew('w10');
    const first = await call.worker(claimed, 'progress', { batchId: 'b', processed: 2, stage: 'read', total: 4 });
    expect(first.body).toMatchObject({ status: 'running', events: ['ProgressRecorded'] });
    expect(
      (await call.worker(claimed, 'progress', { batchId: 'b', processed: 2, stage: 'read', total: 4 })).body.events,
    ).toEqual([]);
    expect((await call.get(`/v1/jobs/${claimed.job.id}`)).body.progress).toMatchObject({
      percent: 50,
      stages: { read: { total: 4, processed: 2, failed: 0 } },
    });
  });

  it('with a token of another job, or none of ours, is stale', async () => {
    const one = await claimNew('w11');
    const two = await claimNew('w12');
    for (const leaseToken of [two.leaseToken, '1.1.forged', 'x']) {
      const answer = await call.worker({ ...one, leaseToken }, 'heartbeat');
      expect([answer.status, answer.body.code]).toEqual([409, 'stale_lease']);
    }
    const { items } = (await call.get(`/v1/jobs/${one.job.id}/events`)).body;
    const refusals = items.filter((event: any) => event.type === 'CommandRefused');
    expect(refusals).toMatchObject([
      { from: null, to: null, data: { command: 'heartbeat', code: 'stale_lease', run: null, workerId: null } },
    ]);
  });

  it('logs lines that never touch the job', async () => {
    const claimed = await claimNew('w13');
    const before = await call.get(`/v1/jobs/${claimed.job.id}`);
    const lines = [1, 2, 3].map((n) => ({ level: 'info', message: `line ${n}`, fields: { n } }));
    const written = await call.worker(claimed, 'logs', { lines });
    expect([written.status, written.body.events]).toEqual([200, []]);
    expect((await call.get(`/v1/jobs/${claimed.job.id}`)).body).toEqual(before.body);
    const first = await call.get(`/v1/jobs/${claimed.job.id}/logs?limit=2`);
    expect(first.body.items).toMatchObject([
      { level: 'info', message: 'line 1', fields: { n: 1 }, workerId: 'w1', attempt: 1, at: expect.any(String) },
      { message: 'line 2' },
    ]);
    const rest = await call.get(`/v1/jobs/${claimed.job.id}/logs?cursor=${first.body.nextCursor}`);
    expect([rest.body.items.length, rest.body.nextCursor]).toEqual([1, null]);
  });
});
