/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-return
   -- answers are looked into by name. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JOB_CALL_NAMES } from '../../src/api/job-calls.js';
import { ApiKeys } from '../../src/api/keys/api-keys.js';
import { type Answer, Caller, startApp, type TestApp } from '../support/app.js';
import { KeyFile, withKey } from '../support/key-file.js';

let app: TestApp;
let other: TestApp;
let call: Caller;
let elsewhere: Caller;
beforeAll(async () => {
  app = await startApp();
  other = await startApp({ databaseUrl: app.databaseUrl });
  call = new Caller(app.url);
  elsewhere = new Caller(other.url);
});
afterAll(async () => {
  await other.close();
  await app.close();
});

const send = async (commands: readonly unknown[], by = call, over: object = {}): Promise<any[]> => {
  const { status, body } = await by.post('/v1/commands', { commands, ...over });
  expect([status, body.detail]).toEqual([200, undefined]);
  expect(body.results).toHaveLength(commands.length);
  return body.results;
};
const held = async (): Promise<any> => {
  const queue = randomUUID();
  await call.create({ queue });
  return call.claim(queue);
};
const by = ({ job, leaseToken }: any, command: string, more: object = {}): any => ({
  ...{ command, jobId: job.id, leaseToken },
  ...more,
});
const eventsOf = async (jobId: string): Promise<string[]> =>
  (await call.get(`/v1/jobs/${jobId}/events?limit=200`)).body.items.map(({ type }: any) => type);
const codes = (results: readonly any[]): unknown[] => results.map(({ status, problem }) => problem?.code ?? status);
const shown = ({ body }: Answer): unknown => body;

describe('commands in one request', () => {
  it('are those that have a call of their own', async () => {
    const { paths } = (await call.get('/openapi.json')).body;
    const calls = Object.keys(paths).flatMap((path) => {
      const [, name] = /^\/v1\/jobs\/\{id\}\/([a-z-]+)$/.exec(path) ?? [];
      return name !== undefined && 'post' in paths[path] ? [name] : [];
    });
    expect([...JOB_CALL_NAMES].sort()).toEqual(calls.sort());
  });

  it('answer what their own calls would, in order, and apply in order to one job', async () => {
    const one = await held();
    const { jobId } = await call.create({ queue: 'x', autostart: false });
    const results = await send([
      by(one, 'heartbeat', { state: 'reading' }),
      by(one, 'progress', { batchId: 'a', processed: 1, total: 3 }),
      by(one, 'progress', { batchId: 'b', processed: 2 }),
      { command: 'start', jobId },
      { command: 'priority', jobId, priority: 7 },
      by(one, 'logs', { lines: [{ level: 'info', message: 'm' }] }),
      by(one, 'complete', { result: { n: 1 } }),
      by(one, 'progress', { batchId: 'c', processed: 1 }),
    ]);
    expect(codes(results)).toEqual([200, 200, 200, 200, 200, 200, 200, 'stale_lease']);
    expect(results[0].answer).toEqual({ leaseExpiresAt: expect.any(String), directive: 'continue' });
    expect(results[3].answer).toMatchObject({ jobId, status: 'queued', events: ['JobQueued'] });
    expect(results[6].answer).toMatchObject({ jobId: one.job.id, status: 'completed', events: ['JobCompleted'] });
    expect((await call.get(`/v1/jobs/${one.job.id}`)).body).toMatchObject({
      status: 'completed',
      result: { n: 1 },
      progress: { processed: 3, total: 3 },
    });
    const own = await call.worker(one, 'progress', { batchId: 'c', processed: 1 });
    expect(results[7]).toEqual({ status: 409, problem: own.body });
  });

  it('that are wrong stop no other, and say where', async () => {
    const { jobId } = await call.create({ queue: 'x' });
    const missing = '00000000-0000-7000-8000-000000000000';
    const results = await send([
      null,
      [],
      { command: 'explode', jobId },
      { command: 'items', jobId },
      { command: 'toString', jobId },
      { command: 'cancel' },
      { command: 'cancel', jobId: 'x', commandId: 'not a name', because: 1 },
      { command: 'priority', jobId, priority: 5_000 },
      { command: 'complete', jobId, leaseToken: 't', result: 'x'.repeat(300_000) },
      { command: 'cancel', jobId, cascade: false },
      { command: 'cancel', jobId: missing },
      { command: 'complete', jobId, leaseToken: 'forged' },
      { command: 'retry', jobId },
      { command: 'priority', jobId: jobId.toUpperCase(), priority: 1 },
    ]);
    expect(codes(results)).toEqual([
      ...['validation_failed', 'validation_failed', 'validation_failed', 'not_implemented', 'validation_failed'],
      ...['validation_failed', 'validation_failed', 'validation_failed', 'payload_too_large', 'not_implemented'],
      ...['not_found', 'stale_lease', 'illegal_transition', 200],
    ]);
    const paths = results.map(({ problem }) => problem?.errors?.map(({ path }: any) => path));
    expect(paths.slice(0, 10)).toEqual([
      ['commands[0]'],
      ['commands[1]'],
      ['commands[2].command'],
      ['commands[3].command'],
      ['commands[4].command'],
      ['commands[5].jobId'],
      ['commands[6].jobId', 'commands[6].commandId', 'commands[6].because'],
      ['commands[7].priority'],
      ['commands[8].result'],
      ['commands[9].cascade'],
    ]);
    expect(results[5].problem.errors[0].message).toMatch(/^commands\[5\]\.jobId is required: the id of a job/);
  });

  it('are refused as a whole when they are no list of 1 to 1,000, or no JSON that can be kept', async () => {
    const bodies = [
      {},
      { commands: [] },
      { commands: {} },
      { commands: Array.from({ length: 1_001 }, () => null) },
      { commands: [null], extra: 1 },
      '{"commands":[{"jobId":1e400}]}',
      '{"commands":[{"command":"a","command":"b"}]}',
    ];
    const answers = await Promise.all(bodies.map((body) => call.post('/v1/commands', body)));
    expect(answers.map(({ status }) => status)).toEqual(bodies.map(() => 400));
    expect(answers.map(({ body }) => body.errors[0].path)).toEqual([
      ...['commands', 'commands', 'commands', 'commands', 'extra'],
      ...['commands[0].jobId', 'commands[0].command'],
    ]);
    const large = await call.post('/v1/commands', `{"commands":[${'0,'.repeat(8_400_000)}0]}`);
    expect([large.status, large.body.code]).toEqual([413, 'payload_too_large']);
    const headers = { 'if-match': '1' };
    const one = await call.post('/v1/commands', { commands: [{ command: 'cancel' }] }, { headers });
    expect([one.status, one.body.errors?.[0].path]).toEqual([400, 'If-Match']);
  });

  it('give their reason, or that of the request', async () => {
    const ids = [(await call.create({ queue: 'x' })).jobId, (await call.create({ queue: 'x' })).jobId];
    await send(
      [
        { command: 'cancel', jobId: ids[0], reason: 'mine' },
        { command: 'cancel', jobId: ids[1] },
      ],
      call,
      { reason: 'ours' },
    );
    const reasons = ids.map(async (id) => (await call.get(`/v1/jobs/${id}/events`)).body.items.at(-1).reason);
    expect(await Promise.all(reasons)).toEqual(['mine', 'ours']);
  });

  it('flood in malformed: each has its answer, and the good one among them is done', async () => {
    const { jobId } = await call.create({ queue: 'x' });
    const bad = Array.from({ length: 999 }, (_, n) => ({ command: 'cancel', jobId, ['x'.repeat(n)]: { n } }));
    const results = await send([...bad, { command: 'cancel', jobId }]);
    expect(results.slice(0, 999).every(({ problem }) => problem.code === 'validation_failed')).toBe(true);
    expect(results[999].answer).toMatchObject({ status: 'cancelled', events: ['JobCancelled'] });
  });

  it('a thousand on one job apply each once, in order', async () => {
    const one = await held();
    const progress = Array.from({ length: 900 }, (_, n) => by(one, 'progress', { batchId: `b${n}`, processed: 1 }));
    const { jobId } = await call.create({ queue: 'far' });
    const moves = Array.from({ length: 99 }, (_, n) => ({ command: 'priority', jobId, priority: n + 1 }));
    const results = await send([...progress, ...moves, by(one, 'complete')]);
    expect(new Set(codes(results))).toEqual(new Set([200]));
    expect((await call.get(`/v1/jobs/${one.job.id}`)).body).toMatchObject({
      status: 'completed',
      progress: { processed: 900 },
    });
    const changed = (await call.get(`/v1/jobs/${jobId}/events?limit=200`)).body.items.slice(2);
    expect(changed.map(({ data }: any) => data.priority)).toEqual(moves.map(({ priority }) => priority));
  });

  it('give a run a hundred stages of progress, and refuse those that would be more', async () => {
    const one = await held();
    const report = (stage: string, n: number) => by(one, 'progress', { batchId: `b${n}`, stage, processed: 1 });
    const results = await send(Array.from({ length: 120 }, (_, n) => report(`s${n}`, n)));
    const refused = results.filter(({ status }) => status !== 200);
    expect(refused).toHaveLength(20);
    expect(refused[0].problem).toMatchObject({ code: 'validation_failed', errors: [{ path: 'stage' }] });
    expect(refused[0].problem.detail).toMatch(/^stage .*100/);
    const known = Object.keys((await call.get(`/v1/jobs/${one.job.id}`)).body.progress.stages);
    expect(known).toHaveLength(100);
    const more = await send([report(known[0]!, 200), by(one, 'progress', { batchId: 'own', processed: 1 })]);
    expect(codes(more)).toEqual([200, 200]);
  });
});

describe('a commandId', () => {
  it('is the Idempotency-Key of the call: there and here, before and after, on any process', async () => {
    const one = await held();
    const key = randomUUID();
    const progress = by(one, 'progress', { batchId: 'a', processed: 1, commandId: key });
    const [first] = await send([progress]);
    expect(first).toEqual({ status: 200, answer: expect.objectContaining({ events: ['ProgressRecorded'] }) });
    const { jobId: _jobId, command: _command, commandId: _commandId, ...body } = progress;
    const headers = { 'idempotency-key': key };
    const alone = await elsewhere.post(`/v1/jobs/${one.job.id}/progress`, body, { headers });
    expect([alone.headers.get('idempotent-replayed'), alone.body]).toEqual(['true', first.answer]);
    expect(await send([progress], elsewhere)).toEqual([{ ...first, replayed: true }]);
    const ended = await call.worker(one, 'complete', { result: 1 }, { headers: { 'idempotency-key': `${key}-c` } });
    expect(await send([by(one, 'complete', { result: 1, commandId: `${key}-c` })], elsewhere)).toEqual([
      { status: 200, answer: shown(ended), replayed: true },
    ]);
    expect(await eventsOf(one.job.id)).toEqual([
      ...['JobCreated', 'JobQueued', 'JobClaimed', 'JobStarted', 'ProgressRecorded', 'JobCompleted'],
    ]);
  });

  it('twice in one request is done once; with another command it is 422, whichever job that is on', async () => {
    const one = await held();
    const { jobId } = await call.create({ queue: 'x' });
    const commandId = randomUUID();
    const results = await send([
      by(one, 'progress', { batchId: 'a', processed: 1, commandId }),
      by(one, 'progress', { batchId: 'a', processed: 1, commandId }),
      by(one, 'progress', { batchId: 'a', processed: 2, commandId }),
      { command: 'cancel', jobId, commandId },
      { command: 'cancel', jobId },
    ]);
    expect(codes(results)).toEqual([200, 200, 'idempotency_key_reused', 'idempotency_key_reused', 200]);
    expect(results[1]).toEqual({ ...results[0], replayed: true });
    expect((await call.get(`/v1/jobs/${one.job.id}`)).body.progress.processed).toBe(1);
  });

  it('that was refused is free for another try', async () => {
    const { jobId } = await call.create({ queue: 'x', autostart: false });
    const commandId = randomUUID();
    const results = await send([
      { command: 'retry', jobId, commandId },
      { command: 'start', jobId },
      { command: 'cancel', jobId, commandId },
    ]);
    expect(codes(results)).toEqual(['illegal_transition', 200, 200]);
  });

  it('is made of the Idempotency-Key of the request where there is none', async () => {
    const one = await held();
    const body = {
      commands: [
        by(one, 'progress', { batchId: 'a', processed: 1 }),
        by(one, 'complete', { commandId: randomUUID(), result: 1 }),
      ],
    };
    const options = { headers: { 'idempotency-key': randomUUID() } };
    const first = await call.post('/v1/commands', body, options);
    const again = await elsewhere.post('/v1/commands', body, options);
    expect(first.body.results.map(({ replayed }: any) => replayed)).toEqual([undefined, undefined]);
    expect(again.body.results).toEqual(first.body.results.map((each: object) => ({ ...each, replayed: true })));
  });
});

it('the same commands on two processes at once are done once', async () => {
  const queue = randomUUID();
  await call.post('/v1/jobs/batch', { jobs: Array.from({ length: 40 }, () => ({ type: 'report', queue })) });
  const { jobs } = (await call.post('/v1/claims', { workerId: 'w', queues: [queue], max: 40 })).body;
  const commands = jobs.flatMap((one: any) => [
    by(one, 'progress', { batchId: 'a', processed: 1, commandId: randomUUID() }),
    by(one, 'complete', { commandId: randomUUID() }),
  ]);
  const [here, there] = await Promise.all([send(commands), send(commands, elsewhere)]);
  const bare = (results: readonly any[]): unknown[] => results.map(({ replayed: _replayed, ...each }) => each);
  expect(new Set(codes(here))).toEqual(new Set([200]));
  expect(bare(there)).toEqual(bare(here));
  expect(here.filter(({ replayed }) => replayed).length + there.filter(({ replayed }) => replayed).length).toBe(80);
});

describe('with keys', () => {
  let guarded: TestApp;
  let file: KeyFile;
  beforeAll(async () => {
    file = new KeyFile({
      dispatcher: ['dispatcher'],
      worker: ['worker'],
      operator: ['operator'],
      auditor: ['auditor'],
    });
    guarded = await startApp({
      databaseUrl: app.databaseUrl,
      keys: new ApiKeys(file.path, { info: () => undefined, warn: () => undefined, error: () => undefined } as never),
    });
  });
  afterAll(async () => {
    await guarded.close();
    file.remove();
  });

  it('roles are judged for each command', async () => {
    const { jobId } = await call.create({ queue: 'x' });
    const mine = new Caller(guarded.url);
    const own = (await mine.post('/v1/jobs', { type: 't' }, withKey('dispatcher'))).body.jobId;
    const commands = [
      { command: 'complete', jobId, leaseToken: 't' },
      { command: 'start', jobId, leaseToken: 't' },
      { command: 'start', jobId },
      { command: 'priority', jobId: own, priority: 1 },
      { command: 'priority', jobId, priority: 'high' },
    ];
    const codesAs = async (role: string): Promise<unknown[]> => {
      const { status, body } = await mine.post('/v1/commands', { commands }, withKey(role));
      return status === 200 ? codes(body.results) : [status];
    };
    expect(await codesAs('dispatcher')).toEqual(['forbidden', 'forbidden', 'forbidden', 200, 'validation_failed']);
    expect(await codesAs('worker')).toEqual(['stale_lease', 'stale_lease', 'forbidden', 'forbidden', 'forbidden']);
    expect(await codesAs('operator')).toEqual(['forbidden', 'forbidden', 200, 200, 'validation_failed']);
    expect(await codesAs('auditor')).toEqual([403]);
    expect((await mine.post('/v1/commands', { commands })).status).toBe(401);
  });
});

describe('a grid', () => {
  const grid = { region: ['eu', 'us', 'af'], model: [1, 2, 3, 4], seed: [null, [0], { a: 1 }, 'x', true] };

  it('makes a job of every combination, all at once, under one correlation [C-01]', async () => {
    const queue = randomUUID();
    const template = { type: 'study', queue, payload: { model: 0, deep: { kept: true } }, tags: ['grid'] };
    const { status, body } = await call.post('/v1/jobs/batch', { template, grid, reason: 'study' });
    expect([status, body.items.length]).toEqual([201, 60]);
    const { items } = (await call.get(`/v1/jobs?queue=${queue}&limit=200`)).body;
    expect(new Set(items.map(({ status: each }: any) => each))).toEqual(new Set(['queued']));
    const payloads = new Map(items.map(({ id, payload }: any) => [id, payload]));
    const expected = grid.region.flatMap((region) =>
      grid.model.flatMap((model) => grid.seed.map((seed) => ({ region, model, seed, deep: { kept: true } }))),
    );
    expect(body.items.map(({ jobId }: any) => payloads.get(jobId))).toEqual(expected);
    expect(new Set(items.map(({ correlationId }: any) => correlationId)).size).toBe(1);
  });

  it('is repeated under its key, and may name parameters as it likes', async () => {
    const options = { headers: { 'idempotency-key': randomUUID() } };
    const body = `{"template":{"type":"t","queue":"odd"},"grid":{"__proto__":[1,2],"a b":[{"c":1}]}}`;
    const first = await call.post('/v1/jobs/batch', body, options);
    const again = await elsewhere.post('/v1/jobs/batch', body, options);
    expect([first.status, again.headers.get('idempotent-replayed'), again.body]).toEqual([201, 'true', first.body]);
    const job = await fetch(`${app.url}/v1/jobs/${first.body.items[1].jobId}`);
    expect(await job.text()).toContain('"payload":{"__proto__":2,"a b":{"c":1}}');
  });

  it('that is too large, or none, is refused by name and makes nothing', async () => {
    const many = (length: number) => Array.from({ length }, (_, n) => n);
    const template = { type: 't', queue: 'refused' };
    const big = 'x'.repeat(100_000);
    const refused = [
      [{ template, grid: { a: many(1_000), b: many(1_000), c: many(1_000) } }, 400, 'grid'],
      [{ template, grid: { a: many(1_001) } }, 400, 'grid'],
      [{ template, grid: {} }, 400, 'grid'],
      [{ template, grid: [[1]] }, 400, 'grid'],
      [{ template, grid: { a: [], b: 1 } }, 400, 'grid.a'],
      [{ template }, 400, ''],
      [{ grid: { a: [1] } }, 400, 'template'],
      [{ template, grid: { a: [1] }, jobs: [{ type: 't' }] }, 400, ''],
      [{ template: { ...template, payload: [1] }, grid: { a: [1] } }, 400, 'template.payload'],
      [{ template: { ...template, tpye: 1 }, grid: { a: [1] } }, 400, 'template.tpye'],
      [{ template: { ...template, payload: { big } }, grid: { a: many(1_000) } }, 413, 'grid'],
      [{ template: { ...template, payload: { big } }, grid: { a: [1, big], b: [big] } }, 413, 'grid'],
    ] as const;
    for (const [body, status, path] of refused) {
      const answer = await call.post('/v1/jobs/batch', body);
      expect([answer.status, answer.body.errors[0].path]).toEqual([status, path]);
    }
    expect((await call.get('/v1/jobs?queue=refused')).body.items).toEqual([]);
  });
});

it('a claim of a thousand leases each job once, and gives the same again', async () => {
  const queue = randomUUID();
  await call.post('/v1/jobs/batch', {
    template: { type: 't', queue },
    grid: { n: Array.from({ length: 1_000 }, (_, n) => n) },
  });
  const body = { workerId: 'w', queues: [queue], max: 1_000 };
  const options = { headers: { 'idempotency-key': randomUUID() } };
  const first = (await call.post('/v1/claims', body, options)).body.jobs;
  const again = (await elsewhere.post('/v1/claims', body, options)).body.jobs;
  expect(first.map(({ job }: any) => job.payload.n)).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
  const leases = (jobs: readonly any[]): unknown[] => jobs.map(({ job, leaseToken }) => [job.id, leaseToken]);
  expect(leases(again)).toEqual(leases(first));
  const results = await send(first.map((one: any) => by(one, 'complete')));
  expect(new Set(codes(results))).toEqual(new Set([200]));
});
