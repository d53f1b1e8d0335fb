import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ClockOffset } from '../../src/leases/clock-offset.js';

/** The database's clock is at 1,000,000 ms when the monotonic one is at 0, unless a test sets it. */
const read = (before: number, answered: number, after: number, base = 1_000_000) => ({
  before,
  databaseMs: base + answered,
  after,
});

describe('the time of the database', () => {
  it('is not known before it was read once', () => {
    expect(() => new ClockOffset().at(0)).toThrow('before it was started');
  });

  it('is behind by the way back of the fastest answer, and one slow trip moves nothing', () => {
    const offset = new ClockOffset();
    offset.add(read(0, 9, 10));
    expect(offset.at(20)).toBe(1_000_019);
    offset.add(read(1_000, 1_400, 4_000));
    expect(offset.at(4_010)).toBe(1_004_009);
    offset.add(read(5_000, 5_000, 5_000));
    expect(offset.at(5_010)).toBe(1_005_010);
  });

  it('forgets the best reading when it is old, without going back', () => {
    const offset = new ClockOffset();
    offset.add(read(0, 0, 0));
    expect(offset.at(100)).toBe(1_000_100);
    for (let n = 1; n <= 10; n += 1) offset.add(read(100, 100, 105));
    expect(offset.at(102)).toBe(1_000_100);
    expect(offset.at(110)).toBe(1_000_105);
  });

  it('stands still while the database catches up with a small step back, and follows a large one', () => {
    const offset = new ClockOffset();
    offset.add(read(0, 0, 0));
    expect(offset.at(1_000)).toBe(1_001_000);
    offset.add(read(1_000, 1_000, 1_000, 999_500));
    expect([1_100, 1_500, 1_600].map((at) => offset.at(at))).toEqual([1_001_000, 1_001_000, 1_001_100]);
    offset.add(read(2_000, 2_000, 2_000, 900_000));
    expect(offset.at(2_000)).toBe(902_000);
  });

  it('follows a step ahead at once', () => {
    const offset = new ClockOffset();
    offset.add(read(0, 0, 0));
    offset.add(read(1_000, 1_000, 1_100, 5_000_000));
    expect(offset.at(1_100)).toBe(5_001_000);
  });

  it('is never ahead of it, and never falls, however long each way takes', () => {
    const ways = fc.array(fc.tuple(fc.nat(5_000), fc.nat(5_000), fc.nat(1_000)), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(ways, (trips) => {
        const offset = new ClockOffset();
        let monotonic = 0;
        let last = 0;
        for (const [there, back, pause] of trips) {
          offset.add(read(monotonic, monotonic + there, monotonic + there + back));
          monotonic += there + back;
          expect(offset.at(monotonic)).toBeLessThanOrEqual(1_000_000 + monotonic);
          expect(offset.at(monotonic)).toBeGreaterThanOrEqual(last);
          last = offset.at(monotonic);
          monotonic += pause;
        }
      }),
    );
  });
});
