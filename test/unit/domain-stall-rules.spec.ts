/** When each rule is due, which is judged first, what it does, and the evidence it leaves. */
import { describe, expect, it } from '@jest/globals';
import type { Rule } from '../../src/domain/job-events.js';
import { mergePolicy, PRESETS, type PolicyOverrides } from '../../src/domain/policy.js';
import { dueRule, nextDeadline } from '../../src/domain/stall-rules.js';
import { ask, at, given, reap, START, type Situation } from '../support/given.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

type Times = Parameters<typeof reap>[0];

const deadlineOf = (situation: Situation, times: Times, policy: PolicyOverrides = {}): [Rule, number] | null => {
  const deadline = nextDeadline(situation.job, reap(times).clocks, mergePolicy(PRESETS.protea, policy));
  return deadline === null ? null : [deadline.rule, deadline.at - START];
};

const ruleAt = (situation: Situation, times: Times, now: number, policy: PolicyOverrides = {}): Rule | null =>
  dueRule(situation.job, reap(times).clocks, mergePolicy(PRESETS.protea, policy), START + now);

/** Claimed and started at 1 s. */
const running = given('running');
const CLAIMED_AT = 1_000;
const alive = { leaseExpiresAt: 90 * DAY };

describe('a lease', () => {
  const policy = { timeoutMs: 0, stallMs: 0 };

  it('is lost strictly after its expiry', () => {
    const times = { leaseExpiresAt: 10_000 };
    expect(ruleAt(running, times, 10_000, policy)).toBeNull();
    expect(ruleAt(running, times, 10_001, policy)).toBe('lease_expired');
  });

  it('bounds a claimed job too', () => {
    expect(ruleAt(given('claimed'), { leaseExpiresAt: 10_000 }, 10_001, policy)).toBe('lease_expired');
    expect(deadlineOf(given('claimed'), { leaseExpiresAt: 10_000 }, policy)).toEqual(['lease_expired', 10_000]);
  });

  it('that is lost goes back to the queue with the worker and the evidence', () => {
    const { events } = given('running').when(
      reap({ leaseExpiresAt: 121_000, lastBeatAt: 1_000, lastActivityAt: 1_500 }),
      { now: 121_001 },
    );
    expect(events).toEqual([
      {
        type: 'LeaseExpired',
        data: {
          workerId: 'w-1',
          lostLeases: 1,
          evidence: {
            rule: 'lease_expired',
            ruleVersion: 1,
            thresholds: { leaseMs: 120_000, maxLostLeases: 3 },
            lastActivityAt: at(1_500),
            lastActivityPosition: '7',
            lastBeatAt: at(1_000),
            observedAt: at(121_001),
            revision: 3,
          },
        },
      },
      { type: 'JobQueued', data: { reason: 'lease_expired' } },
    ]);
  });

  it('that was of a length of its own is told by that length, not by that of the policy', () => {
    given('running')
      .when(reap({ leaseExpiresAt: 9_000, lastBeatAt: 1_000, lastActivityAt: 1_000 }), { now: 9_001 })
      .then([{ type: 'LeaseExpired', data: { evidence: { thresholds: { leaseMs: 8_000 } } } }, 'JobQueued']);
  });
});

describe('work that does not move', () => {
  const due = (policy: PolicyOverrides, times: Times, now: number): boolean =>
    ruleAt(running, { ...alive, ...times }, now, policy) === 'stalled';

  it('is stalled when it is both older than timeoutMs since its claim and silent for stallMs, strictly', () => {
    const policy = { timeoutMs: 10_000, stallMs: 2_000 };
    expect(due(policy, { lastActivityAt: 5_000 }, CLAIMED_AT + 10_000)).toBe(false);
    expect(due(policy, { lastActivityAt: 5_000 }, CLAIMED_AT + 10_001)).toBe(true);
    expect(due(policy, { lastActivityAt: 10_500 }, 12_500)).toBe(false);
    expect(due(policy, { lastActivityAt: 10_500 }, 12_501)).toBe(true);
  });

  it('is judged by silence alone without a timeout', () => {
    const policy = { timeoutMs: 0, stallMs: 2_000 };
    expect(due(policy, { lastActivityAt: 5_000 }, 7_000)).toBe(false);
    expect(due(policy, { lastActivityAt: 5_000 }, 7_001)).toBe(true);
  });

  it('is judged by age alone without a stall limit, however lively', () => {
    const policy = { timeoutMs: 10_000, stallMs: 0 };
    expect(due(policy, { lastActivityAt: 11_000 }, CLAIMED_AT + 10_000)).toBe(false);
    expect(due(policy, { lastActivityAt: 11_000 }, CLAIMED_AT + 10_001)).toBe(true);
  });

  it('is never stalled without both; its lease bounds it', () => {
    const policy = { timeoutMs: 0, stallMs: 0 };
    expect(due(policy, { lastActivityAt: 0 }, 80 * DAY)).toBe(false);
    expect(deadlineOf(running, { leaseExpiresAt: 9_000 }, policy)).toEqual(['lease_expired', 9_000]);
  });

  it('has the age of its attempt, not of its job', () => {
    const second = given([ask.create, ask.claim, ask.release, ask.claim]);
    const policy = { timeoutMs: 10_000, stallMs: 0 };
    expect(ruleAt(second, alive, 13_000, policy)).toBeNull();
    expect(ruleAt(second, alive, 13_001, policy)).toBe('stalled');
  });

  it('is judged before the lease where both are due', () => {
    const policy = { timeoutMs: 0, stallMs: 1_000 };
    expect(ruleAt(running, { leaseExpiresAt: 2_000, lastActivityAt: 1_000 }, 2_001, policy)).toBe('stalled');
    expect(ruleAt(running, { leaseExpiresAt: 2_000, lastActivityAt: 1_500 }, 2_400, policy)).toBe('lease_expired');
    expect(deadlineOf(running, { leaseExpiresAt: 1_500, lastActivityAt: 1_000 }, policy)).toEqual([
      'lease_expired',
      1_500,
    ]);
  });

  it('bounds a claimed job that is never started', () => {
    expect(ruleAt(given('claimed'), alive, 2_001, { timeoutMs: 0, stallMs: 2_000 })).toBe('stalled');
  });

  it('fails with both thresholds in the message', () => {
    const policy = { timeoutMs: 10_000, stallMs: 2_000 };
    given('running', policy)
      .when(reap({ ...alive, lastActivityAt: 1_000 }), { now: 20_000 })
      .then(
        [
          {
            type: 'JobTimedOut',
            data: {
              rule: 'stalled',
              error: { code: 'JobTimeout', message: expect.stringMatching(/\b2000 ms\b.*\b10000 ms\b/), detail: null },
              evidence: { rule: 'stalled', thresholds: { timeoutMs: 10_000, stallMs: 2_000 }, observedAt: at(20_000) },
            },
          },
        ],
        'failed',
      )
      .withJob({ failures: [expect.objectContaining({ run: 1, attempt: 1, code: 'JobTimeout' }) as never] });
  });

  it('is cancelled where the policy says so, as forced and stale, with evidence', () => {
    given('running', { timeoutMs: 0, stallMs: 2_000, onStale: 'cancel' })
      .when(reap(alive), { now: 20_000 })
      .then(
        [
          {
            type: 'JobCancelled',
            data: { reason: 'stale', forced: true, rule: 'stalled', evidence: { rule: 'stalled', revision: 3 } },
          },
        ],
        'cancelled',
      );
  });

  it('is requeued where the policy says so, and the failure does not blame the lease', () => {
    const code = 'LeaseExpired';
    const message = 'worker w-1 lost the job, which stalled: no activity in 2000 ms (started >0 ms ago)';
    given('running', { timeoutMs: 0, stallMs: 2_000, onStale: 'requeue' })
      .when(reap(alive), { now: 20_000 })
      .then(
        [
          { type: 'LeaseExpired', data: { lostLeases: 1, evidence: { rule: 'stalled' } } },
          { type: 'JobQueued', data: { reason: 'stale' } },
        ],
        'queued',
      )
      .withJob({
        error: { code, message, detail: null },
        failures: [expect.objectContaining({ code, message }) as never],
      });
  });

  it('is judged with the policy in force when the rule fires, and the evidence says which', () => {
    const job = given('running', { timeoutMs: 0, stallMs: HOUR });
    job.when(reap(alive), { now: MINUTE }).then([]);
    job
      .when(reap(alive), { now: MINUTE, policy: { stallMs: 5_000 } })
      .then([{ type: 'JobTimedOut', data: { evidence: { thresholds: { timeoutMs: 0, stallMs: 5_000 } } } }]);
  });
});

describe('a worker that says it waits', () => {
  const policy = { timeoutMs: 0, stallMs: 2_000, waitLimitMs: 60_000 };
  /** Said at 2 s. */
  const says = (state: string): Situation => given([ask.create, ask.claim, { ...ask.beat, state }]);

  it('counts as working for at most waitLimitMs while its lease lives', () => {
    const times = { ...alive, lastActivityAt: 2_000 };
    expect(ruleAt(says('waiting'), times, 64_000, policy)).toBeNull();
    expect(ruleAt(says('waiting'), times, 64_001, policy)).toBe('stalled');
    expect(ruleAt(says('waiting-for-login'), times, 64_000, policy)).toBeNull();
  });

  it('counts as working only when its state begins so', () => {
    const times = { ...alive, lastActivityAt: 2_000 };
    expect(ruleAt(says('loading'), times, 4_001, policy)).toBe('stalled');
    expect(ruleAt(says('not waiting'), times, 4_001, policy)).toBe('stalled');
  });

  it('counts as working no longer once its lease has lapsed: its silence begins there', () => {
    const times = { leaseExpiresAt: 10_000, lastActivityAt: 2_000 };
    expect(ruleAt(says('waiting'), times, 10_001, policy)).toBe('lease_expired');
    expect(ruleAt(says('waiting'), times, 12_000, policy)).toBe('lease_expired');
    expect(ruleAt(says('waiting'), times, 12_001, policy)).toBe('stalled');
    expect(deadlineOf(says('waiting'), times, policy)).toEqual(['lease_expired', 10_000]);
  });

  it('is silent from its last work where that is later', () => {
    const times = { ...alive, lastActivityAt: 70_000 };
    expect(ruleAt(says('waiting'), times, 72_000, policy)).toBeNull();
    expect(ruleAt(says('waiting'), times, 72_001, policy)).toBe('stalled');
  });

  it('is not younger for it where age alone decides', () => {
    expect(ruleAt(says('waiting'), alive, 11_001, { timeoutMs: 10_000, stallMs: 0 })).toBe('stalled');
  });

  it('works again when it says something else', () => {
    const again = says('waiting').after({ ...ask.beat, state: 'loading' });
    expect(ruleAt(again, { ...alive, lastActivityAt: 3_000 }, 5_001, policy)).toBe('stalled');
  });
});

describe('a waiting job', () => {
  /** Waits from 2 s. */
  const until = (instant: string | null): Situation => given([ask.create, ask.claim, { ...ask.wait, until: instant }]);

  it('expires after waitLimitMs, strictly', () => {
    expect(deadlineOf(until(null), {})).toEqual(['wait_expired', 2_000 + 7 * DAY]);
    expect(ruleAt(until(null), {}, 2_000 + 7 * DAY)).toBeNull();
    expect(ruleAt(until(null), {}, 2_001 + 7 * DAY)).toBe('wait_expired');
  });

  it('expires at `until`, at the latest after waitLimitMs', () => {
    expect(deadlineOf(until(at(60_000)), {})).toEqual(['wait_expired', 60_000]);
    expect(deadlineOf(until(at(30 * DAY)), {})).toEqual(['wait_expired', 2_000 + 7 * DAY]);
  });

  it('has clocks that stand still: neither age nor silence ends it', () => {
    expect(ruleAt(until(null), { lastActivityAt: 0 }, 6 * DAY, { timeoutMs: 1_000, stallMs: 1_000 })).toBeNull();
  });

  it('times out with one failure, and is no dead letter', () => {
    until(at(60_000))
      .when(reap(), { now: 60_001 })
      .then(
        [
          {
            type: 'JobTimedOut',
            data: {
              rule: 'wait_expired',
              error: { code: 'WaitExpired' },
              evidence: { rule: 'wait_expired', thresholds: { waitLimitMs: 7 * DAY }, lastBeatAt: null },
            },
          },
        ],
        'failed',
      )
      .withJob({
        failures: [expect.objectContaining({ code: 'WaitExpired', attempt: 1 }) as never],
        deadLettered: false,
      });
  });

  it('that was held in its queue is bounded too', () => {
    expect(deadlineOf(given('queued').after(ask.hold), {})).toEqual(['wait_expired', 1_000 + 7 * DAY]);
  });
});

describe('a cancelling job', () => {
  /** Cancel asked at 2 s. */
  const cancelling = given('cancelling');
  const limit = 2_000 + 5 * MINUTE;

  it('has the earlier of the cancel limit and its lease as deadline', () => {
    expect(deadlineOf(cancelling, { leaseExpiresAt: 9_000 })).toEqual(['lease_expired', 9_000]);
    expect(deadlineOf(cancelling, { leaseExpiresAt: HOUR })).toEqual(['cancel_forced', limit]);
  });

  it('is cancelled by force after the limit, strictly, while its worker still beats', () => {
    expect(ruleAt(cancelling, alive, limit)).toBeNull();
    given([ask.create, ask.claim, { ...ask.cancel, reason: 'obsolete' }])
      .when(reap({ ...alive, lastBeatAt: limit }), { now: limit + 1 })
      .then(
        [
          {
            type: 'JobCancelled',
            data: {
              reason: 'obsolete',
              forced: true,
              rule: 'cancel_forced',
              evidence: { rule: 'cancel_forced', thresholds: { cancelLimitMs: 5 * MINUTE }, lastBeatAt: at(limit) },
            },
          },
        ],
        'cancelled',
      );
  });

  it('is cancelled at once when its lease lapses, and loses no lease by it', () => {
    given('cancelling')
      .when(reap({ leaseExpiresAt: 9_000 }), { now: 9_001 })
      .then([{ type: 'JobCancelled', data: { forced: true, rule: 'lease_expired' } }], 'cancelled')
      .withJob({ lostLeases: 0, failures: [], error: null });
  });

  it('does not stall: cancel holds', () => {
    expect(ruleAt(cancelling, { ...alive, lastActivityAt: 0 }, limit, { timeoutMs: 100, stallMs: 100 })).toBeNull();
  });

  it('has its limit from the first cancel: asking again does not move it', () => {
    expect(deadlineOf(given('cancelling').after(ask.cancel), { leaseExpiresAt: HOUR })).toEqual([
      'cancel_forced',
      limit,
    ]);
  });
});

describe('a scheduled job', () => {
  it('is moved at its time, not only after it', () => {
    expect(ruleAt(given('scheduled'), {}, HOUR - 1)).toBeNull();
    given('scheduled')
      .when(reap(), { now: HOUR })
      .then([{ type: 'JobQueued', data: { reason: 'due' } }], 'queued');
    expect(deadlineOf(given('scheduled'), {})).toEqual(['due', HOUR]);
  });
});

describe('a finalizing job', () => {
  it('is bounded by finalizeLimitMs since it entered', () => {
    expect(deadlineOf(given('finalizing'), {})).toEqual(['finalize_expired', 2_000 + 15 * MINUTE]);
  });
});

describe('what no rule bounds', () => {
  it.each(['created', 'blocked', 'queued', 'completed', 'failed', 'cancelled'] as const)(
    'has no deadline, and the reaper does nothing: %s',
    (status) => {
      expect(deadlineOf(given(status), { leaseExpiresAt: 0 })).toBeNull();
      given(status)
        .when(reap({ leaseExpiresAt: 0 }), { now: 3_000 * DAY })
        .then([], status);
    },
  );
});

describe('a job that lives', () => {
  it('is left alone by the reaper', () => {
    for (const status of ['claimed', 'running', 'cancelling', 'waiting', 'scheduled'] as const) {
      given(status)
        .when(reap({ leaseExpiresAt: MINUTE, lastActivityAt: 3_000 }), { now: 4_000 })
        .then([], status);
    }
  });
});
