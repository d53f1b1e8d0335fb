/** Commands that go together: against a server that spoils, loses and refuses whole requests and single commands. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  JobledgerClient,
  OutcomeUnknownError,
  StaleLeaseError,
  ValidationError,
  type BatchOptions,
} from '../../src/client/client.js';
import { FakeClock } from '../support/fake-clock.js';
import { answer, loseAnswer, neverAnswer, problem, type Reply, ScriptedLedger } from '../support/scripted-ledger.js';

const TOGETHER = 'POST /v1/commands';
const idOf = (n: number): string => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;
const alone = (n: number, name = 'cancel'): string => `POST /v1/jobs/${idOf(n)}/${name}`;
const beat = { leaseExpiresAt: 'x', directive: 'continue' };
interface Sent {
  readonly command: string;
  readonly jobId: string;
  readonly commandId: string;
}
const sentIn = (body: Record<string, unknown>): readonly Sent[] => body['commands'] as readonly Sent[];

/** Answers each command with its own job, unless it is refused. */
const each =
  (refused: Readonly<Record<string, object>> = {}): Reply =>
  (response, request) => {
    const results = sentIn(request.body).map(({ command, jobId }) => {
      const found = refused[jobId] as { status: number } | undefined;
      return found === undefined
        ? { status: 200, answer: command === 'heartbeat' ? beat : { jobId } }
        : { status: found.status, problem: found };
    });
    answer({ results })(response, request);
  };

let ledger: ScriptedLedger;
let clock: FakeClock;
const connect = (batch: BatchOptions = {}): JobledgerClient =>
  new JobledgerClient({ baseUrl: ledger.url, clock, batch });
const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => new Error('did not fail'),
    (error: unknown) => error,
  );
const numbers = (from: number, count: number): number[] => Array.from({ length: count }, (_, n) => from + n);
const cancelAll = (client: JobledgerClient, ids: readonly number[]) => ids.map((n) => client.cancel(idOf(n)));
const sizes = (): number[] =>
  ledger.requests.filter(({ path }) => path === '/v1/commands').map(({ body }) => sentIn(body).length);

beforeEach(async () => {
  ledger = await ScriptedLedger.start();
  clock = new FakeClock();
});
afterEach(() => ledger.close());

describe('commands that are on their way together', () => {
  it('go in one request, each with its key, and each has its own answer', async () => {
    ledger.script(TOGETHER, each());
    const client = connect();
    const calls = [
      client.cancel(idOf(1), { reason: 'r' }, { idempotencyKey: 'mine' }),
      client.start(idOf(2)),
      client.heartbeat(idOf(3), { leaseToken: 't' }),
    ];
    expect(await Promise.all(calls)).toEqual([{ jobId: idOf(1) }, { jobId: idOf(2) }, beat]);
    expect(ledger.requests.map(({ body }) => body)).toEqual([
      {
        commands: [
          { command: 'cancel', jobId: idOf(1), commandId: 'mine', reason: 'r' },
          { command: 'start', jobId: idOf(2), commandId: expect.any(String) },
          { command: 'heartbeat', jobId: idOf(3), leaseToken: 't' },
        ],
      },
    ]);
  });

  it('are at most as many as allowed, in as many requests as allowed; the others wait for the next', async () => {
    const hold: (() => void)[] = [];
    ledger.script(TOGETHER, (response, request) => hold.push(() => each()(response, request)));
    const calls = cancelAll(connect({ maxCommands: 3, maxRequests: 2 }), numbers(0, 10));
    await ledger.received(TOGETHER, 2);
    expect(sizes()).toEqual([3, 3]);
    hold[0]!();
    await Promise.all(calls.slice(0, 3));
    await ledger.received(TOGETHER, 3);
    expect(sizes()).toEqual([3, 3, 3]);
    ledger.script(alone(9), answer({ jobId: idOf(9) }));
    hold[1]!();
    hold[2]!();
    await Promise.all(calls);
    expect(ledger.calls.filter((call) => call === alone(9))).toHaveLength(1);
  });

  it('are not those with a revision, an odd key or an odd id: they go alone, as one does that is by itself', async () => {
    for (const [n, path] of [alone(1), alone(2), 'POST /v1/jobs/x/cancel', alone(4)].entries()) {
      ledger.script(path, answer({ jobId: `${n}` }));
    }
    const client = connect();
    const calls = [
      client.cancel(idOf(1), {}, { ifMatch: 3 }),
      client.cancel(idOf(2), {}, { idempotencyKey: 'a key' }),
      client.cancel('x'),
      client.cancel(idOf(4)),
    ];
    expect(await Promise.all(calls)).toEqual(['0', '1', '2', '3'].map((jobId) => ({ jobId })));
    expect(ledger.calls).not.toContain(TOGETHER);
  });
});

describe('one that is refused', () => {
  it('has the error of its own call, and harms no other', async () => {
    const base = { type: 'about:blank', title: 't' };
    const stale = { ...base, status: 409, code: 'stale_lease', detail: 'd', run: 2 };
    const path = 'commands[2].result';
    const errors = [{ path, message: `${path} must be JSON` }];
    const invalid = { ...base, status: 400, code: 'validation_failed', detail: `${path} must be JSON`, errors };
    ledger.script(TOGETHER, each({ [idOf(2)]: stale, [idOf(3)]: invalid }));
    const [one, two, three] = cancelAll(connect(), [1, 2, 3]);
    expect(await one).toEqual({ jobId: idOf(1) });
    const refusals = [await failure(two!), await failure(three!)] as [StaleLeaseError, ValidationError];
    expect(refusals[0]).toBeInstanceOf(StaleLeaseError);
    expect(refusals[0].problem.run).toBe(2);
    expect(refusals[1]).toBeInstanceOf(ValidationError);
    expect(refusals[1].problem).toMatchObject({
      detail: 'result must be JSON',
      errors: [{ path: 'result', message: 'result must be JSON' }],
    });
  });

  it('is turned away and repeated by itself, under its key', async () => {
    const busy = { type: 'about:blank', title: 't', status: 503, code: 'unavailable', detail: 'd' };
    ledger.script(TOGETHER, each({ [idOf(2)]: busy }));
    ledger.script(alone(2), answer({ jobId: idOf(2) }));
    const calls = cancelAll(connect(), [1, 2]);
    expect(await calls[0]).toEqual({ jobId: idOf(1) });
    await clock.elapse(100);
    await calls[1];
    const [first, second] = ledger.requests;
    expect(second!.headers['idempotency-key']).toBe(sentIn(first!.body)[1]!.commandId);
  });

  it.each([
    ['spoils the request', problem(400, 'validation_failed')],
    ['makes it too large', problem(413, 'payload_too_large')],
    ['is sent to a ledger without the call', problem(501, 'not_implemented')],
  ])('is told alone when it %s', async (_, refusal) => {
    ledger.script(TOGETHER, refusal);
    ledger.script(alone(1), answer({ jobId: idOf(1) }));
    ledger.script(alone(2), problem(400, 'validation_failed'));
    const [one, two] = cancelAll(connect(), [1, 2]);
    expect(await one).toEqual({ jobId: idOf(1) });
    expect(await failure(two!)).toBeInstanceOf(ValidationError);
    const keys = ledger.requests.slice(1).map(({ headers }) => headers['idempotency-key']);
    expect(keys.sort()).toEqual(
      sentIn(ledger.requests[0]!.body)
        .map(({ commandId }) => commandId)
        .sort(),
    );
  });

  it('before it is sent is refused before it is sent', async () => {
    ledger.script(alone(2), answer({ jobId: idOf(2) }));
    const client = connect();
    const calls = [client.retry(idOf(1), { payload: 1n }), client.cancel(idOf(2))];
    expect(await failure(calls[0]!)).toBeInstanceOf(TypeError);
    expect(await calls[1]).toEqual({ jobId: idOf(2) });
  });
});

describe('a request whose answer is lost', () => {
  it.each([
    ['is cut off', loseAnswer],
    ['is of another length', answer({ results: [] })],
    ['is no object', answer(null)],
  ])('because it %s is repeated with the same keys', async (_, reply) => {
    ledger.script(TOGETHER, reply, each());
    for (const n of [1, 2]) ledger.script(alone(n), answer({ jobId: idOf(n) }));
    const calls = cancelAll(connect(), [1, 2]);
    await clock.elapse(100);
    expect(await Promise.all(calls)).toEqual([{ jobId: idOf(1) }, { jobId: idOf(2) }]);
    const keysOf = (index: number): unknown[] => {
      const { body, headers } = ledger.requests[index]!;
      return 'commands' in body ? sentIn(body).map(({ commandId }) => commandId) : [headers['idempotency-key']];
    };
    const again = numbers(1, ledger.requests.length - 1).flatMap(keysOf);
    expect(again.sort()).toEqual(keysOf(0).sort());
  });

  it('leaves each with its own deadline', async () => {
    ledger.script(TOGETHER, neverAnswer);
    ledger.script(alone(2), answer({ jobId: idOf(2) }));
    const client = connect();
    const calls = [
      client.cancel(idOf(1), {}, { deadlineMs: 0, timeoutMs: 1_000, idempotencyKey: 'k' }),
      client.cancel(idOf(2), {}, { timeoutMs: 5_000 }),
    ];
    await ledger.received(TOGETHER);
    await clock.elapse(1_000);
    expect(await failure(calls[0]!)).toBeInstanceOf(OutcomeUnknownError);
    await clock.elapse(5_000);
    await clock.elapse(100);
    expect(await calls[1]).toEqual({ jobId: idOf(2) });
    await ledger.hungUp(TOGETHER);
  });
});

it('one that nobody waits for any more leaves the others alone, also where it has not gone out yet', async () => {
  const hold: (() => void)[] = [];
  ledger.script(TOGETHER, (response, request) => hold.push(() => each()(response, request)));
  const client = connect({ maxRequests: 1, maxCommands: 2 });
  const abort = new AbortController();
  const { signal } = abort;
  const gone = new Error('gone');
  const calls = [
    client.cancel(idOf(1), {}, { signal }),
    client.cancel(idOf(2)),
    client.cancel(idOf(3), {}, { signal }),
    client.cancel(idOf(4)),
    client.cancel(idOf(5)),
  ];
  await ledger.received(TOGETHER);
  abort.abort(gone);
  expect([await failure(calls[0]!), await failure(calls[2]!)]).toEqual([gone, gone]);
  hold[0]!();
  expect(await calls[1]).toEqual({ jobId: idOf(2) });
  await ledger.received(TOGETHER, 2);
  hold[1]!();
  expect(await Promise.all(calls.slice(3))).toEqual([{ jobId: idOf(4) }, { jobId: idOf(5) }]);
});

it.each([
  ['batch.maxCommands', { maxCommands: 1_001 }],
  ['batch.maxRequests', { maxRequests: 0 }],
  ['maxComands', { maxComands: 5 }],
])('a wrong %s is refused by name', (name, batch) => {
  expect(() => connect(batch as BatchOptions)).toThrow(name);
  expect(() => connect(batch as BatchOptions)).toThrow(RangeError);
});
