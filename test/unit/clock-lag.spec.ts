/** A database whose clock was set back: told once, until it has caught up with what is recorded. */
import { describe, expect, it } from '@jest/globals';
import { ClockLag } from '../../src/leases/clock-lag.js';

const NOON = Date.parse('2026-01-01T12:00:00.000Z');

const watched = () => {
  const world = { nowMs: NOON, headMs: NOON as number | null, isSampled: true, knownMs: NOON };
  const told: string[] = [];
  const lag = new ClockLag(
    () => Promise.resolve({ at: world.headMs === null ? null : new Date(world.headMs).toISOString() }),
    {
      now: () => world.knownMs,
      sample: () => Promise.resolve(void (world.knownMs = world.nowMs)),
    },
    { fellBehind: (lagMs) => told.push(`behind ${lagMs}`), caughtUp: () => told.push('caught up') },
  );
  const look = (over: Partial<typeof world>) => (Object.assign(world, over), lag.look());
  return { look, told };
};

describe('the clock of the database', () => {
  it('is behind the log by more than two seconds, or not at all', async () => {
    const { look, told } = watched();
    expect(await look({ headMs: null })).toBe(0);
    expect(await look({ headMs: NOON + 2_000 })).toBe(0);
    expect(await look({ headMs: NOON + 2_001 })).toBe(2_001);
    expect(told).toEqual(['behind 2001']);
  });

  it('is told of once when it fell behind, and once when it has caught up', async () => {
    const { look, told } = watched();
    const back = NOON - 3_600_000;
    for (const knownMs of [back, back + 1_000, back + 2_000]) await look({ nowMs: knownMs, knownMs });
    await look({ nowMs: NOON, knownMs: NOON });
    await look({});
    expect(told).toEqual(['behind 3600000', 'caught up']);
  });

  it('is measured again before it is said to be behind: what is known of it may be older than a step forwards', async () => {
    const { look, told } = watched();
    expect(await look({ headMs: NOON + 3_600_000, nowMs: NOON + 3_600_000 })).toBe(0);
    expect(told).toEqual([]);
  });

  it('is held to the latest time that was seen, where later events may have an earlier one', async () => {
    const { look } = watched();
    await look({});
    const back = NOON - 10_000;
    expect(await look({ headMs: back, nowMs: back, knownMs: back })).toBe(10_000);
  });
});
