/**
 * The write path, claims, heartbeats and the reaper as they are, on a simulated database, network and clock, with
 * seeded faults (`test/simulation`). A failure names its seed, and the seed fails again.
 */
import { FIXED_SEED } from '../support/seeds.js';
import { randomInt } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { runSchedule } from '../simulation/schedule.js';

/** One schedule: `SIM_SEED=123`. So many from a seed on, or from a random one: `SIM_SCHEDULES=50000`. */
const { SIM_SEED: seed, SIM_SCHEDULES: schedules, CI: ci } = process.env;
const count = Number(schedules ?? (seed === undefined ? (ci === undefined ? 1_500 : 400) : 1));
/** In CI the same each time, so fewer: a landing is not decided by chance. */
const anySeed = (): number => (ci === undefined ? randomInt(1_000_000_000) : FIXED_SEED);
const firstSeed = seed === undefined ? anySeed() : Number(seed);
/** Lines of a failed schedule's trace; one alone shows all of them. */
const lines = count === 1 ? Infinity : 120;

describe('a simulated installation', () => {
  it(
    `keeps every promise in ${count} schedules from seed ${firstSeed} on`,
    async () => {
      let events = 0;
      for (let nth = 0; nth < count; nth += 1) events += (await runSchedule(firstSeed + nth, lines)).events;
      expect(events).toBeGreaterThan(0);
    },
    60_000 + count * 60,
  );
});
