/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return
   -- answers are looked into by name. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Answer, Caller, startApp, type TestApp } from '../support/app.js';

let app: TestApp;
let call: Caller;
beforeAll(async () => {
  app = await startApp();
  call = new Caller(app.url);
});
afterAll(() => app.close());

/** All items of a list, in pages; between two of them `meanwhile` happens. */
const walk = async (path: string, limit: number, meanwhile: () => Promise<unknown> = () => Promise.resolve()) => {
  const items: any[] = [];
  let pages = 0;
  for (let cursor: string | null = ''; cursor !== null; pages += 1) {
    const query: string = `${path.includes('?') ? '&' : '?'}limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`;
    const page: Answer = await call.get(`${path}${query}`);
    expect([path, page.status]).toEqual([path, 200]);
    expect(page.body.items.length).toBeLessThanOrEqual(limit);
    items.push(...page.body.items);
    cursor = page.body.nextCursor;
    await meanwhile();
  }
  return { items, pages };
};

const idsOf = (items: readonly any[]): readonly string[] => items.map((item) => item.id);

describe('the list of jobs', () => {
  it('comes in pages that neither skip nor repeat, whatever happens meanwhile', async () => {
    const made: string[] = [];
    for (let n = 0; n < 7; n += 1) made.push((await call.create({ queue: 'pages', priority: n % 3 })).jobId);
    const more = () => call.create({ queue: 'pages', priority: 1 });
    const newestFirst = await walk('/v1/jobs?queue=pages', 3, more);
    expect(idsOf(newestFirst.items)).toEqual([...made].reverse());
    expect(newestFirst.pages).toBe(3);
    const oldestFirst = await walk('/v1/jobs?queue=pages&sort=createdAt', 4);
    expect(idsOf(oldestFirst.items).slice(0, 7)).toEqual(made);
    const byPriority = (await walk('/v1/jobs?queue=pages&sort=-priority', 2)).items;
    expect(byPriority.map((job) => job.priority)).toEqual([2, 2, 1, 1, 1, 1, 1, 0, 0, 0]);
    expect(new Set(idsOf(byPriority)).size).toBe(10);
    for (const sort of ['statusSince', '-statusSince']) {
      const { items } = await walk(`/v1/jobs?queue=pages&sort=${sort}`, 3);
      expect(new Set(idsOf(items)).size).toBe(10);
    }
  });

  it('is filtered by status, in any case, type, queue, tag and worker', async () => {
    const a = (await call.create({ queue: 'f', type: 'fa', tags: ['red', 'big'] })).jobId;
    const b = (await call.create({ queue: 'f', type: 'fb', tags: ['blue'], autostart: false })).jobId;
    const c = (await call.create({ queue: 'f2', type: 'fa' })).jobId;
    const { job } = await call.claim('f2', { workerId: 'the-worker' });
    const found = async (query: string) => new Set(idsOf((await call.get(`/v1/jobs?${query}`)).body.items));
    expect(await found('queue=f&status=QUEUED')).toEqual(new Set([a]));
    expect(await found('queue=f&status=queued&status=Created')).toEqual(new Set([a, b]));
    expect(await found('type=fa')).toEqual(new Set([a, c]));
    expect(await found('queue=f&queue=f2&type=fa')).toEqual(new Set([a, c]));
    expect(await found('tag=red&tag=blue')).toEqual(new Set([a, b]));
    expect(await found('workerId=the-worker')).toEqual(new Set([job.id]));
    expect(await found('workerId=the-worker&status=queued')).toEqual(new Set());
  });

  it('is filtered by times, silence, errors and dead letters', async () => {
    const { jobId } = await call.create({ queue: 't', maxAttempts: 1 });
    const claimed = await call.claim('t');
    const found = async (query: string) => idsOf((await call.get(`/v1/jobs?queue=t&${query}`)).body.items);
    const { createdAt, startedAt } = claimed.job;
    const after = (time: string, ms: number) => new Date(Date.parse(time) + ms).toISOString();
    expect(await found(`createdAfter=${after(createdAt, -1)}&createdBefore=${after(createdAt, 1)}`)).toEqual([jobId]);
    expect(await found(`createdAfter=${createdAt}`)).toEqual([]);
    expect(await found(`startedBefore=${after(startedAt, 1)}`)).toEqual([jobId]);
    expect(await found(`startedBefore=${startedAt}`)).toEqual([]);
    expect(await found('silentForMs=3600000')).toEqual([]);
    expect(await found('silentForMs=9007199254740991')).toEqual([]);
    expect(await found('deadLettered=true')).toEqual([]);
    await call.worker(claimed, 'fail', { code: 'Broken', message: 'for good' });
    expect(await found('errorCode=Broken&deadLettered=true')).toEqual([jobId]);
    expect(await found('deadLettered=false')).toEqual([]);
    expect(idsOf((await call.get('/v1/dead-letters?queue=t')).body.items)).toEqual([jobId]);
    await call.post(`/v1/jobs/${jobId}/retry`);
    expect((await call.get('/v1/dead-letters?queue=t')).body.items).toEqual([]);
  });

  it('refuses NUL, which no value that is kept holds, in every parameter of every list and stream, and names it', async () => {
    const { jobId } = await call.create({ queue: 'n' });
    const filters = [
      'status',
      'type',
      'queue',
      'tag',
      'workerId',
      'errorCode',
      'createdAfter',
      'silentForMs',
      'cursor',
    ];
    const named: Record<string, readonly string[]> = {
      '/v1/jobs': [...filters, 'sort', 'limit'],
      '/v1/dead-letters': filters,
      '/v1/queues': ['cursor'],
      '/v1/events': ['types', 'after', 'cursor'],
      [`/v1/jobs/${jobId}`]: ['asOf'],
      [`/v1/jobs/${jobId}/events`]: ['cursor'],
      [`/v1/jobs/${jobId}/stream`]: ['types', 'until'],
      '/v1/streams/jobs': filters.filter((name) => name !== 'cursor'),
      '/v1/streams/events': ['types', 'tag', 'queue'],
    };
    for (const [path, names] of Object.entries(named)) {
      for (const name of names) {
        const { status, body } = await call.get(`${path}?${name}=a%00b`);
        expect([path, status, body.errors?.[0].path, body.errors?.length]).toEqual([path, 400, name, 1]);
      }
    }
    const { body } = await call.get('/v1/jobs?errorCode=a&errorCode=%00');
    expect(body.detail).toBe('errorCode must not hold \\u0000');
    for (const path of ['/v1/jobs/%00', '/v1/queues/a%00', '/v1/admin/projections/%00']) {
      expect([path, (await call.get(path)).status]).toEqual([path, 404]);
    }
  });

  it('refuses what it does not know, and cursors of other lists', async () => {
    for (let n = 0; n < 3; n += 1) await call.create({ queue: 'r' });
    const { nextCursor } = (await call.get('/v1/jobs?queue=r&limit=1')).body;
    for (const query of [
      'status=sleeping',
      'colour=red',
      'limit=0',
      'limit=201',
      'sort=name',
      'createdAfter=yesterday',
      'cursor=x',
      `queue=q&cursor=${nextCursor}`,
      `queue=r&sort=createdAt&cursor=${nextCursor}`,
    ]) {
      const answer = await call.get(`/v1/jobs?${query}`);
      expect([query, answer.status, answer.body.code]).toEqual([query, 400, 'validation_failed']);
    }
    expect((await call.get(`/v1/jobs?queue=r&limit=2&cursor=${nextCursor}`)).body.items).toHaveLength(2);
  });
});

describe('the history of a job', () => {
  it('merges transitions, facts and refusals by position, both ways', async () => {
    const { jobId } = await call.create({ queue: 'h' });
    const claimed = await call.claim('h');
    for (let n = 0; n < 5; n += 1) await call.worker(claimed, 'progress', { batchId: `b${n}`, processed: 1 });
    await call.worker({ ...claimed, leaseToken: 'forged' }, 'complete');
    await call.worker(claimed, 'complete');
    const { items } = await walk(`/v1/jobs/${jobId}/events`, 3);
    expect(items.map((event) => event.type)).toEqual([
      ...['JobCreated', 'JobQueued', 'JobClaimed', 'JobStarted'],
      ...Array.from({ length: 5 }, () => 'ProgressRecorded'),
      ...['CommandRefused', 'JobCompleted'],
    ]);
    const positions = items.map((event) => BigInt(event.position));
    expect(positions).toEqual([...positions].sort((a, b) => (a < b ? -1 : 1)));
    const backwards = await walk(`/v1/jobs/${jobId}/events?order=desc`, 4);
    expect(backwards.items).toEqual([...items].reverse());
    expect(items[0]).toEqual({
      position: expect.any(String),
      stream: `job-${jobId}`,
      revision: 0,
      id: expect.any(String),
      type: 'JobCreated',
      version: 1,
      at: expect.any(String),
      jobId,
      run: 1,
      attempt: 0,
      from: null,
      to: 'created',
      data: { spec: expect.objectContaining({ type: 'report' }), reason: null },
      actor: { type: 'client', id: 'anonymous' },
      commandId: expect.any(String),
      correlationId: expect.any(String),
      causationId: items[0].commandId,
      traceparent: null,
      keyId: null,
      reason: null,
    });
    expect(items.at(-1).actor).toEqual({ type: 'worker', id: 'w1' });
    expect(items.at(-2).actor.type).toBe('worker');
  });

  it('keeps the trace and the key of the command', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { body } = await call.post(
      '/v1/jobs',
      { type: 't' },
      { headers: { traceparent, 'idempotency-key': 'traced' } },
    );
    const { items } = (await call.get(`/v1/jobs/${body.jobId}/events`)).body;
    expect(items[0]).toMatchObject({ traceparent, commandId: 'traced' });
  });
});

describe('the log', () => {
  it('is read after a position, by type, to its end', async () => {
    const { position } = await call.create({ queue: 'log' });
    const claimed = await call.claim('log');
    await call.worker(claimed, 'complete');
    const { items } = await walk(`/v1/events?after=${position}`, 2);
    expect(items.map((event) => event.type)).toEqual(['JobClaimed', 'JobStarted', 'JobCompleted']);
    const some = await walk(`/v1/events?after=${position}&types=JobStarted,JobCompleted&types=JobFailed`, 1);
    expect(some.items.map((event) => event.type)).toEqual(['JobStarted', 'JobCompleted']);
    const none = await call.get(`/v1/events?after=${items.at(-1).position}`);
    expect(none.body).toEqual({ items: [], nextCursor: null });
    const beyond = await call.get('/v1/events?after=99999999');
    expect([beyond.status, beyond.body.errors[0].path]).toEqual([400, 'after']);
    expect((await call.get('/v1/events?types=lower')).status).toBe(400);
  });
});
