/** Beats whose lease somebody holds locked for a moment wait beside the others, and count among those that wait. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Overloaded } from '../../src/commands/errors.js';
import { Heartbeats } from '../../src/commands/heartbeats.js';
import type { Beat, Leases, Renewed } from '../../src/leases/leases.js';

const beat: Beat = { jobId: '00000000-0000-7000-8000-000000000000', run: 1, attempt: 1, leaseMs: null };

describe('a beat whose lease is locked', () => {
  let answers: (Renewed | 'locked' | null)[][];
  let heartbeats: Heartbeats;
  beforeEach(() => {
    jest.useFakeTimers();
    answers = [['locked'], [null]];
    const leases: Partial<Leases> = { renew: () => Promise.resolve(answers.shift() ?? []) };
    heartbeats = new Heartbeats(leases as Leases, 1);
  });
  afterEach(() => void jest.useRealTimers());

  it('is tried again, and answered by what came of that', async () => {
    const beaten = heartbeats.beat(beat);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await beaten).toBeNull();
    expect(answers).toEqual([]);
  });

  it('still waits, so no more are taken than may wait', async () => {
    const beaten = heartbeats.beat(beat);
    // Its first answer has come, and it is tried again later.
    await jest.advanceTimersByTimeAsync(0);
    expect(answers).toHaveLength(1);
    await expect(heartbeats.beat(beat)).rejects.toThrow(Overloaded);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await beaten).toBeNull();
    answers.push([null]);
    expect(await heartbeats.beat(beat)).toBeNull();
  });
});
