/** What a worker does while a handler runs: beats, checkpoints, progress, logs, and losing the lease. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JobledgerClient, StaleLeaseError, Worker } from '../../src/client/client.js';
import type { AttemptContext, Handler, WorkerOptions } from '../../src/client/client.js';
import { FakeClock } from '../support/fake-clock.js';
import { ScriptedLedger, answer, loseAnswer, neverAnswer, problem } from '../support/scripted-ledger.js';
import { BEAT_MS, BEAT_TIMEOUT_MS, CLAIM, acceptAll, beatAnswer, claimedJob, claims } from '../support/worked-job.js';

const BEAT = 'POST /v1/jobs/a/heartbeat';
const PROGRESS = 'POST /v1/jobs/a/progress';
const COMPLETE = 'POST /v1/jobs/a/complete';
const RELEASE = 'POST /v1/jobs/a/release';
const stale = problem(409, 'stale_lease');

let ledger: ScriptedLedger;
let clock: FakeClock;
let worker: Worker;
let errors: unknown[];
let told: string[];
/** Ends the handler. */
let finish: (result: unknown) => void;
const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): unknown => unhandled.push(reason);

beforeEach(async () => {
  ledger = await ScriptedLedger.start();
  clock = new FakeClock();
  errors = [];
  told = [];
  acceptAll(ledger, 'a');
  process.on('unhandledRejection', onUnhandled);
});
afterEach(async () => {
  await worker.stop();
  await ledger.close();
  await new Promise(setImmediate);
  process.off('unhandledRejection', onUnhandled);
  expect(unhandled.splice(0)).toEqual([]);
});

it('a handler that ignores its signal holds its slot: it is told', async () => {
  ledger.script(BEAT, stale).script(CLAIM, claims(claimedJob('a')), neverAnswer);
  let end: (result: unknown) => void = () => undefined;
  const held: number[][] = [];
  worker = new Worker({
    client: new JobledgerClient({ baseUrl: ledger.url, clock }),
    workerId: 'w1',
    handler: () => new Promise((resolve) => (end = resolve)),
    listeners: { leaseLost: () => told.push('lost'), slotsHeld: (...counts) => held.push(counts) },
  });
  worker.start();
  await clock.elapse(BEAT_MS);
  await clock.elapse(5_000);
  expect(held).toEqual([[1, 1]]);
  expect(told).toEqual(['lost']);
  end('late');
  await ledger.received(CLAIM, 2);
});

/** A handler that runs until `finish`, or throws its signal's reason; what it was given. */
const hold = (checkpoint: unknown = null, options: Partial<WorkerOptions> = {}): Promise<AttemptContext> =>
  new Promise((resolve) => {
    ledger.script(CLAIM, claims(claimedJob('a', checkpoint)), neverAnswer);
    worker = new Worker({
      client: new JobledgerClient({ baseUrl: ledger.url, clock }),
      workerId: 'w1',
      handler: (_, context) => {
        resolve(context);
        return new Promise((done, reject) => {
          finish = done;
          context.signal.addEventListener('abort', () => reject(context.signal.reason as Error));
        });
      },
      listeners: {
        completed: () => told.push('completed'),
        handedBack: () => told.push('handed back'),
        cancelled: () => told.push('cancelled'),
        leaseLost: (_, cause) => told.push(`lost: ${(cause as Error).name}`),
        error: (error) => errors.push(error),
      },
      ...options,
    });
    worker.start();
  });
const end = async (): Promise<void> => {
  finish('done');
  await ledger.received(CLAIM, 2);
};
const bodies = (call: string): unknown[] =>
  ledger.requests
    .filter(({ method, path }) => `${method} ${path}` === call)
    .map(({ body: { leaseToken, ...rest } }) => {
      expect(leaseToken).toBe('token-a');
      return rest;
    });

describe('heartbeats', () => {
  it('go at a third of the lease, from the claim to the end', async () => {
    await hold();
    for (const nth of [1, 2, 3]) {
      await clock.elapse(BEAT_MS);
      await ledger.received(BEAT, nth);
    }
    await clock.waiting(BEAT_MS);
    await end();
    expect(bodies(BEAT)).toEqual([{}, {}, {}]);
    expect(ledger.calls.at(-2)).toBe(COMPLETE);
  });

  it.each([
    ['cancel', 'cancelled'],
    ['pause', 'handed back'],
  ])('that say %s abort the handler, and the attempt ends', async (directive, listener) => {
    ledger.script(BEAT, beatAnswer(directive));
    const { signal } = await hold();
    await clock.elapse(BEAT_MS);
    expect((await ledger.received(RELEASE)).body).toMatchObject({ reason: directive });
    await ledger.received(CLAIM, 2);
    expect(signal.reason).toMatchObject({ name: 'AttemptAbortedError', why: directive });
    expect(told).toEqual([listener]);
  });

  it('are told a result that came after a cancel: as cancelled, and on the console', async () => {
    const lines: string[] = [];
    const { warn } = console;
    console.warn = (line: string): unknown => lines.push(line);
    try {
      ledger.script(COMPLETE, answer({ jobId: 'a', status: 'cancelled', events: ['JobCancelled'] }));
      await hold();
      await end();
      expect(told).toEqual(['cancelled']);
      await worker.stop();
      await hold(null, { listeners: {} });
      await end();
      await worker.stop();
    } finally {
      console.warn = warn;
    }
    expect(lines).toEqual([
      'jobledger worker w1: job a (resize) was cancelled, attempt 1 did it: its history has the result',
    ]);
  });

  it('that fail are repeated with back-off, and the work goes on', async () => {
    ledger.script(BEAT, loseAnswer, problem(503, 'unavailable'), problem(500, 'internal'), beatAnswer());
    const { signal } = await hold();
    for (const ms of [BEAT_MS, 250, 500, 1_000]) await clock.elapse(ms);
    await ledger.received(BEAT, 4);
    await clock.waiting(BEAT_MS);
    await end();
    expect(signal.aborted).toBe(false);
    expect(errors).toMatchObject([{ name: 'UnreachableError' }, { code: 'unavailable' }, { code: 'internal' }]);
    expect(told).toEqual(['completed']);
  });

  it('under way are over before the end is told', async () => {
    let endedAt = 0;
    ledger.script(BEAT, neverAnswer).script(COMPLETE, (response, request) => {
      endedAt = clock.now();
      answer({ jobId: 'a' })(response, request);
    });
    await hold();
    await clock.elapse(BEAT_MS);
    await ledger.received(BEAT);
    finish('done');
    // Time enough for an end that does not wait.
    await fetch(`${ledger.url}/health/ready`);
    await clock.elapse(BEAT_TIMEOUT_MS);
    await ledger.received(CLAIM, 2);
    expect(endedAt).toBe(BEAT_MS + BEAT_TIMEOUT_MS);
  });
});

describe('a lease', () => {
  it('that is another worker’s aborts the handler and no call follows', async () => {
    ledger.script(BEAT, stale);
    const { signal, progress } = await hold();
    await clock.elapse(BEAT_MS);
    await ledger.received(CLAIM, 2);
    expect(signal.reason).toMatchObject({ why: 'lease_lost', cause: expect.any(StaleLeaseError) });
    await expect(progress({ processed: 1 })).rejects.toThrow('the attempt has ended');
    expect(told).toEqual(['lost: StaleLeaseError']);
    expect(ledger.calls).toEqual([CLAIM, BEAT, CLAIM]);
  });

  it('is lost once, whichever call hears of it', async () => {
    ledger.script(PROGRESS, stale).script(BEAT, stale);
    const { progress, checkpoint } = await hold();
    const calls = await Promise.allSettled([progress({ processed: 1 }), checkpoint(1)]);
    expect(calls.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await ledger.received(CLAIM, 2);
    expect(told).toEqual(['lost: StaleLeaseError']);
  });

  it('lost at the very end is told too', async () => {
    ledger.script(COMPLETE, stale);
    await hold();
    await end();
    expect(told).toEqual(['lost: StaleLeaseError']);
    expect(errors).toEqual([]);
  });

  it('is taken for lost when nothing was heard for a whole one, and the job is given back if it can be', async () => {
    ledger.script(BEAT, loseAnswer);
    const { signal } = await hold();
    for (const ms of [BEAT_MS, 250, 500, 1_000, 2_000, 4_000, 8_000]) await clock.elapse(ms);
    // 27,750 ms since the claim: the next try is the last.
    await clock.waiting(8_250);
    expect(signal.aborted).toBe(false);
    clock.advance(8_250);
    expect((await ledger.received(RELEASE)).body).toMatchObject({ reason: 'lease_lost' });
    await ledger.received(CLAIM, 2);
    expect(signal.reason).toMatchObject({ why: 'lease_lost' });
    expect(told).toEqual(['lost: UnreachableError', 'handed back']);
  });

  /** A handler that has to finish what it began, whatever its signal says; and the ledger is away for longer than a lease. */
  const lapseUnheard = async (): Promise<AttemptContext> => {
    ledger.script(BEAT, loseAnswer).script(CLAIM, claims(claimedJob('a')), neverAnswer);
    const context = await new Promise<AttemptContext>((resolve) => {
      worker = new Worker({
        client: new JobledgerClient({ baseUrl: ledger.url, clock }),
        workerId: 'w1',
        handler: (_, given) => {
          resolve(given);
          return new Promise((done) => (finish = done));
        },
        listeners: {
          completed: () => told.push('completed'),
          leaseLost: (_, cause) => told.push(`lost: ${(cause as Error).name}`),
          error: () => undefined,
        },
      });
      worker.start();
    });
    for (const ms of [BEAT_MS, 250, 500, 1_000, 2_000, 4_000, 8_000, 8_250]) await clock.elapse(ms);
    await clock.waiting(BEAT_MS);
    expect(told).toEqual(['lost: UnreachableError']);
    return context;
  };

  it('is beaten for while its handler runs, also when nothing was heard for a whole one: the ledger may have been away', async () => {
    const { checkpoint, signal } = await lapseUnheard();
    expect(signal.aborted).toBe(true);
    await expect(checkpoint(1)).rejects.toThrow('no answer');
    ledger.script(BEAT, beatAnswer());
    const beats = ledger.calls.filter((call) => call === BEAT).length;
    await clock.elapse(BEAT_MS);
    await ledger.received(BEAT, beats + 1);
    await clock.waiting(BEAT_MS);
    await checkpoint(2);
    await end();
    expect(told).toEqual(['lost: UnreachableError', 'completed']);
  });

  it('that turns out to be another’s then is told once, and no call follows', async () => {
    await lapseUnheard();
    ledger.script(BEAT, stale);
    const beats = ledger.calls.filter((call) => call === BEAT).length;
    await clock.elapse(BEAT_MS);
    await ledger.received(BEAT, beats + 1);
    // It was read when the next claim is made, of which the end of the handler is the cause.
    await end();
    expect(told).toEqual(['lost: UnreachableError']);
    expect(ledger.calls.filter((call) => call === COMPLETE)).toEqual([]);
  });

  it('that lapsed unseen is beaten for before it is given up', async () => {
    const { signal } = await hold();
    await clock.waiting(BEAT_MS);
    clock.jump(60_000);
    await ledger.received(BEAT);
    await clock.waiting(BEAT_MS);
    await end();
    expect(signal.aborted).toBe(false);
    expect(told).toEqual(['completed']);
  });
});

describe('progress', () => {
  it('has a batch of its own each time, repeated under the same one', async () => {
    ledger.script(PROGRESS, loseAnswer, answer({ jobId: 'a' }));
    const { progress } = await hold();
    const first = progress({ processed: 2, failed: 1 });
    await clock.elapse(100);
    await first;
    await progress({ current: 5, batchId: 'mine' });
    await progress({ current: 6 });
    await end();
    const counted = { batchId: 'auto-1', processed: 2, failed: 1 };
    expect(bodies(PROGRESS)).toEqual([
      counted,
      counted,
      { batchId: 'mine', current: 5 },
      { batchId: 'auto-3', current: 6 },
    ]);
  });

  /** Between the tries of a call that is sent again and again: 6.3 s, and then 5 s each. */
  const pauses = (long: number): readonly number[] => [
    ...[100, 200, 400, 800, 1_600, 3_200],
    ...Array<number>(long).fill(5_000),
  ];

  it('is told through an outage that its lease outlasts', async () => {
    const outage = pauses(11);
    ledger.script(BEAT, loseAnswer).script(PROGRESS, ...outage.map(() => loseAnswer), answer({ jobId: 'a' }));
    const { progress, signal } = await hold(null, { leaseMs: 120_000 });
    const told = progress({ processed: 1 });
    for (const ms of outage) await clock.elapse(ms);
    await told;
    expect(signal.aborted).toBe(false);
    await end();
  });

  it('that is told nothing for longer fails when the handler is called off, and costs the job no attempt', async () => {
    ledger
      .script(BEAT, loseAnswer)
      .script(PROGRESS, loseAnswer)
      .script(CLAIM, claims(claimedJob('a')), neverAnswer);
    let wasAborted = false;
    const handler: Handler = async (_, { progress, signal }) => {
      try {
        await progress({ processed: 1 });
      } finally {
        wasAborted = signal.aborted;
      }
    };
    const silent = () => undefined;
    const listeners = { error: silent, leaseLost: silent, slotsHeld: silent, unreachable: silent, reachable: silent };
    const client = new JobledgerClient({ baseUrl: ledger.url, clock });
    worker = new Worker({ client, workerId: 'w1', handler, listeners, leaseMs: 60_000 });
    worker.start();
    for (const ms of pauses(16)) await clock.elapse(ms);
    expect((await ledger.received(RELEASE)).body).toMatchObject({ reason: 'lease_lost' });
    expect(wasAborted).toBe(true);
  });

  it('that nobody awaits is delivered before the end, and told when it fails', async () => {
    ledger.script(PROGRESS, problem(400, 'validation_failed'), answer({ jobId: 'a' }));
    const { progress } = await hold();
    void progress({ processed: -1 });
    void progress({ processed: 1 });
    await end();
    expect(errors).toMatchObject([{ code: 'validation_failed' }]);
    expect(ledger.calls).toEqual([CLAIM, PROGRESS, PROGRESS, COMPLETE, CLAIM]);
  });
});

describe('a checkpoint', () => {
  it('is given to the next attempt', async () => {
    const { lastCheckpoint } = await hold({ page: 3 });
    await end();
    expect(lastCheckpoint).toEqual({ page: 3 });
  });

  it('is saved at once, and while one is being saved only the latest waits', async () => {
    const { checkpoint, setState } = await hold();
    await Promise.all([checkpoint(1), checkpoint(2), setState('waiting for a GPU'), checkpoint(3)].map(passTime));
    expect(bodies(BEAT)).toEqual([{ checkpoint: 1 }, { checkpoint: 3, state: 'waiting for a GPU' }]);
    await end();
  });

  it('that could not be saved goes with the next beat that can', async () => {
    ledger.script(BEAT, loseAnswer, beatAnswer());
    const { checkpoint } = await hold();
    const saved = checkpoint('x');
    await clock.elapse(250);
    await saved;
    await end();
    expect(bodies(BEAT)).toEqual([{ checkpoint: 'x' }, { checkpoint: 'x' }]);
  });

  it('that is refused is told, and beats go on without it', async () => {
    ledger.script(BEAT, problem(413, 'payload_too_large'), beatAnswer());
    const { checkpoint } = await hold();
    await expect(checkpoint('huge')).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(errors).toMatchObject([{ code: 'payload_too_large' }]);
    await clock.elapse(250);
    await ledger.received(BEAT, 2);
    await end();
    expect(bodies(BEAT)).toEqual([{ checkpoint: 'huge' }, {}]);
    expect(told).toEqual(['completed']);
  });

  it('that nobody awaits is saved before the end', async () => {
    const { checkpoint } = await hold();
    void checkpoint(1);
    void checkpoint(2);
    await end();
    expect(bodies(BEAT)).toEqual([{ checkpoint: 1 }, { checkpoint: 2 }]);
    expect(ledger.calls.at(-2)).toBe(COMPLETE);
  });

  it('that cannot be saved does not hold up the end', async () => {
    ledger.script(BEAT, loseAnswer);
    const { checkpoint } = await hold();
    const saved = checkpoint(1);
    await clock.waiting(250);
    await end();
    await expect(saved).rejects.toThrow('ended before this was saved');
    expect(ledger.calls.slice(1, -1)).toEqual([BEAT, BEAT, COMPLETE]);
    await expect(checkpoint(2)).rejects.toThrow('the attempt has ended');
  });
});

describe('the log', () => {
  const LOGS = 'POST /v1/jobs/a/logs';

  it('is sent a second after its first line, and at the end', async () => {
    const { log } = await hold();
    log('info', 'one');
    log('warn', '', { n: 1 });
    await clock.elapse(1_000);
    await ledger.received(LOGS);
    log('error', 'three', { big: 1n });
    await end();
    const at = expect.any(String);
    expect(bodies(LOGS)).toEqual([
      {
        lines: [
          { level: 'info', message: 'one', at },
          { level: 'warn', message: '(empty)', fields: { n: 1 }, at },
        ],
      },
      { lines: [{ level: 'error', message: 'three', fields: { unserialisable: expect.any(String) }, at }] },
    ]);
  });

  it('never grows without bound, and says what it dropped', async () => {
    ledger.script(LOGS, neverAnswer, answer({ jobId: 'a' }));
    const { log } = await hold();
    for (let line = 0; line < 1_000; line += 1) log('debug', 'a call of them');
    await ledger.received(LOGS);
    for (let line = 0; line < 10_007; line += 1) log('debug', 'too many');
    clock.advance(2_000);
    finish('done');
    for (const ms of [8_000, 100]) clock.advance(ms);
    await ledger.received(COMPLETE);
    const sent = bodies(LOGS) as { lines: { message: string }[] }[];
    const lines = sent.slice(-10).flatMap((call) => call.lines);
    expect(lines).toHaveLength(10_000);
    expect(lines.filter(({ message }) => message.startsWith('8 log lines dropped'))).toHaveLength(1);
  });

  it('that cannot be delivered harms nothing', async () => {
    ledger.script(LOGS, problem(403, 'forbidden'));
    const { log } = await hold();
    log('info', 'one');
    await end();
    expect(errors).toMatchObject([{ code: 'forbidden' }]);
    expect(told).toEqual(['completed']);
  });
});

/** What waits for no time at all. */
const passTime = async (call: Promise<void>): Promise<void> => {
  void clock.elapse(0);
  await call;
};
