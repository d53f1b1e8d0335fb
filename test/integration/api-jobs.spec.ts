/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-return
   -- answers are looked into by name. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Caller, startApp, type TestApp } from '../support/app.js';

let app: TestApp;
let call: Caller;
beforeAll(async () => {
  app = await startApp();
  call = new Caller(app.url);
});
afterAll(() => app.close());

const unknown = randomUUID();

describe('a job over HTTP', () => {
  it('goes from creation to completion', async () => {
    const created = await call.post('/v1/jobs', { type: 'report', queue: 'a', payload: { n: 1 } });
    expect(created.status).toBe(201);
    expect(created.body).toEqual({
      jobId: expect.any(String),
      status: 'queued',
      run: 1,
      attempt: 0,
      revision: 1,
      position: expect.stringMatching(/^\d+$/),
      events: ['JobCreated', 'JobQueued'],
    });
    const id = created.body.jobId;
    const claimed = await call.claim('a');
    expect(claimed).toMatchObject({ attempt: 1, checkpoint: null, credentials: [], job: { id, status: 'running' } });
    await call.worker(claimed, 'progress', { batchId: 'b1', processed: 3, total: 10 });
    const beat = await call.worker(claimed, 'heartbeat', { checkpoint: { at: 3 }, state: 'rendering' });
    const running = await call.get(`/v1/jobs/${id}`);
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
  });

  it('shows every field of the contract, and those of parts not built as nothing', async () => {
    const { jobId } = await call.create({ queue: 'shown', priority: 3, tags: ['x'], policy: { retry: { factor: 3 } } });
    const { body } = await call.get(`/v1/jobs/${jobId}`);
    expect(body).toEqual({
      ...{ id: jobId, type: 'report', queue: 'shown', status: 'queued', priority: 3, tags: ['x'] },
      ...{ payload: null, result: null, error: null, failures: [], run: 1, attempt: 0, failedAttempts: 0 },
      ...{
        maxAttempts: 3,
        throttles: 0,
        lostLeases: 0,
        lease: null,
        availableAt: null,
        deadline: null,
        waiting: null,
        directive: null,
      },
      ...{ firstStartedAt: null, startedAt: null, finishedAt: null, lastActivityAt: null },
      ...{ items: null, parentId: null, children: {}, requires: [], deadLettered: false, createdBy: 'anonymous' },
      progress: { total: null, processed: 0, failed: 0, skipped: 0, percent: null, message: null, stages: {} },
      policy: expect.objectContaining({ retry: { initialMs: 1_000, factor: 3, maxMs: 600_000, jitter: 0.2 } }),
      ...{
        statusSince: body.createdAt,
        createdAt: body.createdAt,
        queuedAt: body.createdAt,
        lastEventAt: body.createdAt,
      },
      ...{ correlationId: expect.any(String), revision: 1, position: expect.any(String) },
    });
    expect(body.createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('is 404 when it was never created, and when its id is none', async () => {
    for (const path of ['', '/events', '/logs', '/stream', '?asOf=0']) {
      const [first, query = ''] = path.split('?');
      const answer = await call.get(`/v1/jobs/${unknown}${first}${query === '' ? '' : `?${query}`}`);
      expect([path, answer.status, answer.body.code]).toEqual([path, 404, 'not_found']);
    }
    expect((await call.get('/v1/jobs/not-a-uuid')).status).toBe(404);
    expect((await call.post('/v1/jobs/not-a-uuid/cancel')).status).toBe(404);
    expect((await call.post(`/v1/jobs/${unknown}/cancel`)).body.code).toBe('not_found');
  });

  it('is scheduled by a delay, from the time of the ledger', async () => {
    const { jobId, status } = await call.create({ delayMs: 60_000 });
    const { body } = await call.get(`/v1/jobs/${jobId}`);
    expect(status).toBe('scheduled');
    const delay = Date.parse(body.availableAt) - Date.parse(body.createdAt);
    // The time of the ledger is known by its offset: not to the millisecond.
    expect(Math.abs(delay - 60_000)).toBeLessThan(5_000);
    expect(body).toMatchObject({
      waiting: { reason: 'delay', until: body.availableAt },
      deadline: { rule: 'due', at: body.availableAt },
    });
  });

  it('takes its correlation id from its creator, else from the request', async () => {
    const batch = await call.post('/v1/jobs/batch', {
      jobs: [{ type: 'a' }, { type: 'b', correlationId: 'mine' }, { type: 'c' }],
    });
    const of = async (index: number) =>
      (await call.get(`/v1/jobs/${batch.body.items[index].jobId}`)).body.correlationId;
    expect(await of(1)).toBe('mine');
    expect(await of(0)).toBe(await of(2));
  });
});

describe('creating many', () => {
  it('answers each in order', async () => {
    const { status, body } = await call.post('/v1/jobs/batch', {
      jobs: [{ type: 'x' }, { type: 'y', autostart: false }],
    });
    expect(status).toBe(201);
    expect(body.items.map((item: any) => [item.status, item.events])).toEqual([
      ['queued', ['JobCreated', 'JobQueued']],
      ['created', ['JobCreated']],
    ]);
  });

  it('creates none when one is wrong, and names it', async () => {
    const before = await call.get('/v1/jobs?type=none');
    const { status, body } = await call.post('/v1/jobs/batch', { jobs: [{ type: 'none' }, { type: '' }] });
    expect([status, body.errors[0].path]).toEqual([400, 'jobs[1].type']);
    expect((await call.get('/v1/jobs?type=none')).body.items).toEqual(before.body.items);
  });
});

describe('a key', () => {
  const keyed = (key: string) => ({ headers: { 'idempotency-key': key } });

  it('gives the first answer again, whatever the body looks like as text', async () => {
    const first = await call.post('/v1/jobs', '{"type":"report","payload":{"a":1,"b":2}}', keyed('k1'));
    const again = await call.post('/v1/jobs', '{ "payload": {"b": 2, "a": 1}, "type": "report" }', keyed('k1'));
    expect(again.status).toBe(201);
    expect(again.body).toEqual(first.body);
    expect([first.headers.get('idempotent-replayed'), again.headers.get('idempotent-replayed')]).toEqual([
      null,
      'true',
    ]);
  });

  it('is 422 for another body or path', async () => {
    await call.post('/v1/jobs', { type: 'report' }, keyed('k2'));
    for (const [path, body] of [
      ['/v1/jobs', { type: 'other' }],
      ['/v1/jobs/batch', { jobs: [{ type: 'report' }] }],
      ['/v1/claims', { workerId: 'w' }],
    ] as const) {
      const answer = await call.post(path, body, keyed('k2'));
      expect([path, answer.status, answer.body.code]).toEqual([path, 422, 'idempotency_key_reused']);
    }
  });

  it('repeats a batch, a claim with its leases, facts, logs and what was in effect', async () => {
    const jobs = [
      { type: 'r', queue: 'keyed' },
      { type: 'r', queue: 'keyed' },
    ];
    const twice = async (path: string, body: object, key: string) => {
      const first = await call.post(path, body, keyed(key));
      const again = await call.post(path, body, keyed(key));
      expect([path, first.status]).toEqual([path, path.startsWith('/v1/jobs/batch') ? 201 : 200]);
      expect([path, again.status, again.body]).toEqual([path, first.status, first.body]);
      expect([path, again.headers.get('idempotent-replayed')]).toEqual([path, 'true']);
      return first.body;
    };
    await twice('/v1/jobs/batch', { jobs }, 'k3');
    const { jobs: claimed } = await twice('/v1/claims', { workerId: 'w', queues: ['keyed'], max: 5 }, 'k4');
    expect(claimed).toHaveLength(2);
    const [{ job, leaseToken }] = claimed;
    await twice(`/v1/jobs/${job.id}/progress`, { leaseToken, batchId: 'b', processed: 1 }, 'k5');
    await twice(`/v1/jobs/${job.id}/start`, { leaseToken }, 'k6');
    await twice(`/v1/jobs/${job.id}/logs`, { leaseToken, lines: [{ level: 'info', message: 'one' }] }, 'k7');
    await twice(`/v1/jobs/${job.id}/complete`, { leaseToken, result: 1 }, 'k8');
    expect((await call.get(`/v1/jobs/${job.id}/logs`)).body.items).toHaveLength(1);
  });

  it('does not keep an empty claim', async () => {
    const body = { workerId: 'w', queues: ['empty-claim'] };
    expect((await call.post('/v1/claims', body, keyed('k9'))).body.jobs).toEqual([]);
    await call.create({ queue: 'empty-claim' });
    const second = await call.post('/v1/claims', body, keyed('k9'));
    expect(second.body.jobs).toHaveLength(1);
    expect(second.headers.get('idempotent-replayed')).toBeNull();
  });

  it('answers a second call in flight with the first answer', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => call.post('/v1/jobs', { type: 'report' }, keyed('k10'))));
    expect(new Set(answers.map(({ body }) => body.jobId)).size).toBe(1);
  });
});

describe('what a client has seen', () => {
  it('is 412 when the job has another revision', async () => {
    const { jobId, revision } = await call.create({ queue: 'seen' });
    const wrong = await call.post(`/v1/jobs/${jobId}/priority`, { priority: 5 }, { headers: { 'if-match': '7' } });
    expect([wrong.status, wrong.body.code]).toEqual([412, 'precondition_failed']);
    const right = await call.post(
      `/v1/jobs/${jobId}/priority`,
      { priority: 5 },
      { headers: { 'if-match': `"${revision}"` } },
    );
    expect([right.status, right.body.events]).toEqual([200, ['PriorityChanged']]);
  });

  it('is told by positions: a read says its own, and may be asked for one', async () => {
    const { jobId, position } = await call.create({ queue: 'seen' });
    const read = await call.get(`/v1/jobs/${jobId}`, { headers: { 'x-min-position': position } });
    expect(BigInt(read.headers.get('x-position')!)).toBeGreaterThanOrEqual(BigInt(position));
    for (const path of [
      ...[`/v1/jobs/${jobId}`, '/v1/jobs', '/v1/counters', '/v1/queues', '/v1/events', '/v1/reaper', '/v1/log/head'],
      ...['/v1/admin/projections', '/v1/admin/projections/jobs', '/v1/admin/upkeep', '/v1/config'],
    ]) {
      for (const wrong of ['x', '999999999999']) {
        const answer = await call.get(path, { headers: { 'x-min-position': wrong } });
        expect([path, wrong, answer.status]).toEqual([path, wrong, 400]);
      }
      if (path === '/v1/config') continue;
      expect((await call.get(path)).headers.get('x-position')).toMatch(/^\d+$/);
    }
  });
});

describe('a job as it was', () => {
  it('is what its events said at a position or a time, without lease and deadline', async () => {
    const { jobId, position } = await call.create({ queue: 'past', total: 4 });
    const claimed = await call.claim('past');
    const { body: progress } = await call.worker(claimed, 'progress', { batchId: 'b', processed: 1 });
    await call.worker(claimed, 'complete');
    const at = async (asOf: string) => (await call.get(`/v1/jobs/${jobId}?asOf=${asOf}`)).body;
    expect(await at(position)).toMatchObject({ status: 'queued', attempt: 0, lease: null, deadline: null, position });
    expect(await at(progress.position)).toMatchObject({ status: 'running', attempt: 1, progress: { processed: 1 } });
    expect((await at(progress.position)).lease).toBeNull();
    const { items } = (await call.get(`/v1/jobs/${jobId}/events`)).body;
    expect(await at(items.at(-1).at)).toMatchObject({ status: 'completed' });
    const soon = new Date(app.service.clock.now() + 60_000).toISOString();
    for (const asOf of ['999999999', soon, '9999-12-31T23:59:59.999Z']) {
      const beyond = await call.get(`/v1/jobs/${jobId}?asOf=${asOf}`);
      expect([beyond.status, beyond.body.code, beyond.body.errors[0].path]).toEqual([400, 'validation_failed', 'asOf']);
    }
    expect(await at(new Date(app.service.clock.now()).toISOString())).toMatchObject({ status: 'completed' });
    const before = await call.get(`/v1/jobs/${jobId}?asOf=2001-01-01T00:00:00Z`);
    expect(before.status).toBe(404);
  });
});

describe('waiting for the end of a run', () => {
  it('answers when it ends', async () => {
    const { jobId } = await call.create({ queue: 'awaited' });
    const claimed = await call.claim('awaited');
    const waiting = call.get(`/v1/jobs/${jobId}?waitMs=30000`);
    await call.worker(claimed, 'complete', { result: 7 });
    expect((await waiting).body).toMatchObject({ status: 'completed', result: 7 });
  });

  it('answers as it is when the time is up, and at once when it has ended', async () => {
    const { jobId } = await call.create({ queue: 'awaited' });
    expect((await call.get(`/v1/jobs/${jobId}?waitMs=30`)).body.status).toBe('queued');
    await call.post(`/v1/jobs/${jobId}/cancel`);
    expect((await call.get(`/v1/jobs/${jobId}?waitMs=60000`)).body.status).toBe('cancelled');
  });
});
