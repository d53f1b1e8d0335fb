import { describe, expect, it } from '@jest/globals';
import { EVENT_TYPES, FORMAT, formatOf, upcast, versionOf, type Upcasters } from '../../src/domain/upcast.js';

/** A table as it might be in a few years. */
const TABLE: Upcasters = {
  Moved: [
    ({ to, ...rest }) => ({ ...rest, place: to! }),
    (data) => ({ ...data, place: { name: data['place']!, floor: null } }),
  ],
  Stayed: [],
};
const event = (type: string, version: number, data: object) => ({ type, version, data, position: '7' });

describe('an event of an older version', () => {
  it('becomes the current one, step by step', () => {
    const current = {
      type: 'Moved',
      version: 3,
      data: { by: 'w', place: { name: 'hall', floor: null } },
      position: '7',
    };
    expect(upcast(event('Moved', 1, { by: 'w', to: 'hall' }), TABLE)).toEqual(current);
    expect(upcast(event('Moved', 2, { by: 'w', place: 'hall' }), TABLE)).toEqual(current);
  });

  it('stays as it is stored', () => {
    const stored = event('Moved', 1, Object.freeze({ to: 'hall' }));
    upcast(Object.freeze(stored), TABLE);
    expect(stored).toEqual(event('Moved', 1, { to: 'hall' }));
  });
});

it('an event of the current version is handed on as it is', () => {
  const stored = event('Moved', 3, {});
  expect(upcast(stored, TABLE)).toBe(stored);
  expect(upcast(stored, TABLE)).toEqual(event('Moved', 3, {}));
});

it.each([
  ['Moved', 4],
  ['Moved', 0],
  ['Moved', -1],
  ['Moved', 1.5],
  ['Stayed', 2],
  ['Gone', 1],
  ['constructor', 1],
  ['__proto__', 0],
])('%s v%s cannot be read', (type, version) => {
  expect(upcast(event(type, version, {}), TABLE)).toBeUndefined();
});

it('the version that is written is one more than there are older ones; 0 of a type that is not known', () => {
  expect(['Moved', 'Stayed', 'Gone', 'toString'].map((type) => versionOf(type, TABLE))).toEqual([3, 1, 0, 0]);
});

it('the format rises with each type and each version', () => {
  expect(formatOf(TABLE)).toBe(4);
  expect(formatOf({ ...TABLE, Stayed: [(data) => data] })).toBe(5);
  expect(formatOf({ ...TABLE, Slept: [] })).toBe(5);
  expect(FORMAT).toBe(EVENT_TYPES.reduce((sum, type) => sum + versionOf(type), 0));
});
