/** The position of an answer is never older than what its caller may have seen. */
import { describe, expect, it } from '@jest/globals';
import { Freshness } from '../../src/api/freshness.js';
import type { EventStore } from '../../src/event-store/event-store.js';

/** A log whose heads are answered one by one, by hand. */
const slowLog = () => {
  const asked: ((position: string | Error) => void)[] = [];
  const head = () =>
    new Promise((resolve, reject) => {
      asked.push((position) => {
        if (position instanceof Error) reject(position);
        else resolve({ position, hash: '', at: null });
      });
    });
  const freshness = new Freshness({ head } as unknown as EventStore, undefined as never, undefined as never);
  return { asked, freshness };
};

/** All that is ready to go on has gone on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the head of the log', () => {
  it('is read once for all who ask before the read begins', async () => {
    const { asked, freshness } = slowLog();
    const heads = Promise.all([freshness.head(), freshness.head()]);
    await settled();
    expect(asked).toHaveLength(1);
    asked[0]!('7');
    expect(await heads).toEqual(['7', '7']);
  });

  it('is read again for who asks later: the read under way may be from before what they have seen', async () => {
    const { asked, freshness } = slowLog();
    const early = freshness.head();
    await settled();
    const late = [freshness.head(), freshness.notBeyondHead('8', 'after')];
    asked[0]!('7');
    expect(await early).toBe('7');
    await settled();
    expect(asked).toHaveLength(2);
    asked[1]!('8');
    expect(await Promise.all(late)).toEqual(['8', '8']);
  });

  it('is read again after a read that failed', async () => {
    const { asked, freshness } = slowLog();
    const failing = freshness.head();
    await settled();
    const later = freshness.head();
    asked[0]!(new Error('away'));
    await expect(failing).rejects.toThrow('away');
    await settled();
    asked[1]!('9');
    expect(await later).toBe('9');
  });

  it('refuses a position beyond it by name', async () => {
    const { asked, freshness } = slowLog();
    const refused = freshness.notBeyondHead('10', 'after');
    await settled();
    asked[0]!('9');
    await expect(refused).rejects.toThrow();
  });
});
