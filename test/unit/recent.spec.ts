import { describe, expect, it } from '@jest/globals';
import { Recent } from '../../src/event-store/recent.js';

const filled = (capacity: number, count: number): Recent<number, string> => {
  const recent = new Recent<number, string>(capacity);
  for (let key = 0; key < count; key += 1) recent.set(key, `value ${key}`);
  return recent;
};

const kept = (recent: Recent<number, string>, count: number): readonly number[] =>
  Array.from({ length: count }, (_, key) => key).filter((key) => recent.has(key));

describe('Recent', () => {
  it('keeps at least half of its capacity, those set last, and never more than all of it', () => {
    for (let count = 1; count <= 40; count += 1) {
      const left = kept(filled(10, count), count);
      expect(left.length).toBeGreaterThanOrEqual(Math.min(count, 5));
      expect(left.length).toBeLessThanOrEqual(10);
      expect(left).toEqual(Array.from({ length: left.length }, (_, index) => count - left.length + index));
    }
  });

  it('keeps what is asked for', () => {
    const recent = filled(10, 1);
    for (let key = 1; key < 100; key += 1) {
      recent.set(key, `value ${key}`);
      expect(recent.get(0)).toBe('value 0');
    }
  });

  it('gives what was set last, and nothing after a delete, in whichever generation it was', () => {
    const recent = filled(10, 7);
    recent.set(0, 'again');
    expect(recent.get(0)).toBe('again');
    for (const key of [0, 6]) {
      recent.delete(key);
      expect(recent.get(key)).toBeUndefined();
      expect(recent.has(key)).toBe(false);
    }
  });
});
