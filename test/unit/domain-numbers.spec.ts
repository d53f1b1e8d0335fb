/** `run`, `attempt`, `failedAttempts`, `lostLeases`, `throttles`: what raises them, what bounds them, what does not. */
import { describe, expect, it } from '@jest/globals';
import { ask, given, reap, type Situation, type Step } from '../support/given.js';

const HOUR = 3_600_000;

/** The same call, under the token of a later attempt. */
const asAttempt = <C extends { readonly token: unknown }>(command: C, attempt: number, run = 1): C => ({
  ...command,
  token: { run, attempt },
});

const lapsed = reap({ leaseExpiresAt: 0, lastActivityAt: 2 * HOUR });

/** Claims (when its time has come) and lets the attempt end with `ending`, `times` times. */
const repeat = (situation: Situation, times: number, ending: (attempt: number) => Step): Situation => {
  let current = situation;
  for (let i = 0; i < times; i++) {
    const due = current.job.availableAt === null ? undefined : Date.parse(current.job.availableAt);
    const now = due === undefined ? {} : { now: due - Date.parse(situation.job.createdAt) };
    current = current.when(ask.claim, now).situation;
    current = current.after(ending(current.job.attempt));
  }
  return current;
};

describe('attempt', () => {
  it('is 0 until the first claim', () => {
    given('queued').withJob({ run: 1, attempt: 0 });
    given('created').withJob({ run: 1, attempt: 0 });
  });

  it('rises by one at each claim, whatever ended the one before', () => {
    const endings: Step[] = [ask.release, ask.fail, ask.throttle, ask.requeue];
    for (const ending of endings) {
      const again = repeat(given('queued'), 1, () => ending);
      again.withJob({ attempt: 1 });
      repeat(again, 1, (attempt) => asAttempt(ask.release, attempt)).withJob({ attempt: 2 });
    }
    given([ask.create, ask.claim, ask.wait, ask.resume, ask.claim]).withJob({ attempt: 2, status: 'running' });
    given([ask.create, ask.claim])
      .when(lapsed, { now: 2 * HOUR })
      .then(['LeaseExpired', 'JobQueued'])
      .after(ask.claim)
      .withJob({ attempt: 2 });
  });

  it('rises at the claim, not at the start', () => {
    given('claimed').withJob({ attempt: 1 }).when(ask.startAsWorker).then(['JobStarted']).withJob({ attempt: 1 });
  });

  it('is 0 again in a new run, and so are the other numbers; the list of failures stays', () => {
    const dead = repeat(given('queued'), 3, (attempt) => asAttempt(ask.fail, attempt));
    dead.withJob({ status: 'failed', run: 1, attempt: 3, failedAttempts: 3 });
    const retried = dead.when(ask.retry).then(['JobRetried', 'JobQueued'], 'queued');
    retried.withJob({ run: 2, attempt: 0, failedAttempts: 0, lostLeases: 0, throttles: 0, deadLettered: false });
    expect(retried.job.failures.map(({ run, attempt }) => [run, attempt])).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
    ]);
  });
});

describe('failedAttempts', () => {
  it('is bounded by maxAttempts: the last one ends the run as a dead letter', () => {
    const second = repeat(given('queued'), 2, (attempt) => asAttempt(ask.fail, attempt));
    second.withJob({ status: 'scheduled', failedAttempts: 2, deadLettered: false });
    const third = second.when(ask.claim, { now: HOUR }).situation;
    third
      .when(asAttempt(ask.fail, 3))
      .then(
        [
          { type: 'AttemptFailed', data: { retryAt: null } },
          { type: 'JobFailed', data: { error: { code: 'E1' } } },
          { type: 'JobDeadLettered', data: { reason: 'attempts_exhausted' } },
        ],
        'failed',
      )
      .withJob({ failedAttempts: 3, deadLettered: true });
  });

  it('of one ends at once when maxAttempts is one', () => {
    given('running', { maxAttempts: 1 }).when(ask.fail).then(['AttemptFailed', 'JobFailed', 'JobDeadLettered']);
  });

  it('is judged by the policy in force when the attempt fails', () => {
    given('running', { maxAttempts: 1 })
      .when(ask.fail, { policy: { maxAttempts: 2 } })
      .then(['AttemptFailed', 'JobScheduled']);
  });

  it('ends the run at the first permanent failure', () => {
    given('running')
      .when(ask.failForGood)
      .then(['AttemptFailed', 'JobFailed', { type: 'JobDeadLettered', data: { reason: 'not_retryable' } }])
      .withJob({ failedAttempts: 1, deadLettered: true });
  });

  it('is not raised by release, throttle, wait, an operator or a lost lease', () => {
    const endings: Step[] = [ask.release, ask.throttle, ask.wait, ask.requeue];
    for (const ending of endings) repeat(given('queued'), 1, () => ending).withJob({ failedAttempts: 0, failures: [] });
    given('running')
      .when(lapsed, { now: 2 * HOUR })
      .situation.withJob({ failedAttempts: 0, lostLeases: 1 });
  });
});

describe('lostLeases', () => {
  const lose = (situation: Situation, times: number): Situation =>
    Array.from({ length: times }).reduce<Situation>((current) => {
      const claimed = current.after(ask.claim);
      const now = Date.parse(claimed.job.statusSince) - Date.parse(claimed.job.createdAt) + HOUR;
      return claimed.when(reap({ leaseExpiresAt: now - 1, lastActivityAt: now - 1 }), { now }).situation;
    }, situation);

  it('may reach maxLostLeases; the next one ends the run, and counts', () => {
    lose(given('queued'), 3).withJob({ status: 'queued', lostLeases: 3, deadLettered: false });
    const ended = lose(given('queued'), 4);
    ended.withJob({ status: 'failed', lostLeases: 4, attempt: 4, deadLettered: true });
    expect(ended.job.error).toMatchObject({ code: 'LeaseExpired' });
    expect(ended.log.slice(-3).map(({ type }) => type)).toEqual(['LeaseExpired', 'JobFailed', 'JobDeadLettered']);
    expect(ended.job.failures.map(({ attempt, code }) => [attempt, code])).toEqual(
      [1, 2, 3, 4].map((attempt) => [attempt, 'LeaseExpired']),
    );
  });

  it('of zero allowed ends at the first', () => {
    given('running', { maxLostLeases: 0 })
      .when(lapsed, { now: 2 * HOUR })
      .then([{ type: 'LeaseExpired', data: { lostLeases: 1, workerId: 'w-1' } }, 'JobFailed', 'JobDeadLettered']);
  });

  it('counts a stalled attempt that is requeued', () => {
    const policy = { onStale: 'requeue', maxLostLeases: 1, timeoutMs: 0, stallMs: 1_000 } as const;
    const silent = reap({ leaseExpiresAt: 9 * HOUR, lastActivityAt: 0 });
    const once = given('running', policy).when(silent, { now: HOUR });
    once
      .then(['LeaseExpired', { type: 'JobQueued', data: { reason: 'stale' } }], 'queued')
      .withJob({ lostLeases: 1 })
      .after(ask.claim)
      .when(silent, { now: 2 * HOUR })
      .then(['LeaseExpired', { type: 'JobFailed', data: { error: { code: 'LeaseExpired' } } }, 'JobDeadLettered'])
      .withJob({ lostLeases: 2, deadLettered: true });
  });
});

describe('throttles', () => {
  const throttled = (times: number, maxThrottles: number): Situation =>
    repeat(given('queued', { maxThrottles }), times, (attempt) => asAttempt(ask.throttle, attempt));

  it('may reach maxThrottles; the next one ends the run as a dead letter', () => {
    throttled(2, 2).withJob({ status: 'scheduled', throttles: 2 });
    const ended = throttled(3, 2).withJob({ status: 'failed', throttles: 3, failedAttempts: 0, deadLettered: true });
    expect(ended.job.error).toMatchObject({ code: 'ThrottleLimit' });
    expect(ended.log.slice(-3).map(({ type }) => type)).toEqual(['JobThrottled', 'JobFailed', 'JobDeadLettered']);
  });

  it('double a base with each throttle of the run, up to ten minutes', () => {
    const ended = repeat(given('queued'), 6, (attempt) => asAttempt(ask.throttleByBase, attempt));
    const delays = ended.log.flatMap((event) => (event.type === 'JobThrottled' ? [event.data.retryAfterMs] : []));
    expect(delays).toEqual([60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
  });

  it('say from when the job may be claimed again', () => {
    given('running')
      .when(ask.throttle, { now: 10_000 })
      .then([
        { type: 'JobThrottled', data: { retryAfterMs: 60_000, throttles: 1 } },
        { type: 'JobScheduled', data: { availableAt: '2026-01-01T00:01:10.000Z', reason: 'throttle' } },
      ])
      .withJob({ availableAt: '2026-01-01T00:01:10.000Z' });
  });
});

describe('revision', () => {
  it('counts the events of the job’s own stream from 0, facts apart', () => {
    const situation = given([ask.create, ask.claim, ask.report, ask.save, ask.complete]);
    expect(situation.facts).toHaveLength(1);
    expect(situation.job.revision).toBe(situation.log.length - 1);
    expect(given('created').job.revision).toBe(0);
  });
});

describe('error and failures', () => {
  it('keep the first error, the timeout and the second error, each with its time', () => {
    const e2 = { ...ask.fail, code: 'E2', message: 'second' };
    const first = given([ask.create, ask.claim, ask.fail]);
    const timedOut = first
      .after(ask.claim)
      .when(reap({ leaseExpiresAt: 9 * HOUR, lastActivityAt: 0 }), { now: 8 * HOUR })
      .then(['JobTimedOut'], 'failed');
    const again = timedOut
      .after(ask.retry)
      .after(ask.claim)
      .after(asAttempt(e2, 1, 2));
    expect(again.job.failures).toEqual([
      { run: 1, attempt: 1, code: 'E1', message: 'first', at: '2026-01-01T00:00:02.000Z' },
      { run: 1, attempt: 2, code: 'JobTimeout', message: expect.any(String), at: '2026-01-01T08:00:00.000Z' },
      { run: 2, attempt: 1, code: 'E2', message: 'second', at: '2026-01-01T08:00:03.000Z' },
    ]);
    expect(again.job.error).toMatchObject({ code: 'E2' });
  });

  it('name one failure for an attempt that failed and ended the run with it', () => {
    expect(given('running').when(ask.failForGood).situation.job.failures).toHaveLength(1);
    expect(given('running', { maxLostLeases: 0 }).when(lapsed, { now: 2 * HOUR }).situation.job.failures).toHaveLength(
      1,
    );
  });

  it('name the attempt that an operator ended while it ran, not one that had ended before', () => {
    given('running')
      .when(ask.forceFail)
      .situation.withJob({
        failures: [
          {
            run: 1,
            attempt: 1,
            code: 'ManualTimeout',
            message: 'Manually marked FAILED by operator',
            at: '2026-01-01T00:00:02.000Z',
          },
        ],
      });
    given('waiting').when(ask.forceFail).situation.withJob({ failures: [] });
    given('queued').when(ask.emergencyStop).situation.withJob({ failures: [] });
  });

  it('clear the current error when the job is claimed, completed or cancelled', () => {
    const failedOnce = given([ask.create, ask.claim, ask.fail]);
    expect(failedOnce.job.error).toMatchObject({ code: 'E1' });
    expect(failedOnce.after(ask.claim).job).toMatchObject({ error: null, failures: [{ code: 'E1' }] });
    expect(failedOnce.after(ask.cancel).job).toMatchObject({ error: null, failures: [{ code: 'E1' }] });
    const completed = failedOnce.after(ask.claim).after(asAttempt(ask.complete, 2));
    expect(completed.job).toMatchObject({ error: null, failures: [{ code: 'E1' }] });
  });

  it('are no dead letter after a timeout, a force-fail, an emergency-stop or a cancel', () => {
    const ends = [
      given('running').when(reap({ leaseExpiresAt: 9 * HOUR }), { now: 8 * HOUR }),
      given('waiting').when(reap(), { now: 8 * 24 * HOUR }),
      given('running').when(ask.forceFail),
      given('queued').when(ask.emergencyStop),
      given('queued').when(ask.cancel),
    ];
    for (const { events, situation } of ends) {
      expect(events).toHaveLength(1);
      situation.withJob({ deadLettered: false });
      expect(situation.job.finishedAt).not.toBeNull();
    }
  });
});
