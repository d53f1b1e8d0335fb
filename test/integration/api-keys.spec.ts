/** A service with API keys: whose jobs they are, who did what, and what becomes of a key that is taken away. */
/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return
   -- answers are looked into by name. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { ApiKeys } from '../../src/api/keys/api-keys.js';
import { Caller, startApp, type Answer, type SendOptions, type TestApp } from '../support/app.js';
import { KeyFile, keyOf, type RolesByKey, withKey } from '../support/key-file.js';
import { SseReader } from '../support/sse-reader.js';

const KEYS: RolesByKey = {
  ann: ['dispatcher'],
  bob: ['dispatcher', 'worker'],
  wes: ['worker'],
  olga: ['operator'],
  adam: ['admin'],
};

const SILENT = { changed: () => undefined, failed: () => undefined };

let app: TestApp;
let file: KeyFile;
let keys: ApiKeys;
let said: string[];
beforeAll(async () => {
  said = [];
  file = new KeyFile(KEYS);
  keys = new ApiKeys(file.path, {
    changed: (now) => said.push(JSON.stringify(now)),
    failed: ({ message }) => said.push(message),
  });
  app = await startApp({ keys });
});
afterEach(() => file.set(KEYS));
afterAll(async () => {
  await app.close();
  file.remove();
});

/** Calls with the key of somebody. */
class As extends Caller {
  constructor(private readonly id: string) {
    super(app.url);
  }

  override send(method: string, path: string, body?: unknown, options: SendOptions = {}): Promise<Answer> {
    return super.send(method, path, body, { ...options, headers: { ...options.headers, ...withKey(this.id).headers } });
  }
}
const as = (id: string): As => new As(id);

const eventsOf = async (jobId: string): Promise<readonly any[]> =>
  (await as('adam').get(`/v1/jobs/${jobId}/events`)).body.items;

describe('a key', () => {
  it('stands on the jobs that it creates, and in the events that it causes', async () => {
    const { jobId } = await as('ann').create({ queue: 'actors' });
    const [{ jobId: other }] = (await as('bob').post('/v1/jobs/batch', { jobs: [{ type: 't' }] })).body.items;
    const job = async (id: string) => (await as('wes').get(`/v1/jobs/${id}`)).body;
    expect([(await job(jobId)).createdBy, (await job(other)).createdBy]).toEqual(['ann', 'bob']);
    await as('ann').post(`/v1/jobs/${jobId}/priority`, { priority: 3 });
    const claimed = await as('wes').claim('actors');
    await as('wes').worker(claimed, 'heartbeat', { state: 'busy' });
    await as('olga').post(`/v1/admin/jobs/${jobId}/force-fail`, { reason: 'it hangs' });
    // Of a lease that is gone: what is refused was asked with a key too.
    await as('bob').post(`/v1/jobs/${jobId}/complete`, { leaseToken: claimed.leaseToken });
    const actors = (await eventsOf(jobId)).map(({ type, actor, keyId }) => [type, actor.type, actor.id, keyId]);
    expect(actors).toEqual([
      ['JobCreated', 'client', 'ann', 'ann'],
      ['JobQueued', 'client', 'ann', 'ann'],
      ['PriorityChanged', 'client', 'ann', 'ann'],
      ['JobClaimed', 'worker', 'w1', 'wes'],
      ['JobStarted', 'worker', 'w1', 'wes'],
      ['WorkerStateReported', 'worker', 'w1', 'wes'],
      ['JobFailed', 'operator', 'olga', 'olga'],
      ['CommandRefused', 'worker', 'w1', 'bob'],
    ]);
    const run = await as('adam').post('/v1/admin/projections/counters/rebuild', {});
    expect(run.body).toMatchObject({ requestedBy: 'adam' });
  });

  it('of who sweeps by hand stands in what the sweep ends', async () => {
    const { jobId } = await as('ann').create({ queue: 'swept' });
    await as('wes').claim('swept', { leaseMs: 100 });
    await as('olga').untilDue([jobId]);
    await as('olga').post('/v1/admin/reaper/sweep', { reason: 'at last' });
    const [lapsed] = (await eventsOf(jobId)).slice(-2);
    expect(lapsed).toMatchObject({ type: 'LeaseExpired', reason: 'at last', keyId: 'olga', actor: { type: 'reaper' } });
  });

  it('changes the jobs that it created, and no others: 403, which is no history', async () => {
    const { jobId } = await as('ann').create({ autostart: false });
    const commands: readonly (readonly [string, object])[] = [
      ['start', {}],
      ['priority', { priority: 1 }],
      ['reschedule', { delayMs: 1_000 }],
      ['hold', {}],
      ['resume', {}],
      ['cancel', {}],
      ['retry', {}],
    ];
    for (const [name, body] of commands) {
      const refused = await as('bob').post(`/v1/jobs/${jobId}/${name}`, body);
      expect([name, refused.status, refused.body.code]).toEqual([name, 403, 'forbidden']);
      expect(refused.body.detail).toBe(
        `job ${jobId} was created with another API key: only a key with the role operator or admin may change it`,
      );
    }
    expect((await eventsOf(jobId)).map(({ type }) => type)).toEqual(['JobCreated']);
    for (const [name, body] of commands) {
      expect([name, (await as('ann').post(`/v1/jobs/${jobId}/${name}`, body)).status]).toEqual([name, 200]);
    }
    expect((await as('olga').post(`/v1/jobs/${jobId}/cancel`)).status).toBe(200);
    expect((await as('adam').post(`/v1/jobs/${jobId}/retry`)).status).toBe(200);
  });

  it('is told 404 before that, and 412 and 409 after it', async () => {
    const { jobId } = await as('ann').create();
    const stale = { headers: { 'if-match': '77' } };
    expect((await as('bob').post(`/v1/jobs/${randomUUID()}/cancel`)).status).toBe(404);
    expect((await as('bob').post(`/v1/jobs/${jobId}/cancel`, {}, stale)).status).toBe(403);
    expect((await as('bob').post(`/v1/jobs/${jobId}/retry`)).status).toBe(403);
    expect((await as('ann').post(`/v1/jobs/${jobId}/cancel`, {}, stale)).status).toBe(412);
    expect((await as('ann').post(`/v1/jobs/${jobId}/retry`)).status).toBe(409);
  });

  it('has idempotency keys of its own', async () => {
    const once = { headers: { 'idempotency-key': 'order 1' } };
    const first = await as('ann').post('/v1/jobs', { type: 'a' }, once);
    const again = await as('ann').post('/v1/jobs', { type: 'a' }, once);
    const other = await as('bob').post('/v1/jobs', { type: 'b' }, once);
    expect([first.status, again.body.jobId, again.headers.get('idempotent-replayed')]).toEqual([
      201,
      first.body.jobId,
      'true',
    ]);
    expect([other.status, other.body.jobId === first.body.jobId]).toEqual([201, false]);
    expect((await as('ann').post('/v1/jobs', { type: 'b' }, once)).status).toBe(422);
    // Its first answer is whose key it was: a command on a job that has ended since.
    const cancel = { headers: { 'idempotency-key': 'cancel 1' } };
    await as('ann').post(`/v1/jobs/${first.body.jobId}/cancel`, {}, cancel);
    expect((await as('bob').post(`/v1/jobs/${first.body.jobId}/cancel`, {}, cancel)).status).toBe(403);
    expect((await as('ann').post(`/v1/jobs/${first.body.jobId}/cancel`, {}, cancel)).body.events).toEqual([
      'JobCancelled',
    ]);
  });

  it('starts with its token what it claimed, whoever created it', async () => {
    await as('ann').create({ queue: 'unstarted' });
    const claimed = await as('wes').claim('unstarted', { start: false });
    expect((await as('ann').worker(claimed, 'start')).status).toBe(403);
    expect((await as('wes').worker(claimed, 'start')).body.status).toBe('running');
    expect((await as('wes').worker(claimed, 'complete')).status).toBe(200);
  });

  it('is counted when it is refused', async () => {
    await as('nobody').get('/v1/jobs');
    await as('wes').post('/v1/jobs', { type: 'a' });
    const metrics = await fetch(`${app.url}/metrics`, withKey('olga'));
    const text = await metrics.text();
    for (const code of ['unauthenticated', 'forbidden']) {
      expect(text).toMatch(new RegExp(`^jobledger_refused_total{code="${code}"} [1-9]`, 'm'));
    }
    expect(text).not.toContain('key-of');
  });
});

describe('a key that is taken out of the file', () => {
  const { ann: _ann, ...WITHOUT_ANN } = KEYS;
  const { bob: _bob, ...WITHOUT_BOB } = KEYS;

  it('is refused from the next request on, and the others are not', async () => {
    expect((await as('ann').get('/v1/jobs')).status).toBe(200);
    file.set(WITHOUT_ANN);
    expect([(await as('ann').get('/v1/jobs')).status, (await as('bob').get('/v1/jobs')).status]).toEqual([401, 200]);
    file.set({ ...KEYS, ann: ['reporter'] });
    expect((await as('ann').get('/v1/jobs')).status).toBe(403);
    file.set(KEYS);
    expect((await as('ann').get('/v1/jobs')).status).toBe(200);
  });

  it('ends the streams that it opened, and no others, without anybody calling', async () => {
    const [gone, stays] = await Promise.all(
      ['ann', 'bob'].map((id) => SseReader.open(`${app.url}/v1/streams/events`, withKey(id).headers)),
    );
    file.set(WITHOUT_ANN);
    await gone!.end();
    const { jobId } = await as('bob').create();
    await stays!.until((frames) => frames.some(({ data }) => data.jobId === jobId));
    stays!.close();
    expect((await SseReader.open(`${app.url}/v1/streams/events`, withKey('ann').headers)).status).toBe(401);
  });

  it('ends what it waits for: a claim is given nothing, a job is shown as it is', async () => {
    const { jobId } = await as('ann').create({ queue: 'nobody' });
    const claim = as('bob').post('/v1/claims', { workerId: 'w', queues: ['revoked'], waitMs: 60_000 });
    const wait = as('bob').get(`/v1/jobs/${jobId}?waitMs=60000`);
    // Asked after them, and answered: they are under way.
    await as('bob').get('/v1/queues');
    file.set(WITHOUT_BOB);
    expect((await claim).body.jobs ?? 'refused').toEqual([]);
    expect((await wait).body.status).toBe('queued');
    const { jobId: later } = await as('ann').create({ queue: 'revoked' });
    expect((await as('ann').get(`/v1/jobs/${later}`)).body.status).toBe('queued');
  });
});

describe('a process without the API', () => {
  it('needs a key for its metrics all the same', async () => {
    const other = await startApp({
      run: ['reaper'],
      databaseUrl: app.databaseUrl,
      keys: new ApiKeys(file.path, SILENT),
    });
    try {
      const statuses = ['/metrics', '/health/live', '/v1/jobs'].map(async (path) =>
        Promise.all(
          [{}, withKey('wes'), withKey('olga')].map(async (init) => (await fetch(other.url + path, init)).status),
        ),
      );
      expect(await Promise.all(statuses)).toEqual([
        [401, 403, 200],
        [200, 200, 200],
        [404, 404, 404],
      ]);
    } finally {
      await other.close();
    }
  });
});

describe('a file that cannot be used', () => {
  it('keeps the last good keys in force; readiness says so, and not where it is', async () => {
    file.write('keys: [');
    expect((await as('ann').get('/v1/jobs')).status).toBe(200);
    const broken = await new Caller(app.url).get('/health/ready');
    expect(broken).toMatchObject({
      status: 200,
      body: {
        status: 'degraded',
        checks: { apiKeys: { status: 'degraded', detail: expect.stringContaining('last good') } },
      },
    });
    expect(JSON.stringify(broken.body)).not.toContain(file.path);
    expect(said.filter((line) => line.includes('neither YAML nor JSON'))).toHaveLength(1);
    file.set(KEYS);
    await as('ann').get('/v1/jobs');
    expect((await new Caller(app.url).get('/health/ready')).body.checks.apiKeys).toEqual({
      status: 'ok',
      detail: null,
    });
  });

  it('is not one without keys: that one is meant, and lets nobody in', async () => {
    file.set({});
    expect((await as('adam').get('/v1/jobs')).status).toBe(401);
    expect((await new Caller(app.url).get('/health/ready')).body.checks.apiKeys.status).toBe('degraded');
  });

  it('or any other, says nothing of a key', () => {
    expect(said.length).toBeGreaterThan(0);
    expect(said.join('\n')).not.toMatch(/key-of|sha256/);
    expect(keyOf('ann')).toMatch(/key-of/);
  });
});
