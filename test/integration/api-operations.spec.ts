/* eslint-disable @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-call
   -- answers are looked into by name. */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Caller, startApp, type TestApp } from '../support/app.js';

const policy = { leaseMs: 100, maxLostLeases: 0 };
let app: TestApp;
let call: Caller;
beforeAll(async () => {
  app = await startApp({ policy });
  call = new Caller(app.url);
});
afterAll(() => app.close());

const fresh = (position: string) => ({ headers: { 'x-min-position': position } });

describe('counters and queues', () => {
  it('are as fresh as is asked', async () => {
    await call.create({ queue: 'q1', type: 'ta' });
    await call.create({ queue: 'q1', type: 'tb', autostart: false });
    const { position } = await call.create({ queue: 'q2', type: 'ta' });
    const { body, headers } = await call.get('/v1/counters', fresh(position));
    expect(body).toMatchObject({
      total: 3,
      byStatus: { queued: 2, created: 1, running: 0 },
      byQueue: { q1: { queued: 1, created: 1 }, q2: { queued: 1 } },
      byType: { ta: { queued: 2 }, tb: { created: 1 } },
      events: 5,
    });
    expect(headers.get('x-position')).toBe(body.position);
    expect(BigInt(body.position)).toBeGreaterThanOrEqual(BigInt(position));
    const first = await call.get('/v1/queues?limit=1', fresh(position));
    expect(first.body.items).toMatchObject([
      { name: 'q1', paused: false, depth: 1, byStatus: { queued: 1, created: 1 } },
    ]);
    const second = await call.get(`/v1/queues?limit=1&cursor=${first.body.nextCursor}`);
    expect([second.body.items[0].name, second.body.nextCursor]).toEqual(['q2', null]);
    const one = await call.get('/v1/queues/q2');
    expect(one.body).toMatchObject({
      name: 'q2',
      depth: 1,
      oldestJobId: expect.any(String),
      limits: { maxRunning: null, maxRunningPerKey: null, rate: null },
    });
    expect((await call.get('/v1/queues/never')).body.code).toBe('not_found');
  });

  it('say which types wait for a worker, and who asks for which', async () => {
    await call.create({ queue: 'q3', type: 'Alone' });
    await call.create({ queue: 'q3', type: 'Draft', autostart: false });
    const { jobId: gone } = await call.create({ queue: 'q3', type: 'Gone' });
    await call.post(`/v1/jobs/${gone}/reschedule`, { delayMs: 3_600_000 });
    await call.create({ queue: 'elsewhere', type: 'Elsewhere' });
    await call.create({ queue: 'q3', type: 'Demo' });
    const { position } = await call.create({ queue: 'q3', type: 'Demo' });
    const never = await call.get('/v1/queues/q3', fresh(position));
    expect(never.body).toMatchObject({ depth: 3, claimers: [] });
    // Those that have most come first.
    expect(Object.entries(never.body.depthByType)).toEqual([
      ['Demo', 2],
      ['Alone', 1],
    ]);
    await call.post('/v1/claims', { workerId: 'w-demo', queues: ['q3', 'q4'], types: ['demo'] });
    await call.post('/v1/claims', { workerId: 'w-else', queues: ['q4'] });
    const asked = await call.get('/v1/queues', fresh(position));
    const claimer = { workerId: 'w-demo', types: ['demo'], lastAskedAt: expect.any(String) };
    expect(asked.body.items.find(({ name }: { name: string }) => name === 'q3').claimers).toEqual([claimer]);
    await call.post('/v1/claims', { workerId: 'w-late', types: ['other'] });
    const { body } = await call.get('/v1/queues/q3');
    expect(body.claimers).toMatchObject([{ workerId: 'w-late', types: ['other'] }, { workerId: 'w-demo' }]);
    expect(body.claimers[0].lastAskedAt > body.claimers[1].lastAskedAt).toBe(true);
  });

  it('say who asked last, and of many no more than 20', async () => {
    const { position } = await call.create({ queue: 'q5', type: 'Demo' });
    const asks = (workerId: string) => call.post('/v1/claims', { workerId, queues: ['q5'], types: ['demo'] });
    const told = async (): Promise<string[]> => {
      const { body } = await call.get('/v1/queues/q5', fresh(position));
      return (body.claimers as { workerId: string }[]).map(({ workerId }) => workerId);
    };
    for (let n = 0; n < 24; n += 1) await asks(`w-${n}`);
    const many = await told();
    expect([many.length, many[0]]).toEqual([20, 'w-23']);
    await asks('w-10');
    expect((await told())[0]).toBe('w-10');
  });

  it('lag when no projection runs', async () => {
    const other = await startApp({ run: ['api'] });
    try {
      const caller = new Caller(other.url);
      const { position } = await caller.create();
      const answer = await caller.get('/v1/counters', fresh(position));
      expect([answer.status, answer.body.code, answer.headers.get('retry-after')]).toEqual([
        503,
        'projection_lagging',
        '1',
      ]);
    } finally {
      await other.close();
    }
  });
});

describe('the reaper', () => {
  it('sweeps when it is asked, and says what it did', async () => {
    await call.create({ queue: 'reaped' });
    const claimed = await call.claim('reaped');
    const id = claimed.job.id;
    await call.untilDue([id]);
    const dry = await call.post('/v1/admin/reaper/sweep', { dryRun: true });
    expect(dry.body).toMatchObject({
      due: 1,
      reaped: 1,
      dryRun: true,
      jobs: [{ jobId: id, rule: 'lease_expired', verdict: 'failed' }],
    });
    expect((await call.get(`/v1/jobs/${id}`)).body.status).toBe('running');
    const overdue = await call.get('/v1/reaper');
    expect(overdue.body).toMatchObject({ overdue: 1, sweeps: 0, alive: false, leader: null, lastSweepAt: null });
    expect(overdue.body.mostOverdueMs).toBeGreaterThan(0);
    const swept = await call.post('/v1/admin/reaper/sweep', {});
    expect([swept.status, swept.body]).toEqual([
      200,
      expect.objectContaining({ due: 1, reaped: 1, raced: 0, dryRun: false }),
    ]);
    const reaped = await call.get(`/v1/jobs/${id}`);
    expect(reaped.body).toMatchObject({
      status: 'failed',
      error: { code: 'LeaseExpired' },
      lostLeases: 1,
      deadLettered: true,
    });
    const { items } = (await call.get(`/v1/jobs/${id}/events`)).body;
    expect(items.at(-1).actor.type).toBe('reaper');
    expect((await call.get('/v1/reaper')).body).toMatchObject({ overdue: 0, mostOverdueMs: 0, sweeps: 0 });
  });

  it('sweeps once for one key', async () => {
    const keyed = { headers: { 'idempotency-key': 'one sweep' } };
    const first = await call.post('/v1/admin/reaper/sweep', {}, keyed);
    const again = await call.post('/v1/admin/reaper/sweep', {}, keyed);
    expect([again.status, again.body, again.headers.get('idempotent-replayed')]).toEqual([200, first.body, 'true']);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    const other = await call.post('/v1/admin/reaper/sweep', { dryRun: true }, keyed);
    expect(other.body.code).toBe('idempotency_key_reused');
  });
});

describe('health', () => {
  it('is live, and ready though no reaper ever swept', async () => {
    expect((await call.get('/health/live')).body).toEqual({ status: 'ok' });
    const ready = await call.get('/health/ready');
    expect([ready.status, ready.body]).toEqual([
      200,
      {
        status: 'degraded',
        checks: {
          database: { status: 'ok', detail: null },
          projections: { status: 'ok', detail: null },
          reaper: { status: 'degraded', detail: 'no sweep yet' },
        },
      },
    ]);
  });
});

describe('readiness', () => {
  it('is degraded while the clock of the database is behind what is recorded', async () => {
    await call.create({ queue: 'clock' });
    const { clock } = app.service;
    const now = clock.now.bind(clock);
    const setBack = jest.spyOn(clock, 'now').mockImplementation(() => now() - 3_600_000);
    try {
      const { status, body } = await call.get('/health/ready');
      expect([status, body.status, body.checks.clock.status]).toEqual([200, 'degraded', 'degraded']);
      expect(body.checks.clock.detail).toMatch(
        /^the clock of the database is 3\d{3} s behind the last event of the log/,
      );
    } finally {
      setBack.mockRestore();
    }
    expect((await call.get('/health/ready')).body.checks.clock).toBeUndefined();
  });

  it('is degraded in whichever process has another secret than the one that started last', async () => {
    const { databaseUrl } = app;
    let warned = 0;
    const start = (secret: string | null) =>
      startApp({ databaseUrl, policy, service: { secret, onOtherSetting: () => (warned += 1) } });
    const secretOf = async ({ url }: TestApp): Promise<unknown> =>
      (await new Caller(url).get('/health/ready')).body.checks.secret;
    const others: TestApp[] = [];
    try {
      others.push(await start('a secret of the tests'));
      expect([warned, await secretOf(app), await secretOf(others[0]!)]).toEqual([0, undefined, undefined]);
      others.push(await start('another secret'));
      expect([warned, await secretOf(others[1]!)]).toEqual([1, undefined]);
      expect(await secretOf(app)).toEqual({ status: 'degraded', detail: expect.stringContaining('JOBLEDGER_SECRET') });
      others.push(await start(null));
      expect([warned, await secretOf(others[2]!)]).toEqual([2, undefined]);
      expect(await secretOf(others[1]!)).toMatchObject({ status: 'degraded' });
      const { rows } = await app.service.pool.query<{ value: string }>('select value from jobledger.settings');
      for (const { value } of rows) expect(value).not.toContain('another secret');
      others.push(await start('a secret of the tests'));
      expect([warned, await secretOf(app)]).toEqual([3, undefined]);
    } finally {
      for (const other of others) await other.close();
    }
  });

  it('is degraded in whichever process judges by another policy than the one that started last', async () => {
    const { databaseUrl } = app;
    const told: string[] = [];
    const start = (stallMs?: number) =>
      startApp({
        databaseUrl,
        policy: stallMs === undefined ? policy : { ...policy, stallMs },
        service: { onOtherSetting: (setting) => told.push(setting) },
      });
    const policyOf = async ({ url }: TestApp): Promise<unknown> =>
      (await new Caller(url).get('/health/ready')).body.checks.policy;
    const others: TestApp[] = [await start()];
    try {
      expect([told, await policyOf(app), await policyOf(others[0]!)]).toEqual([[], undefined, undefined]);
      others.push(await start(3_000));
      expect([told, await policyOf(others[1]!)]).toEqual([['policy'], undefined]);
      expect(await policyOf(app)).toEqual({ status: 'degraded', detail: expect.stringContaining('JOBLEDGER_POLICY_') });
      others.push(await start());
      expect([told, await policyOf(app)]).toEqual([['policy', 'policy'], undefined]);
      expect(await policyOf(others[1]!)).toMatchObject({ status: 'degraded' });
    } finally {
      for (const other of others) await other.close();
    }
  });
});

describe('metrics', () => {
  it('have the names of the contract, and count from 0', async () => {
    const { position } = await call.create({ queue: 'm' });
    await call.post('/v1/jobs/batch', { jobs: [{ type: 'm' }, { type: 'm' }] });
    await call.post(`/v1/jobs/00000000-0000-7000-8000-000000000000/cancel`);
    await call.get('/v1/counters', fresh(position));
    const answer = await fetch(`${app.url}/metrics`);
    expect(answer.headers.get('content-type')).toContain('text/plain');
    const text = await answer.text();
    for (const line of [
      /^jobledger_jobs\{status="queued"\} [1-9]/m,
      /^jobledger_jobs\{status="waiting"\} 0$/m,
      /^jobledger_jobs_created_total [1-9]/m,
      /^jobledger_jobs_completed_total 0$/m,
      /^jobledger_jobs_failed_total 1$/m,
      /^jobledger_jobs_cancelled_total 0$/m,
      /^jobledger_jobs_retried_total 0$/m,
      /^jobledger_jobs_dead_lettered_total 1$/m,
      /^jobledger_commands_total\{command="create",outcome="done"\} [1-9]/m,
      /^jobledger_events_total\{type="JobCreated"\} [1-9]/m,
      /^jobledger_refused_total\{code="not_found"\} 1$/m,
      /^jobledger_jobs_reaped_total\{rule="lease_expired"\} 1$/m,
      /^jobledger_most_overdue_seconds 0$/m,
      /^jobledger_projection_lag_events\{projection="counters"\} \d+$/m,
      /^jobledger_projection_lag_seconds\{projection="counters"\} /m,
      /^process_resident_memory_bytes \d+/m,
    ]) {
      expect(text).toMatch(line);
    }
    const again = await (await fetch(`${app.url}/metrics`)).text();
    expect(again.match(/^jobledger_jobs_failed_total (\d+)$/m)?.[1]).toBe('1');
  });
});

describe('the document', () => {
  it('names every path that is built', async () => {
    const { body } = await call.get('/openapi.json');
    expect(Object.keys(body.paths).sort()).toEqual([
      '/health/live',
      '/health/ready',
      '/metrics',
      ...['cancel', 'emergency-stop', 'force-fail', 'requeue'].map((call) => `/v1/admin/jobs/{id}/${call}`),
      '/v1/admin/log/verify',
      '/v1/admin/projections',
      '/v1/admin/projections/{name}',
      '/v1/admin/projections/{name}/rebuild',
      '/v1/admin/projections/{name}/verify',
      '/v1/admin/reaper/sweep',
      '/v1/admin/upkeep',
      '/v1/admin/upkeep/{id}',
      '/v1/claims',
      '/v1/commands',
      '/v1/config',
      '/v1/counters',
      '/v1/dead-letters',
      '/v1/events',
      '/v1/jobs',
      '/v1/jobs/batch',
      '/v1/jobs/{id}',
      ...[
        'cancel',
        'complete',
        'events',
        'fail',
        'heartbeat',
        'hold',
        'logs',
        'priority',
        'progress',
        'release',
        'reschedule',
      ].map((call) => `/v1/jobs/{id}/${call}`),
      ...['resume', 'retry', 'start', 'stream', 'throttle', 'wait'].map((call) => `/v1/jobs/{id}/${call}`),
      '/v1/log/head',
      '/v1/queues',
      '/v1/queues/{name}',
      '/v1/reaper',
      '/v1/streams/counters',
      '/v1/streams/events',
      '/v1/streams/jobs',
    ]);
  });
});

describe('a process without the API', () => {
  it('serves its health and metrics, and nothing else', async () => {
    const other = await startApp({ run: ['projections'], databaseUrl: app.databaseUrl });
    try {
      const caller = new Caller(other.url);
      expect((await caller.get('/health/live')).status).toBe(200);
      expect((await fetch(`${other.url}/metrics`)).status).toBe(200);
      for (const path of ['/v1/jobs', '/v1/stuck', '/openapi.json']) {
        const { status, body } = await caller.get(path);
        expect([path, status, body.code]).toEqual([path, 404, 'not_found']);
        expect(body.detail).toBe('this process runs projections (JOBLEDGER_RUN) and not the API: ask one that does');
      }
    } finally {
      await other.close();
    }
  });
});
