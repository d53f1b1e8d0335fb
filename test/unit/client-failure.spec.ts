/** What a failed attempt tells: the ledger and the console the same, with all that was underneath. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JobledgerClient, NonRetryableError, ReleaseError, Worker } from '../../src/client/client.js';
import type { Handler } from '../../src/client/client.js';
import { FakeClock } from '../support/fake-clock.js';
import { ScriptedLedger, neverAnswer } from '../support/scripted-ledger.js';
import { CLAIM, acceptAll, claimedJob, claims } from '../support/worked-job.js';

let ledger: ScriptedLedger;
let worker: Worker;
let lines: string[];
let warn: typeof console.warn;

beforeEach(async () => {
  ledger = await ScriptedLedger.start();
  lines = [];
  warn = console.warn;
  console.warn = (line: string): unknown => lines.push(line);
});
afterEach(async () => {
  console.warn = warn;
  await worker.stop();
  await ledger.close();
});

const workOne = async (handler: Handler, command = 'fail', listeners = {}): Promise<Record<string, unknown>> => {
  acceptAll(ledger, 'a');
  ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
  const client = new JobledgerClient({ baseUrl: ledger.url, clock: new FakeClock() });
  worker = new Worker({ client, workerId: 'w1', types: ['resize'], handler, listeners });
  worker.start();
  const { body } = await ledger.received(`POST /v1/jobs/a/${command}`);
  await worker.stop();
  return body;
};
const throwing = (thrown: unknown) => (): never => {
  throw thrown;
};
const failWith = (thrown: unknown): Promise<Record<string, unknown>> => workOne(throwing(thrown));
const stackWith = async (thrown: unknown): Promise<string> =>
  ((await failWith(thrown)).detail as { stack: string }).stack;

describe('the console', () => {
  const circle: Record<string, unknown> = {};
  circle.itself = circle;
  const bare = new AggregateError([new Error('one'), new Error(''), 'two']);
  it.each<[string, () => unknown, RegExp]>([
    ['a result of BigInt', () => 10n, /the result cannot be sent: .*BigInt/],
    ['a circle', () => circle, /the result cannot be sent: .*circular/],
    ['a result that is a function', () => () => 1, /the result is a function/],
    ['NaN', () => NaN, /the result is NaN, which JSON cannot hold/],
    ['a thrown object', throwing({ code: 5, message: 'm' }), /\{"code":5,"message":"m"\}/],
    ['an error without words', throwing(new Error('')), /Error/],
    ['an AggregateError without words', throwing(bare), /one, two/],
  ])('says of %s what the ledger is told', async (_, handler, said) => {
    const { message } = await workOne(handler);
    expect(message).toMatch(said);
    expect(lines).toEqual([
      `jobledger worker w1: attempt 1 of job a (resize) failed, the job is whatever: ${message as string}`,
    ]);
  });

  it('leaves it to a listener, which is given an error for a result too', async () => {
    const told: unknown[] = [];
    await workOne(() => 10n, 'fail', { failed: (...all: unknown[]) => told.push(all[2]) });
    expect(told).toEqual([expect.any(TypeError)]);
    expect(lines).toEqual([]);
  });
});

describe('the detail of a failure', () => {
  it('has the causes, each with its stack', async () => {
    const inner = new RangeError('inner', { cause: 'a word' });
    const stack = await stackWith(new Error('outer', { cause: inner }));
    expect(stack).toMatch(/^Error: outer\n +at .*\ncaused by: RangeError: inner\n +at .*\ncaused by: a word$/s);
  });

  it('has the errors of an AggregateError', async () => {
    const stack = await stackWith(new AggregateError([new Error('one'), new TypeError('two')], 'both'));
    expect(stack).toMatch(
      /^AggregateError: both\n.*\nerror 1 of 2: Error: one\n +at .*\nerror 2 of 2: TypeError: two\n/s,
    );
  });

  it('ends at the fifth cause', async () => {
    let error: Error | undefined;
    for (const name of ['1', '2', '3', '4', '5', '6', '7']) {
      error = Object.assign(new Error(name, { cause: error }), { stack: name });
    }
    expect(await stackWith(error)).toBe(['7', '6', '5', '4', '3', '2'].join('\ncaused by: '));
  });

  it('is as long as it may be, whatever is underneath', async () => {
    const error = new AggregateError([]);
    error.stack = 'all';
    error.errors = Array<Error>(10_000).fill(error);
    error.cause = error;
    expect((await stackWith(error)).length).toBe(8_000);
  });

  it.each<[unknown, string | undefined]>([
    [23505, '23505'],
    ['ECONNREFUSED', 'ECONNREFUSED'],
    ['', undefined],
    [{}, undefined],
    [null, undefined],
  ])('has the code %j of an error as text, if a code can be that', async (code, kept) => {
    const { detail, code: name } = await failWith(Object.assign(new Error('refused'), { code }));
    expect(name).toBe('Error');
    expect((detail as { code?: string }).code).toBe(kept);
  });
});

describe('what is of another type than it should be', () => {
  it.each<[unknown, string]>([
    [23505, '23505'],
    ['', 'RangeError'],
    [{}, 'RangeError'],
    ['xy'.repeat(61), 'xy'.repeat(60)],
  ])('does no harm as the code of a NonRetryableError: %j', async (code, told) => {
    const body = await failWith(new NonRetryableError('no', { code: code as string, cause: new RangeError('r') }));
    expect(body).toMatchObject({ code: told, message: 'no', retryable: false });
  });

  it('does no harm as the reason of a ReleaseError', async () => {
    const body = await workOne(() => Promise.reject(new ReleaseError(5 as unknown as string)), 'release');
    expect(body.reason).toBe('5');
  });

  it('does no harm when it cannot be read', async () => {
    const unreadable = new Error('x');
    Object.defineProperty(unreadable, 'message', {
      get: () => {
        throw new Error('no');
      },
    });
    expect(await failWith(unreadable)).toMatchObject({ message: 'what was thrown cannot be read' });
  });
});
