import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { AppendRequest, ExpectedRevision } from '../../src/event-store/event-store.js';
import { beside } from '../../src/event-store/beside-table.js';
import { START } from '../../src/event-store/event-store.js';
import type { BesideApplier, BesideContext, BesideEntry } from '../../src/event-store/memory/memory-event-store.js';
import { MemoryEventStore } from '../../src/event-store/memory/memory-event-store.js';
import { keyTable, memoryKeys } from '../support/key-table.js';

const request = (stream: string, expected: ExpectedRevision = 'any', count = 1): AppendRequest => ({
  stream,
  expected,
  events: Array.from({ length: count }, (_, n) => ({
    id: randomUUID(),
    type: 'Happened',
    version: 1,
    data: { n },
    metadata: {},
  })),
});

describe('the log in memory', () => {
  it('takes time from its clock, never sets it back, and counts positions from 1', async () => {
    let now = 2_000;
    const store = new MemoryEventStore({ clock: () => now });
    await store.append([request('a', 'noStream', 2)]);
    now = 1_000;
    await store.append([request('b')]);
    now = 3_000.7;
    await store.append([request('b')]);
    const { events } = await store.readAll({ limit: 10 });
    expect(events.map(({ position, at }) => [position, Date.parse(at)])).toEqual([
      ['1', 2_000],
      ['2', 2_000],
      ['3', 2_000],
      ['4', 3_000],
    ]);
    expect(await store.head()).toMatchObject({ position: '4', at: '1970-01-01T00:00:03.000Z' });
  });

  it('has written, and told its listeners, when the call of append returns', () => {
    const store = new MemoryEventStore({ clock: () => 0 });
    let told = 0;
    store.onAppended(() => (told += 1));
    void store.append([request('a')]);
    expect(told).toBe(1);
  });

  it('gives events that nobody can change', async () => {
    const store = new MemoryEventStore({ clock: () => 0 });
    const data = { list: [1], deep: { a: 1 } };
    const one = request('a');
    await store.append([{ ...one, events: [{ ...one.events[0]!, data }] }]);
    data.list.push(2);
    data.deep.a = 2;
    const [event] = await store.readStream('a');
    expect(event!.data).toEqual({ list: [1], deep: { a: 1 } });
    expect(() => {
      (event!.data['deep'] as { a: number }).a = 3;
    }).toThrow(TypeError);
  });

  it('gives the rows of a batch to their table once, with positions', async () => {
    const calls: [readonly BesideEntry[], BesideContext][] = [];
    const applier: BesideApplier = { apply: (rows, context) => calls.push([rows, context]) };
    const store = new MemoryEventStore({ clock: () => 5, beside: new Map([['keys', applier]]) });
    await store.append([request('z')]);
    await store.append([
      { ...request('a', 'noStream', 3), beside: [beside(keyTable, { key: 'x' }, 0), beside(keyTable, { key: 'y' })] },
      request('b'),
      { ...request('c'), beside: [beside(keyTable, { key: 'z' })] },
    ]);
    expect(calls).toEqual([
      [
        [
          { request: 0, position: '2', row: { key: 'x' } },
          { request: 0, position: '4', row: { key: 'y' } },
          { request: 2, position: '6', row: { key: 'z' } },
        ],
        { base: '1', at: 5 },
      ],
    ]);
  });

  it('writes beside tables in the order in which they were given, whichever comes first in an append', async () => {
    const calls: string[] = [];
    const applierOf = (name: string): BesideApplier => ({ apply: () => calls.push(name) });
    const other = { ...keyTable, name: 'first' };
    const tables = new Map(['first', 'keys'].map((name) => [name, applierOf(name)]));
    const store = new MemoryEventStore({ clock: () => 0, beside: tables });
    await store.append([
      { ...request('a'), beside: [beside(keyTable, { key: 'x' })] },
      { ...request('b'), beside: [beside(other, { key: 'y' })] },
    ]);
    expect(calls).toEqual(['first', 'keys']);
  });

  it('refuses a row of a table that it does not have', async () => {
    const store = new MemoryEventStore({ clock: () => 0 });
    const stray = { ...request('a'), beside: [beside(keyTable, { key: 'x' })] };
    await expect(store.append([stray])).rejects.toThrow('no applier for beside table keys');
    expect(await store.readStream('a')).toEqual([]);
  });

  it('writes the same hashes when a run is repeated', async () => {
    const requests = [request('a', 'noStream', 2), request('b'), request('a', 1)];
    const run = async () => {
      let now = 0;
      const store = new MemoryEventStore({ clock: () => (now += 1) });
      await store.append(requests.slice(0, 2));
      await store.append(requests.slice(2));
      return store;
    };
    const [first, second] = [await run(), await run()];
    expect(await first.head()).toEqual(await second.head());
    expect(await first.hashAt('1')).toBe(await first.hashAt('3'));
    expect(await first.hashAt('4')).toBe((await first.head()).hash);
    expect(await first.hashAt('5')).toBeNull();
    expect(await first.hashAt(START)).toBe('0'.repeat(64));
  });

  it('lets a beside table that refuses be asked again for the rest', async () => {
    const { applier, keys } = memoryKeys();
    const store = new MemoryEventStore({ clock: () => 0, beside: new Map([['keys', applier]]) });
    const keyed = (stream: string, key: string) => ({ ...request(stream), beside: [beside(keyTable, { key })] });
    const results = await store.append([keyed('a', 'x'), keyed('b', 'x'), keyed('c', 'y'), keyed('d', 'y')]);
    expect(results.map(({ ok }) => ok)).toEqual([true, false, true, false]);
    expect([...keys]).toEqual([
      ['x', '1'],
      ['y', '2'],
    ]);
  });
});
