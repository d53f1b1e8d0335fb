/** The OpenAPI document tells the truth: real answers of every call are held against it, and its examples are sent. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { ApiDescription } from '../support/api-description.js';
import { type Answer, Caller, type SendOptions, startApp, type TestApp } from '../support/app.js';
import { SseReader } from '../support/sse-reader.js';

/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return,
   @typescript-eslint/no-unsafe-call -- a JSON document is looked into by name. */

let app: TestApp;
let description: ApiDescription;
let defects: string[];

/** Keeps what is wrong with each answer. */
class DescribedCaller extends Caller {
  override async send(method: string, path: string, body?: unknown, options: SendOptions = {}): Promise<Answer> {
    const answer = await super.send(method, path, body, options);
    defects.push(...description.defectsOf(method, path, answer));
    return answer;
  }
}

let call: DescribedCaller;
beforeAll(async () => {
  app = await startApp({ run: ['api', 'projections', 'reaper'] });
  defects = [];
  description = new ApiDescription((await new Caller(app.url).get('/openapi.json')).body);
  call = new DescribedCaller(app.url);
});
afterAll(() => app.close());

const exampleOf = (method: string, path: string): any =>
  description.operationOf(method, path).requestBody.content['application/json'].example;

/** The example of a call to a job; with the token of a job that was claimed for it. */
const tryWorker = async (name: string, options?: SendOptions): Promise<Answer> => {
  const queue = `${name}-${randomUUID()}`;
  const { jobId } = await call.create({ queue });
  const claimed = await call.claim(queue);
  const path = `/v1/jobs/${jobId}/${name}`;
  return call.post(path, { ...exampleOf('POST', path), leaseToken: claimed.leaseToken }, options);
};

const tryClient = async (name: string, jobId: string): Promise<Answer> => {
  const path = `/v1/jobs/${jobId}/${name}`;
  return call.post(path, exampleOf('POST', path));
};

/** The example of what an operator does to a job. */
const tryOperator = async (name: string, jobId: string): Promise<Answer> => {
  const path = `/v1/admin/jobs/${jobId}/${name}`;
  return call.post(path, exampleOf('POST', path));
};

const succeeded = (answers: readonly Answer[]): void =>
  expect(answers.filter(({ status }) => status >= 300).map(({ body }) => body)).toEqual([]);

describe('the OpenAPI document', () => {
  it('has words for every call, parameter and field', () => {
    const lacking = description.operations.flatMap(({ call: name, operation }) => [
      ...(operation.summary && operation.description && operation.tags.length === 1 ? [] : [name]),
      ...operation.parameters.flatMap((each: any) =>
        '$ref' in each || each.description ? [] : [`${name} ${each.name}`],
      ),
      ...(operation.requestBody === undefined || 'example' in operation.requestBody.content['application/json']
        ? []
        : [`${name} has no example`]),
    ]);
    expect(lacking).toEqual([]);
    const { schemas } = (description as any).document.components;
    const nameless = Object.entries(schemas as Record<string, any>).flatMap(([name, { properties = {} }]) =>
      Object.entries(properties as Record<string, any>).flatMap(([field, schema]) =>
        schema.description ? [] : [`${name}.${field}`],
      ),
    );
    expect(nameless).toEqual([]);
    const ids = description.operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has examples that are taken, and answers that are as it says', async () => {
    const created = await call.post('/v1/jobs', exampleOf('POST', '/v1/jobs'), { headers: { 'idempotency-key': 'k' } });
    const again = await call.post('/v1/jobs', exampleOf('POST', '/v1/jobs'), { headers: { 'idempotency-key': 'k' } });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    const { jobId } = created.body;
    const batch = await call.post('/v1/jobs/batch', exampleOf('POST', '/v1/jobs/batch'));
    const claim = await call.post('/v1/claims', exampleOf('POST', '/v1/claims'));
    expect(claim.body.jobs).toHaveLength(1);
    const grid = await call.post('/v1/jobs/batch', { template: { type: 'grid' }, grid: { n: [1, 2] } });
    const bulk = await call.post('/v1/commands', exampleOf('POST', '/v1/commands'));
    succeeded([created, again, batch, claim, grid, bulk]);
    for (const name of ['heartbeat', 'progress', 'complete', 'fail', 'throttle', 'wait', 'release', 'logs']) {
      succeeded([await tryWorker(name)]);
    }
    const draft = await call.create({ autostart: false });
    const other = await call.create({ queue: 'other', policy: { retry: { jitter: 0 } }, tags: ['a'], total: 3 });
    succeeded([
      await tryClient('start', draft.jobId),
      await tryClient('reschedule', other.jobId),
      await tryClient('priority', other.jobId),
      await tryClient('hold', other.jobId),
      await tryClient('resume', other.jobId),
      await tryClient('cancel', other.jobId),
      await tryClient('retry', other.jobId),
    ]);
    for (const name of ['force-fail', 'requeue', 'emergency-stop', 'cancel']) {
      await call.create({ queue: name });
      succeeded([await tryOperator(name, (await call.claim(name)).job.id)]);
    }
    const { position } = (await call.get(`/v1/jobs/${other.jobId}`)).body;
    for (const path of [
      ...[
        `/v1/jobs/${jobId}`,
        `/v1/jobs/${jobId}?asOf=${position}`,
        `/v1/jobs/${jobId}/events`,
        `/v1/jobs/${jobId}/logs`,
      ],
      ...['/v1/jobs?limit=200', '/v1/dead-letters', '/v1/events?limit=200', '/v1/reaper', '/v1/config'],
      ...['/health/live', '/health/ready'],
    ]) {
      succeeded([await call.get(path)]);
    }
    for (const path of ['/v1/counters', '/v1/queues', '/v1/queues/other']) {
      succeeded([await call.get(path, { headers: { 'x-min-position': position } })]);
    }
    succeeded([
      await call.post('/v1/admin/reaper/sweep', exampleOf('POST', '/v1/admin/reaper/sweep')),
      await call.post('/v1/admin/reaper/sweep', {}),
    ]);
    expect(defects).toEqual([]);
  });

  it('describes upkeep, under way and done', async () => {
    const path = '/v1/admin/projections/counters';
    const running = await call.post(`${path}/rebuild`, { waitMs: 0 });
    expect(running.status).toBe(202);
    succeeded([await call.get(`/v1/admin/upkeep/${running.body.id}?waitMs=30000`)]);
    for (const name of ['rebuild', 'verify']) {
      succeeded([await call.post(`${path}/${name}`, exampleOf('POST', `/v1/admin/projections/{name}/${name}`))]);
    }
    succeeded([await call.post('/v1/admin/log/verify', exampleOf('POST', '/v1/admin/log/verify'))]);
    for (const each of ['/v1/log/head', '/v1/admin/projections', `${path}?digest=true`, '/v1/admin/upkeep']) {
      succeeded([await call.get(each)]);
    }
    expect(defects).toEqual([]);
  });

  it('describes what becomes of each command among many', async () => {
    const { jobId } = await call.create({ queue: 'among' });
    const { leaseToken } = await call.claim('among');
    const commands = [
      { command: 'heartbeat', jobId, leaseToken },
      { command: 'complete', jobId, leaseToken, commandId: 'among' },
      { command: 'complete', jobId, leaseToken, commandId: 'among' },
      { command: 'cancel', jobId },
      { command: 'items', jobId },
      { command: 'cancel', jobId: 'x' },
    ];
    const { body } = await call.post('/v1/commands', { commands });
    expect(body.results.map(({ status }: any) => status)).toEqual([200, 200, 200, 409, 501, 400]);
    for (const wrong of [{ commands: [] }, `{"commands":["${'x'.repeat(17_000_000)}"]}`]) {
      expect((await call.post('/v1/commands', wrong)).status).toBeGreaterThanOrEqual(400);
    }
    expect(defects).toEqual([]);
  });

  it('describes every state that a job can be shown in', async () => {
    const lines = { lines: [{ level: 'info', message: 'm', fields: { a: 1 } }] };
    for (const name of ['fail', 'wait', 'throttle', 'progress']) {
      const { body } = await tryWorker(name);
      succeeded([await call.get(`/v1/jobs/${body.jobId}`), await call.get(`/v1/jobs/${body.jobId}/events`)]);
    }
    const { jobId } = await call.create({ queue: 'held' });
    const held = await call.claim('held', { start: false });
    await call.worker(held, 'start');
    await call.worker(held, 'heartbeat', { state: 'thinking', checkpoint: { at: 1 } });
    await call.worker(held, 'progress', { batchId: 'b', stage: 'render', processed: 1, total: 2 });
    await call.worker(held, 'logs', lines);
    for (const suffix of ['', '/events', '/logs']) succeeded([await call.get(`/v1/jobs/${jobId}${suffix}`)]);
    await call.post(`/v1/jobs/${jobId}/cancel`);
    await call.get(`/v1/jobs/${jobId}`);
    expect((await call.worker(held, 'fail', { code: 'C', message: 'm', detail: { a: [1] } })).status).toBe(200);
    await call.get(`/v1/jobs/${jobId}`);
    expect(defects).toEqual([]);
  });

  it('describes what is refused', async () => {
    const { jobId } = await call.create({ queue: 'refused' });
    const held = await call.claim('refused');
    const key = { headers: { 'idempotency-key': 'used' } };
    await call.post('/v1/jobs', { type: 'a' }, key);
    const refusals: readonly (readonly [Answer, string])[] = [
      [await call.post('/v1/jobs', { tpye: 'a' }), 'validation_failed'],
      [await call.post('/v1/jobs', { type: 'a', payload: 'x'.repeat(300_000) }), 'payload_too_large'],
      [await call.post('/v1/jobs', { type: 'a', items: ['b'] }), 'not_implemented'],
      [await call.post('/v1/jobs', { type: 'b' }, key), 'idempotency_key_reused'],
      [await call.get('/v1/jobs?limit=0'), 'validation_failed'],
      [await call.get('/v1/jobs/00000000-0000-7000-8000-000000000000'), 'not_found'],
      [await call.get('/v1/queues/none'), 'not_found'],
      [await call.post(`/v1/jobs/${jobId}/complete`, { leaseToken: 'forged' }), 'stale_lease'],
      [await call.post(`/v1/jobs/${jobId}/retry`), 'illegal_transition'],
      [await call.post(`/v1/jobs/${jobId}/cancel`, {}, { headers: { 'if-match': '77' } }), 'precondition_failed'],
      [await call.worker(held, 'complete'), ''],
      [await call.post(`/v1/jobs/${jobId}/cancel`), 'already_terminal'],
      [await call.post(`/v1/admin/jobs/${jobId}/force-fail`), 'already_terminal'],
    ];
    expect(refusals.map(([{ body }]) => body.code ?? '')).toEqual(refusals.map(([, code]) => code));
    expect(defects).toEqual([]);
  });

  it('leaves no call out', async () => {
    const { jobId } = await call.create();
    for (const path of ['/v1/streams/events', '/v1/streams/jobs', '/v1/streams/counters', `/v1/jobs/${jobId}/stream`]) {
      const stream = await SseReader.open(`${app.url}${path}`);
      stream.close();
      const { operationId, responses } = description.operationOf('GET', path);
      expect(Object.keys(responses['200'].content)).toEqual(['text/event-stream']);
      description.seen.add(operationId);
    }
    const metrics = await fetch(`${app.url}/metrics`);
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain/);
    await metrics.arrayBuffer();
    description.seen.add('metrics');
    const all = description.operations.map(({ operation }) => operation.operationId);
    expect(all.filter((id) => !description.seen.has(id))).toEqual([]);
    expect(defects).toEqual([]);
  });
});
