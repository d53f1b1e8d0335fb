import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type CursorKey, decodeCursor, encodeCursor } from '../../src/api/list-cursor.js';

const list = {
  list: 'jobs',
  sort: '-createdAt',
  filter: { status: ['queued', 'running'], type: ['a'], queue: undefined },
};
const key = ['2026-01-01T00:00:00.000Z', '0190a000-0000-7000-8000-00000000000f'] as const;
const anyKey = (_key: CursorKey): _key is CursorKey => true;
const isTimeAndId = (given: CursorKey): given is readonly [string, string] =>
  given.length === 2 && given.every((part) => typeof part === 'string');
const refusal = expect.objectContaining({
  code: 'validation_failed',
  errors: [expect.objectContaining({ path: 'cursor' })],
});

describe('a cursor', () => {
  it('gives back the key it was made of, for the same list', () => {
    expect(decodeCursor(list, encodeCursor(list, key), isTimeAndId)).toEqual(key);
  });

  it('does not mind how the filter was written', () => {
    const same = { filter: { type: ['a'], status: ['running', 'queued'] }, sort: '-createdAt', list: 'jobs' };
    expect(decodeCursor(same, encodeCursor(list, key), isTimeAndId)).toEqual(key);
  });

  it.each([
    { ...list, sort: 'createdAt' },
    { ...list, list: 'dead-letters' },
    { ...list, filter: { ...list.filter, status: ['queued'] } },
    { ...list, filter: { ...list.filter, queue: ['q'] } },
    { ...list, filter: { ...list.filter, status: ['a'], type: ['queued', 'running'] } },
  ])('belongs to its filter and sort: not to %j', (other) => {
    expect(() => decodeCursor(other, encodeCursor(list, key), anyKey)).toThrow(refusal);
  });

  it.each([
    '',
    'x',
    'nonsense',
    'e30',
    'WzFd',
    'W10',
    '%%%',
    'bnVsbA',
    'x'.repeat(5_000),
    `${encodeCursor(list, key)}=`,
  ])('that is none is refused: %j', (text) => {
    expect(() => decodeCursor(list, text, anyKey)).toThrow(refusal);
  });

  it('with a key of another kind is refused', () => {
    expect(() => decodeCursor(list, encodeCursor(list, [5, 'id']), isTimeAndId)).toThrow(refusal);
    expect(() => decodeCursor(list, encodeCursor(list, ['t']), isTimeAndId)).toThrow(refusal);
  });

  it('changed anywhere is refused, or is one of the same list; never a fault', () => {
    const cursor = encodeCursor(list, key);
    const letters = fc.constantFrom('A', 'Z', 'a', 'z', '0', '9', '-', '_');
    fc.assert(
      fc.property(fc.nat(cursor.length - 1), letters, (at, letter) => {
        const changed = cursor.slice(0, at) + letter + cursor.slice(at + 1);
        try {
          expect(decodeCursor(list, changed, isTimeAndId)).toHaveLength(2);
        } catch (error) {
          expect(error).toEqual(refusal);
        }
      }),
    );
  });
});
