/** Commands and questions against a server that loses answers, is busy, hangs and refuses. */
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  AlreadyTerminalError,
  IllegalTransitionError,
  JobledgerClient,
  NotFoundError,
  OutcomeUnknownError,
  ProblemError,
  StaleLeaseError,
  UnavailableError,
  UnreachableError,
  ValidationError,
  type ClientOptions,
  type ProblemCode,
} from '../../src/client/client.js';
import { FakeClock } from '../support/fake-clock.js';
import {
  ScriptedLedger,
  answer,
  cutAnswer,
  loseAnswer,
  neverAnswer,
  problem,
  type Reply,
} from '../support/scripted-ledger.js';

const CREATE = 'POST /v1/jobs';
const JOB = '0198c0de-0000-7000-8000-000000000000';
const COMPLETE = `POST /v1/jobs/${JOB}/complete`;
const created = { jobId: 'j1', events: ['JobCreated', 'JobQueued'] };
const busy = problem(503, 'unavailable', { 'retry-after': '2' });
const html =
  (status: number): Reply =>
  (response) => {
    response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>proxy</h1>');
  };

let ledger: ScriptedLedger;
let clock: FakeClock;
let client: JobledgerClient;
const connect = (options: Partial<ClientOptions> = {}): JobledgerClient =>
  new JobledgerClient({ baseUrl: ledger.url, clock, ...options });
const keys = (): unknown[] => ledger.requests.map(({ headers }) => headers['idempotency-key']);
const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => new Error('did not fail'),
    (error: unknown) => error,
  );

beforeEach(async () => {
  ledger = await ScriptedLedger.start();
  clock = new FakeClock();
  client = connect();
});
afterEach(() => ledger.close());

describe('a signal that calls share', () => {
  it.each([
    ['calls', {}],
    ['commands that go together', { batch: {} }],
  ])('is listened to once, however many %s there are, and no more when they have ended', async (_what, options) => {
    ledger.script(COMPLETE, neverAnswer).script(CREATE, busy).script('POST /v1/commands', neverAnswer);
    ledger.script('GET /v1/streams/jobs', neverAnswer);
    const abort = new AbortController();
    const { signal } = abort;
    const sharing = connect(options);
    const calls = Array.from({ length: 20 }, (_, at) =>
      at % 2 === 0
        ? sharing.complete(JOB, { leaseToken: 't' }, { signal })
        : sharing.createJob({ type: 'x' }, { signal }),
    );
    const streams = Array.from({ length: 20 }, () => sharing.streamJobs({}, { signal })[Symbol.asyncIterator]().next());
    await ledger.received('GET /v1/streams/jobs', 20);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    const reason = new Error('enough');
    abort.abort(reason);
    expect(await Promise.all(calls.map(failure))).toEqual(calls.map(() => reason));
    expect((await Promise.all(streams)).map(({ done }) => done)).toEqual(streams.map(() => true));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('is let go when all have their answers', async () => {
    ledger.script(CREATE, answer(created, 201));
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 20 }, () => client.createJob({ type: 'x' }, { signal })));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('a command', () => {
  it('is its body, with the key of the API and a new idempotency key', async () => {
    ledger.script(CREATE, answer(created, 201));
    client = connect({ apiKey: 's3cret', baseUrl: `${ledger.url}/` });
    expect(await client.createJob({ type: 'resize', payload: { n: 1 }, queue: undefined })).toEqual(created);
    await client.createJob({ type: 'resize' });
    const [first] = ledger.requests;
    expect(first).toMatchObject({ method: 'POST', path: '/v1/jobs', body: { type: 'resize', payload: { n: 1 } } });
    expect(first?.headers).toMatchObject({ authorization: 'Bearer s3cret', 'content-type': 'application/json' });
    expect(new Set(keys()).size).toBe(2);
  });

  it.each<[unknown, string]>([
    ['', 'empty'],
    ['a\n', 'a line'],
    [' a', 'a space'],
    ['schlüssel', 'letters that a header has not'],
    [7, 'no text'],
  ])('is never sent with %j for an API key, which is not repeated: %s', (apiKey) => {
    const make = (): unknown => connect({ apiKey: apiKey as string });
    expect(make).toThrow(RangeError);
    expect(make).toThrow(/^apiKey: text of visible ASCII characters, without spaces around it; it is not shown here$/);
  });

  it.each(['force-fail', 'requeue', 'emergency-stop'] as const)('of an operator is its path: %s', async (name) => {
    ledger.script(`POST /v1/admin/jobs/a%2Fb/${name}`, answer(created));
    const calls = { 'force-fail': 'forceFail', requeue: 'requeue', 'emergency-stop': 'emergencyStop' } as const;
    expect(await client[calls[name]]('a/b', { reason: 'by hand' })).toEqual(created);
    expect(ledger.requests[0]?.body).toEqual({ reason: 'by hand' });
  });

  it('takes a key and a revision', async () => {
    ledger.script('POST /v1/jobs/a%2Fb/cancel', answer(created));
    await client.cancel('a/b', { force: true }, { idempotencyKey: 'mine', ifMatch: 0 });
    expect(ledger.requests[0]?.headers).toMatchObject({ 'idempotency-key': 'mine', 'if-match': '0' });
  });

  it.each([
    ['the connection breaks', loseAnswer],
    ['the answer is cut', cutAnswer],
    ['a proxy answers for the ledger', html(502)],
    ['a proxy answers 200 with a page', html(200)],
  ])('is repeated under the same key when %s', async (_, reply) => {
    ledger.script(CREATE, reply, reply, answer(created, 201));
    const job = client.createJob({ type: 'resize' });
    await clock.elapse(100);
    await clock.elapse(200);
    expect(await job).toEqual(created);
    expect(keys()).toHaveLength(3);
    expect(new Set(keys()).size).toBe(1);
    expect(new Set(ledger.requests.map(({ body }) => JSON.stringify(body))).size).toBe(1);
  });

  it('is repeated when no answer comes in time', async () => {
    ledger.script(CREATE, neverAnswer, answer(created, 201));
    const job = client.createJob({ type: 'resize' });
    await ledger.received(CREATE);
    await clock.elapse(10_000);
    await ledger.hungUp(CREATE);
    await clock.elapse(100);
    expect(await job).toEqual(created);
    expect(new Set(keys()).size).toBe(1);
  });

  it.each([
    ['503', busy],
    ['429', problem(429, 'rate_limited', { 'retry-after': '2' })],
    ['a date', problem(503, 'unavailable', { 'retry-after': new Date(0).toUTCString() })],
  ])('waits as long as %s asks, and then some', async (name, reply) => {
    ledger.script(CREATE, reply, answer(created, 201));
    const job = client.createJob({ type: 'resize' });
    await clock.elapse(name === 'a date' ? 100 : 2_100);
    expect(await job).toEqual(created);
    expect(new Set(keys()).size).toBe(1);
  });

  it('backs off up to a limit', async () => {
    ledger.script(CREATE, loseAnswer);
    client = connect({ retry: { initialMs: 100, maxMs: 350 } });
    const abort = new AbortController();
    const job = failure(client.createJob({ type: 'resize' }, { signal: abort.signal }));
    for (const ms of [100, 200, 350, 350]) await clock.elapse(ms);
    abort.abort(new Error('enough'));
    await job;
  });

  it('whose answers stay lost ends as unknown, with the key that tells', async () => {
    ledger.script(CREATE, loseAnswer, busy);
    const job = failure(client.createJob({ type: 'resize' }, { idempotencyKey: 'k1', deadlineMs: 2_000 }));
    await clock.elapse(100);
    const error = await job;
    expect(error).toBeInstanceOf(OutcomeUnknownError);
    expect(error).toMatchObject({ idempotencyKey: 'k1', cause: { message: 'fetch failed' } });
  });

  it('that was never sent, as nothing listens, is not unknown: nothing was done', async () => {
    const { url } = ledger;
    await ledger.close();
    const error = await failure(client.createJob({ type: 'resize' }, { deadlineMs: 0 }));
    expect(error).toBeInstanceOf(UnreachableError);
    expect((error as Error).message).toBe(
      `no answer to POST ${url}/v1/jobs: connect ECONNREFUSED ${url.replace('http://', '')}`,
    );
    ledger = await ScriptedLedger.start();
  });

  it('that was always turned away ends as unavailable: nothing was done', async () => {
    ledger.script(CREATE, busy);
    const job = failure(client.createJob({ type: 'resize' }, { deadlineMs: 4_000 }));
    await clock.elapse(2_100);
    expect(await job).toBeInstanceOf(UnavailableError);
    expect(keys()).toHaveLength(2);
  });

  it('is tried once when the deadline is 0', async () => {
    ledger.script(CREATE, busy);
    expect(await failure(client.createJob({ type: 'resize' }, { deadlineMs: 0 }))).toBeInstanceOf(UnavailableError);
    expect(keys()).toHaveLength(1);
  });

  it('that can never be sent is not sent', async () => {
    expect(await failure(client.createJob({ type: 'resize', payload: 1n }))).toBeInstanceOf(TypeError);
    expect(await failure(client.createJob({ type: 'x' }, { idempotencyKey: 'a\nb' }))).toMatchObject({
      name: 'TypeError',
    });
    expect(ledger.requests).toEqual([]);
  });

  it.each<[number, ProblemCode, new (...args: never[]) => ProblemError]>([
    [400, 'validation_failed', ValidationError],
    [404, 'not_found', NotFoundError],
    [410, 'gone', NotFoundError],
    [409, 'stale_lease', StaleLeaseError],
    [409, 'already_terminal', AlreadyTerminalError],
    [409, 'illegal_transition', IllegalTransitionError],
    [409, 'duplicate_job', ProblemError],
    [422, 'idempotency_key_reused', ProblemError],
    [500, 'internal', ProblemError],
  ])('refused with %d %s is final', async (status, code, type) => {
    ledger.script('POST /v1/jobs/j1/complete', problem(status, code));
    const error = await failure(client.complete('j1', { leaseToken: 't' }));
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ status, code, detail: `says ${code}`, problem: { code }, name: type.name });
    expect(ledger.requests).toHaveLength(1);
  });

  it('refused without a problem document has the code of its status', async () => {
    ledger.script(CREATE, html(413));
    const error = await failure(client.createJob({ type: 'resize' }));
    expect(error).toMatchObject({ status: 413, code: 'payload_too_large', detail: '<h1>proxy</h1>' });
  });

  it('ends with its signal, in flight and between tries', async () => {
    const abort = new AbortController();
    const reason = new Error('changed my mind');
    ledger.script(CREATE, neverAnswer);
    const inFlight = failure(client.createJob({ type: 'resize' }, { signal: abort.signal }));
    await ledger.received(CREATE);
    ledger.script(CREATE, busy);
    const between = failure(client.createJob({ type: 'resize' }, { signal: abort.signal }));
    await clock.waiting(2_100);
    abort.abort(reason);
    expect(await Promise.all([inFlight, between])).toEqual([reason, reason]);
    expect(await failure(client.createJob({ type: 'resize' }, { signal: abort.signal }))).toBe(reason);
    expect(ledger.requests).toHaveLength(2);
  });
});

describe('a heartbeat', () => {
  it('has no key: a repeat renews anew', async () => {
    ledger.script('POST /v1/jobs/j1/heartbeat', loseAnswer, answer({ leaseExpiresAt: 'x', directive: 'continue' }));
    const beat = client.heartbeat('j1', { leaseToken: 't' });
    await clock.elapse(100);
    expect(await beat).toMatchObject({ directive: 'continue' });
    expect(keys()).toEqual([undefined, undefined]);
  });
});

describe('a claim', () => {
  it('may take as long as it asked to wait', async () => {
    ledger.script('POST /v1/claims', neverAnswer);
    const claim = failure(client.claim({ workerId: 'w', waitMs: 30_000 }, { deadlineMs: 0 }));
    await ledger.received('POST /v1/claims');
    await clock.elapse(40_000);
    expect(await claim).toBeInstanceOf(OutcomeUnknownError);
  });
});

describe('a question', () => {
  it('is its filters, repeated where they have several values', async () => {
    ledger.script('GET /v1/jobs', answer({ items: [], nextCursor: null }));
    await client.listJobs(
      { status: ['failed', 'cancelled'], deadLettered: true, silentForMs: 5, sort: '-statusSince', tag: undefined },
      { minPosition: '42' },
    );
    const [request] = ledger.requests;
    expect(request?.query.toString()).toBe(
      'status=failed&status=cancelled&deadLettered=true&silentForMs=5&sort=-statusSince',
    );
    expect(request?.headers['x-min-position']).toBe('42');
    expect(keys()).toEqual([undefined]);
  });

  it('is repeated, and ends as unreachable', async () => {
    ledger.script('GET /v1/jobs/j1', loseAnswer);
    const job = failure(client.getJob('j1', { asOf: '7' }, { deadlineMs: 200 }));
    await clock.elapse(100);
    expect(await job).toBeInstanceOf(UnreachableError);
    expect(ledger.calls).toEqual(['GET /v1/jobs/j1', 'GET /v1/jobs/j1']);
  });

  it('of readiness is answered by 503 too', async () => {
    ledger.script('GET /health/ready', answer({ status: 'unavailable', checks: {} }, 503));
    expect(await client.ready()).toEqual({ status: 'unavailable', checks: {} });
  });

  it('goes through a list page by page', async () => {
    ledger.script(
      'GET /v1/events',
      answer({ items: [1, 2], nextCursor: 'c2' }),
      answer({ items: [], nextCursor: 'c3' }),
      answer({ items: [3], nextCursor: null }),
    );
    const seen: unknown[] = [];
    for await (const event of client.everyItem((cursor) => client.events({ after: '0', cursor }))) seen.push(event);
    expect(seen).toEqual([1, 2, 3]);
    expect(ledger.requests.map(({ query }) => query.get('cursor'))).toEqual([null, 'c2', 'c3']);
  });
});

describe('each method', () => {
  it('has its path', async () => {
    // All that any of them has to have.
    const reply = answer({
      ...{ jobId: 'j', id: 'j', status: 'ok', items: [], jobs: [], leaseExpiresAt: 'x', directive: 'continue' },
    });
    const paths = [
      ...['batch', 'j/start', 'j/cancel', 'j/retry', 'j/resume', 'j/reschedule', 'j/priority', 'j/heartbeat'],
      ...['j/progress', 'j/complete', 'j/fail', 'j/throttle', 'j/wait', 'j/release', 'j/logs'],
    ].map((path) => `POST /v1/jobs/${path}`);
    const questions = ['jobs', 'jobs/j', 'jobs/j/events', 'jobs/j/logs', 'events', 'dead-letters', 'counters'];
    paths.push(...[...questions, 'queues', 'queues/q', 'reaper', 'config'].map((path) => `GET /v1/${path}`));
    paths.push('POST /v1/admin/reaper/sweep', 'POST /v1/claims', 'GET /health/ready', CREATE);
    for (const path of paths) ledger.script(path, reply);
    const lease = { leaseToken: 't' };
    await Promise.all([
      client.createJob({ type: 't' }),
      client.createJobs({ jobs: [] }),
      client.start('j'),
      client.cancel('j'),
      client.retry('j'),
      client.resume('j'),
      client.reschedule('j', { delayMs: 1 }),
      client.setPriority('j', { priority: 1 }),
      client.claim({ workerId: 'w' }),
      client.heartbeat('j', lease),
      client.progress('j', { ...lease, batchId: 'b' }),
      client.complete('j', lease),
      client.fail('j', { ...lease, code: 'c', message: 'm' }),
      client.throttle('j', { ...lease, baseMs: 1 }),
      client.wait('j', { ...lease, reason: 'r' }),
      client.release('j', { ...lease, reason: 'r' }),
      client.log('j', { ...lease, lines: [] }),
      ...[client.getJob('j'), client.listJobs(), client.jobEvents('j'), client.events(), client.jobLogs('j')],
      ...[client.counters(), client.queues(), client.queue('q'), client.deadLetters(), client.reaper()],
      ...[client.sweep(), client.config(), client.ready()],
    ]);
    expect(ledger.calls.sort()).toEqual(paths.sort());
  });
});
