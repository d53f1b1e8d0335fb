/** What the reaper does beside its sweeps: each part by itself, and nobody waits for it. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { Housekeeping, type HousekeepingDependencies } from '../../src/reaper/housekeeping.js';

let done: string[];
let errors: unknown[];
let elapsed: number;
/** Ends the connections. */
let cut: (() => void) | undefined;
beforeEach(() => {
  [done, errors, elapsed, cut] = [[], [], 0, undefined];
});

type Part = () => Promise<unknown>;
const housekeeping = (parts: {
  readonly rows?: Part;
  readonly answers?: Part;
  readonly hints?: Part;
}): Housekeeping => {
  const part = (name: 'rows' | 'answers' | 'hints') => {
    done.push(name);
    return parts[name]?.() ?? Promise.resolve([]);
  };
  const on = {
    rows: { withoutLease: () => part('rows') },
    leases: { seed: () => Promise.resolve() },
    answers: { purge: () => part('answers') },
    forgetHints: () => part('hints'),
    end: () => Promise.resolve(cut?.()),
    onError: (error: unknown) => errors.push(error),
  };
  return new Housekeeping(on as unknown as HousekeepingDependencies, 1_000, () => elapsed);
};
const ALL = ['rows', 'answers', 'hints'];

describe('housekeeping', () => {
  it('does every part, whatever fails, and says what did', async () => {
    const failed = new Error('canceling statement due to statement timeout');
    const house = housekeeping({ rows: () => Promise.reject(failed) });
    await house.begin();
    expect([done, errors]).toEqual([ALL, [failed]]);
  });

  it('rests for a minute, or twenty times what it took', async () => {
    const house = housekeeping({ rows: () => Promise.resolve((elapsed += 10_000)).then(() => []) });
    await house.begin();
    expect(elapsed).toBe(10_000);
    elapsed += 199_999;
    await house.begin();
    expect(done).toEqual(ALL);
    elapsed += 1;
    await house.begin();
    expect(done).toEqual([...ALL, ...ALL]);

    elapsed = 0;
    done = [];
    const quick = housekeeping({});
    await quick.begin();
    elapsed += 59_999;
    await quick.begin();
    expect(done).toEqual(ALL);
    elapsed += 1;
    await quick.begin();
    expect(done).toEqual([...ALL, ...ALL]);
  });

  it('is begun once at a time, and breaks off when it is stopped', async () => {
    const house = housekeeping({
      rows: () => new Promise((_resolve, reject) => (cut = () => reject(new Error('Connection terminated')))),
    });
    const running = house.begin();
    elapsed += 100_000;
    void house.begin();
    expect(done).toEqual(['rows']);
    await house.stop();
    await running;
    expect([done, errors]).toEqual([['rows'], []]);
  });
});
