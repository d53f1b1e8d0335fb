/** A worker: claims, how attempts end, what a handler is given, and stopping. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  AttemptAbortedError,
  JobledgerClient,
  NonRetryableError,
  ReleaseError,
  ThrottleError,
  WaitError,
  Worker,
} from '../../src/client/client.js';
import type { ClientOptions, Handler, WorkerOptions } from '../../src/client/client.js';
import { FakeClock } from '../support/fake-clock.js';
import { ScriptedLedger, answer, loseAnswer, neverAnswer, problem } from '../support/scripted-ledger.js';
import { CLAIM, acceptAll, claimedJob, claims, beatAnswer } from '../support/worked-job.js';

let ledger: ScriptedLedger;
let clock: FakeClock;
let worker: Worker;
let errors: unknown[];
let told: string[];
const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): unknown => unhandled.push(reason);

beforeEach(async () => {
  ledger = await ScriptedLedger.start();
  clock = new FakeClock();
  errors = [];
  told = [];
  process.on('unhandledRejection', onUnhandled);
});
afterEach(async () => {
  await worker.stop();
  await ledger.close();
  await new Promise(setImmediate);
  process.off('unhandledRejection', onUnhandled);
  expect(unhandled.splice(0)).toEqual([]);
});

const work = (handler: Handler, options: Partial<WorkerOptions> = {}): void => {
  const client = new JobledgerClient({ baseUrl: ledger.url, clock });
  worker = new Worker({
    client,
    workerId: 'w1',
    handler,
    ...options,
    listeners: {
      claimed: ({ job }) => told.push(`claimed ${job.id}`),
      completed: ({ job }) => told.push(`completed ${job.id}`),
      failed: ({ job }) => told.push(`failed ${job.id}`),
      handedBack: ({ job }) => told.push(`handed back ${job.id}`),
      error: (error) => errors.push(error),
      ...options.listeners,
    },
  });
  worker.start();
};
/** One job, and what ended it. */
const workOne = async (
  handler: Handler,
  command: string,
  options: Partial<WorkerOptions> = {},
): Promise<Record<string, unknown>> => {
  acceptAll(ledger, 'a');
  ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
  work(handler, options);
  return (await ledger.received(`POST /v1/jobs/a/${command}`)).body;
};
const STACK = { stack: expect.stringContaining('client-worker') };
const callsOf = (id: string): string[] => ledger.calls.filter((call) => call.includes(`/jobs/${id}/`));

describe('a claim', () => {
  it('asks for as many jobs as there are free slots, and waits for one', async () => {
    const ends: (() => void)[] = [];
    for (const id of ['a', 'b', 'c']) acceptAll(ledger, id);
    ledger.script(CLAIM, claims(claimedJob('a')), claims(claimedJob('b'), claimedJob('c')), neverAnswer);
    work(() => new Promise<void>((resolve) => ends.push(resolve)), {
      concurrency: 3,
      queues: ['q'],
      types: ['resize'],
      leaseMs: 60_000,
    });
    const second = await ledger.received(CLAIM, 2);
    expect(ledger.requests[0]?.body).toEqual({
      workerId: 'w1',
      queues: ['q'],
      types: ['resize'],
      leaseMs: 60_000,
      waitMs: 20_000,
      max: 3,
    });
    expect(second.body.max).toBe(2);
    // The answer to the second has come when its jobs run; no third until one of them ends.
    await clock.waiting(20_000);
    expect(ledger.calls.filter((call) => call === CLAIM)).toHaveLength(2);
    ends[0]?.();
    expect((await ledger.received(CLAIM, 3)).body.max).toBe(1);
    for (const end of ends) end();
  });

  it('whose answer was lost is repeated as it was, until the ledger is back', async () => {
    acceptAll(ledger, 'a');
    ledger.script(CLAIM, loseAnswer);
    work(() => 'done', { waitMs: 0 });
    for (const ms of [100, 200, 400, 800, 1_600, 3_200, 5_000]) await clock.elapse(ms);
    await clock.waiting(500);
    expect(errors).toMatchObject([{ name: 'UnreachableError' }, { name: 'OutcomeUnknownError' }]);
    ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
    clock.advance(500);
    await ledger.received('POST /v1/jobs/a/complete');
    const tries = ledger.requests.filter(({ path }) => path === '/v1/claims').slice(0, 9);
    expect(new Set(tries.map(({ headers, body }) => JSON.stringify([headers['idempotency-key'], body]))).size).toBe(1);
  });

  it('that is refused is told, and tried again as another', async () => {
    ledger.script(CLAIM, problem(401, 'unauthenticated'), problem(401, 'unauthenticated'), neverAnswer);
    work(() => 'done');
    await clock.elapse(500);
    await clock.elapse(1_000);
    const third = await ledger.received(CLAIM, 3);
    expect(errors).toMatchObject([{ code: 'unauthenticated' }, { code: 'unauthenticated' }]);
    expect(third.headers['idempotency-key']).not.toBe(ledger.requests[0]?.headers['idempotency-key']);
  });

  it('that is answered empty before its time is not repeated at once', async () => {
    ledger.script(CLAIM, claims(), neverAnswer);
    work(() => 'done');
    await clock.elapse(1_000);
    await ledger.received(CLAIM, 2);
  });
});

describe('an attempt', () => {
  it('that gives a result completes', async () => {
    expect(await workOne((job) => ({ got: job.payload }), 'complete')).toEqual({
      leaseToken: 'token-a',
      result: { got: { name: 'a' } },
    });
    await worker.stop();
    expect(told).toEqual(['claimed a', 'completed a']);
  });

  it.each<[string, () => unknown, string, Record<string, unknown>]>([
    [
      'an error',
      () => new RangeError('too far'),
      'fail',
      {
        code: 'RangeError',
        message: 'too far',
        detail: { stack: expect.stringMatching(/too far\n +at .*client-worker/) },
      },
    ],
    [
      'an error of a class without a name',
      () => new (class QuotaError extends Error {})(''),
      'fail',
      { code: 'QuotaError', message: 'QuotaError', detail: STACK },
    ],
    ['what is no error', () => 'oops', 'fail', { code: 'NonError', message: 'oops' }],
    ['an object', () => ({ code: 5, a: 'b' }), 'fail', { code: 'NonError', message: '{"code":5,"a":"b"}' }],
    [
      'a text that the wire refuses',
      () => new Error(`${'x'.repeat(3_998)}\0🙂`),
      'fail',
      { code: 'Error', message: `${'x'.repeat(3_998)}\uFFFD`, detail: STACK },
    ],
    [
      'NonRetryableError',
      () => new NonRetryableError('bad', { code: 'BadImage', detail: { n: 1 } }),
      'fail',
      { code: 'BadImage', message: 'bad', detail: { n: 1 }, retryable: false },
    ],
    [
      'NonRetryableError with a cause',
      () => new NonRetryableError('bad', { cause: new RangeError() }),
      'fail',
      { code: 'RangeError', message: 'bad', retryable: false, detail: STACK },
    ],
    ['ThrottleError', () => new ThrottleError({ retryAfterMs: 5 }), 'throttle', { retryAfterMs: 5 }],
    [
      'WaitError',
      () => new WaitError({ reason: 'approval', until: '2026-02-01T00:00:00.000Z' }),
      'wait',
      { reason: 'approval', until: '2026-02-01T00:00:00.000Z' },
    ],
    ['ReleaseError', () => new ReleaseError('wrong host'), 'release', { reason: 'wrong host' }],
  ])('that throws %s says so', async (_, error, command, body) => {
    const thrown = error();
    const sent = await workOne(() => {
      throw thrown;
    }, command);
    expect(sent).toEqual({ leaseToken: 'token-a', ...body });
    expect(callsOf('a')).toHaveLength(1);
    await worker.stop();
    expect(told).toEqual(['claimed a', command === 'fail' ? 'failed a' : 'handed back a']);
  });

  it.each([
    ['is too large', problem(413, 'payload_too_large'), 'big', { code: 'payload_too_large', message: /refused/ }],
    ['JSON cannot hold', problem(500, 'internal'), 1n, { code: 'TypeError', message: /BigInt/ }],
    ['JSON leaves out', problem(500, 'internal'), () => 1, { code: 'TypeError', message: /is a function/ }],
    ['JSON changes', problem(500, 'internal'), { a: [NaN] }, { code: 'TypeError', message: /0 is NaN/ }],
  ])('whose result %s fails, without another attempt', async (_, reply, result, { code, message }) => {
    acceptAll(ledger, 'a');
    ledger.script('POST /v1/jobs/a/complete', reply).script(CLAIM, claims(claimedJob('a')), neverAnswer);
    work(() => result);
    expect((await ledger.received('POST /v1/jobs/a/fail')).body).toEqual({
      leaseToken: 'token-a',
      ...{ code, message: expect.stringMatching(message), retryable: false },
    });
  });

  it.each([
    ['throttle', new ThrottleError({ retryAfterMs: 5 }), 501, 'not_implemented'],
    ['wait', new WaitError({ reason: 'approval' }), 403, 'forbidden'],
    ['release', new ReleaseError('maintenance'), 409, 'illegal_transition'],
  ] as const)('whose %s is refused for good fails, and says so', async (command, thrown, status, code) => {
    acceptAll(ledger, 'a');
    ledger.script(`POST /v1/jobs/a/${command}`, problem(status, code));
    ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
    work(() => Promise.reject(thrown));
    expect((await ledger.received('POST /v1/jobs/a/fail')).body).toEqual({
      leaseToken: 'token-a',
      code,
      message: `the service refused to ${command} the job: says ${code}`,
    });
    await worker.stop();
    expect(callsOf('a')).toEqual([`POST /v1/jobs/a/${command}`, 'POST /v1/jobs/a/fail']);
    expect(told).toEqual(['claimed a', 'failed a']);
  });

  it('whose end meets a fault of the ledger is left to its lease', async () => {
    acceptAll(ledger, 'a');
    ledger.script('POST /v1/jobs/a/complete', problem(500, 'internal'));
    ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
    work(() => 'done');
    await ledger.received(CLAIM, 2);
    expect(errors).toMatchObject([{ code: 'internal' }]);
    expect(callsOf('a')).toEqual(['POST /v1/jobs/a/complete']);
  });

  it('whose end is turned away, or lost, is told until it is answered, however long that takes', async () => {
    acceptAll(ledger, 'a');
    const outage = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? problem(429, 'rate_limited') : loseAnswer));
    ledger.script('POST /v1/jobs/a/complete', ...outage, answer({ jobId: 'a', events: [] }));
    ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
    work(() => 'done');
    for (const ms of [100, 200, 400, 800, 1_600, 3_200, ...Array<number>(14).fill(5_000)]) await clock.elapse(ms);
    await ledger.received('POST /v1/jobs/a/complete', outage.length + 1);
    await ledger.received(CLAIM, 2);
    expect([told, errors]).toEqual([['claimed a', 'completed a'], []]);
  });

  it('whose failure is refused too ends there', async () => {
    acceptAll(ledger, 'a');
    for (const command of ['throttle', 'fail']) {
      ledger.script(`POST /v1/jobs/a/${command}`, problem(401, 'unauthenticated'));
    }
    ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
    work(() => Promise.reject(new ThrottleError({ baseMs: 5 })));
    await ledger.received(CLAIM, 2);
    expect(callsOf('a')).toEqual(['POST /v1/jobs/a/throttle', 'POST /v1/jobs/a/fail']);
  });

  it('whose last answer is lost repeats it under the same key', async () => {
    acceptAll(ledger, 'a');
    ledger
      .script('POST /v1/jobs/a/complete', loseAnswer, answer({ jobId: 'a', events: [] }))
      .script(CLAIM, claims(claimedJob('a')), neverAnswer);
    work(() => 'done');
    await clock.elapse(100);
    const [first, second] = [
      await ledger.received('POST /v1/jobs/a/complete'),
      await ledger.received('POST /v1/jobs/a/complete', 2),
    ];
    expect(second.headers['idempotency-key']).toBe(first.headers['idempotency-key']);
    await worker.stop();
    expect(told).toEqual(['claimed a', 'completed a']);
  });

  it('is not harmed by listeners that throw', async () => {
    acceptAll(ledger, 'a');
    ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
    const broken = (): never => {
      throw new Error('listener');
    };
    work(() => 'done', {
      listeners: { claimed: broken, completed: () => Promise.reject(new Error('async')), error: broken },
    });
    await ledger.received(CLAIM, 2);
    expect(callsOf('a')).toEqual(['POST /v1/jobs/a/complete']);
  });
});

describe('stopping', () => {
  it('hangs up a claim that waits, at once', async () => {
    ledger.script(CLAIM, neverAnswer);
    work(() => 'done');
    await ledger.received(CLAIM);
    expect(worker.stop()).toBe(worker.stop());
    await worker.stop();
    await ledger.hungUp(CLAIM);
    expect(errors).toEqual([]);
    expect(() => worker.start()).toThrow('started once');
  });

  it('lets handlers finish, and claims no more', async () => {
    let finish: (result: string) => void = () => undefined;
    const started = new Promise<void>((resolve) => {
      acceptAll(ledger, 'a');
      ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
      work(() => {
        resolve();
        return new Promise((done) => (finish = done));
      });
    });
    await started;
    const stopped = worker.stop();
    await clock.waiting(30_000);
    finish('late');
    await stopped;
    expect(callsOf('a')).toEqual(['POST /v1/jobs/a/complete']);
    expect(ledger.calls.filter((call) => call === CLAIM)).toHaveLength(1);
  });

  /** A lease so long that no beat falls due while the clock moves. */
  const short = { leaseMs: 60_000, graceMs: 2_000 };
  const untilAborted = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve());
    });

  it('after its grace aborts handlers and releases their jobs', async () => {
    let reason: unknown;
    const handler: Handler = async (_, { signal, checkpoint, setState }) => {
      await setState('begun');
      await untilAborted(signal);
      reason = signal.reason;
      void checkpoint('so far');
      throw new Error('stopped');
    };
    await workOne(handler, 'heartbeat', short);
    const stopped = worker.stop();
    await clock.elapse(2_000);
    await stopped;
    expect(reason).toMatchObject({ name: AttemptAbortedError.name, why: 'shutdown' });
    const [checkpoint, release] = ledger.requests.slice(-2);
    expect(checkpoint?.body).toEqual({ leaseToken: 'token-a', checkpoint: 'so far' });
    expect(release).toMatchObject({ path: '/v1/jobs/a/release', body: { leaseToken: 'token-a', reason: 'shutdown' } });
    expect(told).toEqual(['claimed a', 'handed back a']);
  });

  it('releases the job of a handler that does not listen, whatever call of it hangs', async () => {
    let progress: Promise<void> | undefined;
    const deaf: Handler = (_, context) => {
      progress = context.progress({ processed: 1 });
      return new Promise(() => undefined);
    };
    acceptAll(ledger, 'a');
    ledger.script('POST /v1/jobs/a/progress', neverAnswer).script(CLAIM, claims(claimedJob('a')), neverAnswer);
    work(deaf, short);
    await ledger.received('POST /v1/jobs/a/progress');
    const stopped = worker.stop();
    await clock.elapse(2_000);
    await clock.elapse(1_000);
    await stopped;
    await expect(progress).rejects.toThrow('the worker has stopped');
    expect(ledger.calls.at(-1)).toBe('POST /v1/jobs/a/release');
  });

  it('ends although the ledger is away', async () => {
    const handler: Handler = async (_, { signal, setState }) => {
      await setState('begun');
      await untilAborted(signal);
      throw new Error('stopped');
    };
    await workOne(handler, 'heartbeat', short);
    ledger.script('POST /v1/jobs/a/release', neverAnswer);
    const stopped = worker.stop();
    await clock.elapse(2_000);
    await ledger.received('POST /v1/jobs/a/release');
    await clock.elapse(6_000);
    await stopped;
    expect(errors).toMatchObject([{ message: 'the worker has stopped' }]);
  });
});

describe('an outage', () => {
  let lines: string[];
  let warn: typeof console.warn;
  beforeEach(() => {
    lines = [];
    warn = console.warn;
    console.warn = (line: string): unknown => lines.push(line.replace('worker w1: ', ''));
  });
  afterEach(() => {
    console.warn = warn;
  });
  /** With listeners of this test alone. */
  const workWith = (listeners: WorkerOptions['listeners'], handler: Handler = () => 'done', options = {}): void => {
    const client = new JobledgerClient({ baseUrl: ledger.url, clock });
    worker = new Worker({ client, workerId: 'w1', handler, ...(listeners && { listeners }), ...options });
    worker.start();
  };
  const lineTold = (pattern: RegExp): Promise<void> =>
    new Promise((resolve) => {
      const look = (): unknown => (lines.some((line) => pattern.test(line)) ? resolve() : setImmediate(look));
      look();
    });

  it('is said on the console once, with address and reason, and again when it is over', async () => {
    ledger.script(CLAIM, loseAnswer, loseAnswer, loseAnswer, claims(), problem(503, 'unavailable'));
    workWith(undefined);
    for (const ms of [100, 200, 400]) await clock.elapse(ms);
    await lineTold(/answers again/);
    expect(lines).toEqual([
      `jobledger the ledger at ${ledger.url} does not answer (other side closed): is it running there? Trying again until it does`,
      `jobledger the ledger at ${ledger.url} answers again, after 0.7 s`,
    ]);
    await clock.elapse(300);
    for (const ms of [100, 200]) await clock.elapse(ms);
    expect(lines.slice(2)).toMatchObject(
      [/does not answer \(unavailable: says unavailable\)/].map((line) => expect.stringMatching(line)),
    );
  });

  it('that ends at once is none', async () => {
    ledger.script(CLAIM, loseAnswer, claims(), neverAnswer);
    workWith(undefined);
    await clock.elapse(100);
    await clock.elapse(900);
    await ledger.received(CLAIM, 3);
    expect(lines).toEqual([]);
  });

  it('is said at the first call that gets no answer in its time', async () => {
    ledger.script(CLAIM, neverAnswer, claims(), neverAnswer);
    workWith(undefined);
    await ledger.received(CLAIM);
    await clock.elapse(30_000);
    await lineTold(/does not answer \(no answer in 30000 ms\)/);
    await clock.elapse(100);
    await lineTold(/answers again/);
    expect(lines).toHaveLength(2);
  });

  it('is said at the first call that gets no answer in its time, also of one that ends an attempt', async () => {
    acceptAll(ledger, 'a');
    ledger.script('POST /v1/jobs/a/complete', neverAnswer, answer({ jobId: 'a', events: [] }));
    ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
    workWith(undefined);
    await ledger.received('POST /v1/jobs/a/complete');
    await clock.elapse(10_000);
    await lineTold(/does not answer \(no answer in 10000 ms\)/);
    await clock.elapse(100);
    await lineTold(/answers again/);
    expect(lines).toHaveLength(2);
  });

  it('is over when the ledger says that it is ready, though a claim still waits for a job', async () => {
    ledger.script(CLAIM, loseAnswer, loseAnswer, neverAnswer);
    ledger.script(
      'GET /health/ready',
      answer({ status: 'unavailable', checks: {} }, 503),
      answer({ status: 'ok', checks: {} }),
    );
    workWith(undefined);
    for (const ms of [100, 200]) await clock.elapse(ms);
    await ledger.received(CLAIM, 3);
    await clock.elapse(2_000);
    await ledger.received('GET /health/ready');
    await clock.elapse(2_000);
    await lineTold(/answers again, after 4\.\d s/);
    expect(lines).toHaveLength(2);
  });

  it('is over at a refusal too', async () => {
    ledger.script(CLAIM, loseAnswer, loseAnswer, problem(401, 'unauthenticated'), neverAnswer);
    workWith(undefined);
    for (const ms of [100, 200]) await clock.elapse(ms);
    await lineTold(/a claim is refused/);
    expect(lines.slice(1)).toMatchObject(
      [/answers again, after 0\.3 s/, /a claim is refused/].map((line) => expect.stringMatching(line)),
    );
  });

  it('is told to its listener instead', async () => {
    ledger.script(CLAIM, loseAnswer, loseAnswer, loseAnswer, claims(), neverAnswer);
    const outage: unknown[] = [];
    workWith({ unreachable: (error) => outage.push(error), reachable: (ms) => outage.push(ms) });
    for (const ms of [100, 200]) await clock.elapse(ms);
    clock.advance(0.25);
    await clock.elapse(400);
    await clock.waiting(299.75);
    expect(outage).toMatchObject([{ name: 'UnreachableError' }, 700]);
    expect(lines).toEqual([]);
  });

  it('is told to the listener of errors when it has no other', async () => {
    ledger.script(CLAIM, loseAnswer);
    workWith({ error: (error) => errors.push(error) });
    await clock.elapse(100);
    await clock.waiting(200);
    expect(errors).toMatchObject([{ name: 'UnreachableError' }]);
    expect(lines).toEqual([]);
  });

  it('is seen by the heartbeats of a worker without free slots too', async () => {
    ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
    acceptAll(ledger, 'a');
    ledger.script('POST /v1/jobs/a/heartbeat', loseAnswer, beatAnswer());
    workWith(undefined, (_, { signal }) => new Promise((_done, fail) => signal.addEventListener('abort', fail)), {
      leaseMs: 3_000,
      graceMs: 0,
    });
    await clock.elapse(1_000);
    await lineTold(/does not answer/);
    await clock.elapse(250);
    await lineTold(/answers again/);
    const stopped = worker.stop();
    await clock.elapse(0);
    await stopped;
  });

  it('of a key that is refused is said once, and when it is taken again', async () => {
    const refused = problem(401, 'unauthenticated');
    ledger.script(CLAIM, refused, refused, refused, claims(), refused, neverAnswer);
    workWith(undefined);
    for (const ms of [500, 1_000, 2_000, 1_000]) await clock.elapse(ms);
    await clock.elapse(500);
    await ledger.received(CLAIM, 6);
    const said =
      'jobledger a claim is refused: unauthenticated: says unauthenticated; trying again, at least every 15 s';
    expect(lines).toEqual([said, `jobledger the ledger at ${ledger.url} takes claims again`, said]);
  });

  it('hides neither a failed attempt nor a refusal', async () => {
    acceptAll(ledger, 'a');
    ledger.script(CLAIM, claims(claimedJob('a')), problem(401, 'unauthenticated'), neverAnswer);
    workWith(undefined, () => {
      throw new Error('no such page');
    });
    await lineTold(/no such page/);
    await lineTold(/a claim is refused: unauthenticated/);
    expect(lines.find((line) => line.includes('no such page'))).toMatch(/^jobledger attempt 1 of job a \(.+\) failed/);
  });
});

describe('a process that stood still', () => {
  const told: unknown[][] = [];
  let lines: string[];
  let warn: typeof console.warn;
  beforeEach(() => {
    lines = [];
    warn = console.warn;
    console.warn = (line: string): unknown => lines.push(line);
  });
  afterEach(() => {
    console.warn = warn;
    told.splice(0);
  });

  it('does not blame the ledger for what it did not read', async () => {
    let reply: () => void = () => undefined;
    ledger.script(CLAIM, (response, request) => (reply = () => claims()(response, request)), neverAnswer);
    const client = new JobledgerClient({ baseUrl: ledger.url, clock });
    worker = new Worker({ client, workerId: 'w1', handler: () => 'done' });
    worker.start();
    await ledger.received(CLAIM);
    clock.jump(60_000);
    reply();
    const [first, second] = [await ledger.received(CLAIM), await ledger.received(CLAIM, 2)];
    expect(second.headers['idempotency-key']).not.toBe(first.headers['idempotency-key']);
    expect(lines).toEqual([]);
  });

  it('says so when it holds a job whose lease that may have cost, and only then', async () => {
    acceptAll(ledger, 'a');
    ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
    work((_, { signal }) => new Promise((_done, fail) => signal.addEventListener('abort', fail)), {
      leaseMs: 36_000,
      graceMs: 0,
      listeners: { stoodStill: (...all) => told.push(all) },
    });
    await clock.waiting(12_000);
    clock.jump(20_000);
    clock.jump(30_000);
    expect(told).toEqual([[expect.any(Number), false]]);
    expect(told[0]?.[0]).toBeGreaterThan(24_000);
    const stopped = worker.stop();
    await clock.elapse(0);
    await stopped;
  });
});

describe('options', () => {
  it.each([
    [{ workerId: 'not a name' }, 'workerId: 1–120 characters of [A-Za-z0-9._:/-], not "not a name"'],
    [{ workerId: undefined }, 'workerId: 1–120 characters of [A-Za-z0-9._:/-], not undefined'],
    [{ types: [] }, 'types: a list of at least one name, or left out for any, not []'],
    [{ types: 'resize' }, 'types: a list of at least one name, or left out for any, not "resize"'],
    [{ queues: ['ok', ''] }, 'queues[1]: 1–120 characters of [A-Za-z0-9._:/-], not ""'],
    [{ concurrency: 0 }, 'concurrency: a whole number from 1 to 1000, not 0'],
    [{ concurrency: 1.5 }, 'concurrency: a whole number from 1 to 1000, not 1.5'],
    [{ leaseMs: 99 }, 'leaseMs: a whole number from 100 to 86400000, not 99'],
    [{ waitMs: 60_001 }, 'waitMs: a whole number from 0 to 60000, not 60001'],
    [{ graceMs: -1 }, 'graceMs: a whole number from 0 to 2147483647, not -1'],
    [{ handler: undefined }, 'handler: a function that is given (job, context), not undefined'],
    [{ client: 'http://127.0.0.1:8080' }, 'client: a JobledgerClient, not "http://127.0.0.1:8080"'],
    [{ listeners: { error: 'log' } }, 'listeners.error: a function, not "log"'],
    [
      { listeners: { eror: () => 1 } },
      'listeners has no option eror: it has claimed, completed, failed, handedBack, cancelled, leaseLost, slotsHeld, stoodStill, unreachable, reachable, error',
    ],
    [
      { type: ['resize'] },
      'a Worker has no option type: it has client, workerId, queues, types, concurrency, leaseMs, waitMs, graceMs, handler, listeners',
    ],
  ])('that are wrong are refused by name, with what was given: %j', (options, message) => {
    ledger.script(CLAIM, neverAnswer);
    work(() => 'done');
    const client = new JobledgerClient({ baseUrl: ledger.url });
    const all = { client, workerId: 'w', handler: () => 'done', ...options } as WorkerOptions;
    expect(() => new Worker(all)).toThrow(new RangeError(message));
  });

  it.each([
    [{ baseUrl: 'localhost:8080' }, 'baseUrl: an http or https URL as in http://127.0.0.1:8080, not "localhost:8080"'],
    [{}, 'baseUrl: an http or https URL as in http://127.0.0.1:8080, not undefined'],
    [{ baseUrl: 'http://a', retry: { maxMs: 0 } }, 'retry.maxMs: a whole number from 1 to 2147483647, not 0'],
    [
      { baseUrl: 'http://a', url: 'b' },
      'a JobledgerClient has no option url: it has baseUrl, apiKey, fetch, retry, traceparent, batch, clock',
    ],
  ])('of a client too: %j', (options, message) => {
    ledger.script(CLAIM, neverAnswer);
    work(() => 'done');
    expect(() => new JobledgerClient(options as ClientOptions)).toThrow(new RangeError(message));
  });
});
