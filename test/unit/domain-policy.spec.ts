/** The policy in force: presets, merging, ranges, and the retry delay that comes of it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import {
  effectivePolicy,
  mergePolicy,
  POLICY_FIELDS,
  PRESETS,
  type Policy,
  type PresetName,
} from '../../src/domain/policy.js';
import { retryDelayMs, throttleDelayMs } from '../../src/domain/retry-delay.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const retry = (initialMs: number, maxMs: number) => ({ initialMs, factor: 2, maxMs, jitter: 0.2 });

/** The table of the HTTP contract, column by column. */
const TABLE: Readonly<Record<PresetName, Policy>> = {
  protea: {
    leaseMs: 2 * MINUTE,
    timeoutMs: 6 * HOUR,
    stallMs: 30 * MINUTE,
    onStale: 'fail',
    maxLostLeases: 3,
    maxAttempts: 3,
    retry: retry(SECOND, 10 * MINUTE),
    maxThrottles: 100,
    completion: { minSuccessRatio: 0, comparator: '>' },
    itemTimeoutMs: 15 * MINUTE,
    finalizeLimitMs: 15 * MINUTE,
    waitLimitMs: 7 * DAY,
    cancelLimitMs: 5 * MINUTE,
    createdAlertMs: 24 * HOUR,
    queuedAlertMs: 5 * MINUTE,
    claimedAlertMs: 10 * MINUTE,
    runningAlertMs: 30 * MINUTE,
    onChildFailure: 'continue',
  },
  antenna: {
    leaseMs: 5 * MINUTE,
    timeoutMs: 0,
    stallMs: 10 * MINUTE,
    onStale: 'cancel',
    maxLostLeases: 3,
    maxAttempts: 5,
    retry: retry(SECOND, 15 * SECOND),
    maxThrottles: 100,
    completion: { minSuccessRatio: 0.5, comparator: '>=' },
    itemTimeoutMs: 10 * MINUTE,
    finalizeLimitMs: 10 * MINUTE,
    waitLimitMs: 7 * DAY,
    cancelLimitMs: 5 * MINUTE,
    createdAlertMs: 24 * HOUR,
    queuedAlertMs: 5 * MINUTE,
    claimedAlertMs: 10 * MINUTE,
    runningAlertMs: 10 * MINUTE,
    onChildFailure: 'continue',
  },
  beacon: {
    leaseMs: 10 * MINUTE,
    timeoutMs: 15 * MINUTE,
    stallMs: 0,
    onStale: 'fail',
    maxLostLeases: 3,
    maxAttempts: 3,
    retry: retry(MINUTE, 10 * MINUTE),
    maxThrottles: 100,
    completion: { minSuccessRatio: 0.67, comparator: '>=' },
    itemTimeoutMs: 15 * MINUTE,
    finalizeLimitMs: 15 * MINUTE,
    waitLimitMs: 7 * DAY,
    cancelLimitMs: 5 * MINUTE,
    createdAlertMs: 24 * HOUR,
    queuedAlertMs: 5 * MINUTE,
    claimedAlertMs: 10 * MINUTE,
    runningAlertMs: 30 * MINUTE,
    onChildFailure: 'continue',
  },
};

const PRESET_NAMES = Object.keys(TABLE) as PresetName[];

/** `retry.factor` of a policy. */
const valueAt = (policy: Policy, path: string): unknown =>
  path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], policy);

const leaves = (value: object, prefix = ''): string[] =>
  Object.entries(value).flatMap(([key, inner]: [string, unknown]) =>
    typeof inner === 'object' && inner !== null ? leaves(inner, `${prefix}${key}.`) : [`${prefix}${key}`],
  );

/** As the tables in README write a value. */
const written = (value: unknown): string => {
  if (typeof value !== 'number' || value < 1_000) return String(value);
  const [unit, size] =
    value % DAY === 0
      ? ['d', DAY]
      : value % HOUR === 0
        ? ['h', HOUR]
        : value % MINUTE === 0
          ? ['min', MINUTE]
          : ['s', 1_000];
  return `${value / size} ${unit}`;
};

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

describe('in README', () => {
  it('stands the table of presets as they are', () => {
    const [, table = ''] = /<!-- presets: start -->(.+?)<!-- presets: end -->/s.exec(readme) ?? [];
    const rows = [...table.matchAll(/^\| `([\w.]+)` +\| (.+?) +\| (.+?) +\| (.+?) +\|$/gm)];
    expect(rows.length).toBeGreaterThan(5);
    for (const [, path = '', ...cells] of rows) {
      expect([path, ...cells]).toEqual([path, ...PRESET_NAMES.map((name) => written(valueAt(PRESETS[name], path)))]);
    }
  });

  it('stands every field of a policy with its default, or as one that nothing reads', () => {
    const [, table = '', unread = ''] =
      /<!-- policy: start -->(.+?)<!-- policy: end -->\s+(.+?)\n\n/s.exec(readme) ?? [];
    const rows = [...table.matchAll(/^\| `([\w.]+)` +\| (.+?) +\| .+ \|$/gm)].map(([, path = '', value]) => [
      path,
      value,
    ]);
    const isUnread = (path: string): boolean =>
      path.endsWith('AlertMs') ? unread.includes('`…AlertMs`') : unread.includes(`\`${path.split('.')[0]}\``);
    const read = Object.keys(POLICY_FIELDS).filter((path) => !isUnread(path));
    expect(rows).toEqual(read.map((path) => [path, written(valueAt(PRESETS.protea, path))]));
  });
});

describe('a preset', () => {
  it.each(PRESET_NAMES)('%s has the values of the contract', (name) => {
    expect(PRESETS[name]).toEqual(TABLE[name]);
  });

  it.each(PRESET_NAMES)('%s is within the ranges of its own fields', (name) => {
    for (const [path, rule] of Object.entries(POLICY_FIELDS)) {
      const value = valueAt(PRESETS[name], path);
      if (rule.kind === 'choice') expect(rule.choices).toContain(value);
      else if (rule.kind === 'duration' && rule.zeroAllowed && value === 0) continue;
      else {
        expect(value).toBeGreaterThanOrEqual(rule.min);
        expect(value).toBeLessThanOrEqual(rule.max);
      }
    }
  });

  it('has every field that may be set, and no other', () => {
    expect(leaves(PRESETS.protea).sort()).toEqual(Object.keys(POLICY_FIELDS).sort());
  });
});

describe('the policy in force', () => {
  const configured = mergePolicy(PRESETS.protea, { stallMs: 5_000, retry: { factor: 3 } });

  it('is the configured one where the job says nothing', () => {
    expect(effectivePolicy(configured, {})).toEqual({
      ...PRESETS.protea,
      stallMs: 5_000,
      retry: { ...PRESETS.protea.retry, factor: 3 },
    });
  });

  it('is nearer from the preset than from the configuration, and nearest from the job’s own policy', () => {
    expect(effectivePolicy(configured, { preset: 'beacon' })).toEqual(PRESETS.beacon);
    expect(effectivePolicy(configured, { preset: 'beacon', policy: { stallMs: 7_000 } })).toEqual({
      ...PRESETS.beacon,
      stallMs: 7_000,
    });
  });

  it('merges nested fields one by one', () => {
    const policy = effectivePolicy(configured, {
      policy: { retry: { maxMs: 9_000 }, completion: { comparator: '>=' } },
    });
    expect(policy.retry).toEqual({ initialMs: 1_000, factor: 3, maxMs: 9_000, jitter: 0.2 });
    expect(policy.completion).toEqual({ minSuccessRatio: 0, comparator: '>=' });
  });

  it('takes zero for a value: it is not “unset”', () => {
    expect(effectivePolicy(configured, { policy: { timeoutMs: 0, stallMs: 0, retry: { jitter: 0 } } })).toMatchObject({
      timeoutMs: 0,
      stallMs: 0,
      retry: { jitter: 0 },
    });
  });

  it('lets maxAttempts of create win over any policy', () => {
    const policy = effectivePolicy(configured, { preset: 'antenna', policy: { maxAttempts: 9 }, maxAttempts: 2 });
    expect(policy.maxAttempts).toBe(2);
  });

  it('leaves what it merges untouched', () => {
    const before = JSON.stringify(PRESETS);
    effectivePolicy(PRESETS.protea, {
      preset: 'beacon',
      policy: { retry: { factor: 9 }, completion: { minSuccessRatio: 1 } },
    });
    expect(JSON.stringify(PRESETS)).toBe(before);
  });
});

describe('the retry delay', () => {
  const policy = { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 0.2 };

  it.each([
    [1, 1_000],
    [2, 2_000],
    [3, 4_000],
    [6, 32_000],
    [7, 60_000],
    [100, 60_000],
  ])('after failure %d is %d ms when chance takes nothing off', (failedAttempts, delay) => {
    expect(retryDelayMs(policy, failedAttempts, 0)).toBe(delay);
  });

  it('is shortened after the cap, by at most the jitter', () => {
    expect(retryDelayMs(policy, 1, 0.5)).toBe(900);
    expect(retryDelayMs(policy, 100, 0.5)).toBe(54_000);
    expect(retryDelayMs({ ...policy, jitter: 1 }, 3, 0.999_999)).toBeGreaterThanOrEqual(0);
    expect(retryDelayMs({ ...policy, jitter: 0 }, 3, 0.999_999)).toBe(4_000);
  });

  it('is constant with factor 1 and finite with the largest', () => {
    expect(retryDelayMs({ ...policy, factor: 1 }, 50, 0)).toBe(1_000);
    expect(retryDelayMs({ ...policy, factor: 100 }, 100, 0)).toBe(60_000);
    expect(retryDelayMs({ ...policy, factor: 1.5 }, 2, 0.1)).toBe(1_470);
  });
});

describe('the delay of a throttle by base', () => {
  it.each([
    [1_000, 0, 1_000],
    [1_000, 1, 2_000],
    [1_000, 9, 512_000],
    [1_000, 10, 600_000],
    [1_000, 1_000_000, 600_000],
    [900_000, 0, 600_000],
    [0, 5_000, 0],
  ])('of %d ms after %d throttles is %d ms', (baseMs, before, delay) => {
    expect(throttleDelayMs(baseMs, before)).toBe(delay);
  });
});
