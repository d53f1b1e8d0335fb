/**
 * What every log does, whichever keeps it. Nothing here relies on dense positions or on an empty log: other tests, or
 * other people, may use the same one. Every test has streams of its own.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BesideTable } from '../../src/event-store/beside-table.js';
import type {
  AppendRequest,
  AppendResult,
  Appended,
  CaughtUp,
  EventFilter,
  EventStore,
  ExpectedRevision,
  JsonObject,
  NewEvent,
  Position,
  RecordedEvent,
} from '../../src/event-store/event-store.js';
import { beside } from '../../src/event-store/beside-table.js';
import {
  BesideRefused,
  comparePositions,
  Conflict,
  GroupAborted,
  InvalidAppend,
  START,
  TooLarge,
} from '../../src/event-store/event-store.js';
import { waitFor } from '../support/e2e/wait.js';

export interface KeyRow {
  readonly key: string;
}

export interface EventStoreHarness {
  readonly store: EventStore;
  /** Another adapter on the same log, as another process has it. May be the same object. */
  readonly other: EventStore;
  /** A table beside the log with one row a key. It refuses a key that is taken, by a row before it in the call too. */
  readonly keys: BesideTable<KeyRow>;
  /** Whether the table has the key. */
  hasKey(key: string): Promise<boolean>;
  close(): Promise<void>;
}

const newEvent = (type = 'Happened', data: JsonObject = {}): NewEvent => ({
  id: randomUUID(),
  type,
  version: 1,
  data,
  metadata: {},
});

const newStream = (prefix = 'test'): string => `${prefix}-${randomUUID()}`;

const request = (
  stream: string,
  expected: ExpectedRevision,
  events: readonly NewEvent[] = [newEvent()],
): AppendRequest => ({ stream, expected, events });

const succeeded = (result: AppendResult | undefined): Appended => {
  if (result?.ok !== true) throw new Error('not appended', { cause: result?.error });
  return result;
};

const errorOf = (result: AppendResult | undefined): Error | undefined =>
  result?.ok === false ? result.error : undefined;

const idsOf = (events: readonly NewEvent[]): string[] => events.map(({ id }) => id);

/** What they say: a log may put off making some of it until somebody looks. */
const said = (events: readonly RecordedEvent[]): RecordedEvent[] =>
  events.map(({ position, stream, revision, id, type, version, at, data, metadata }) => ({
    ...{ position, stream, revision, id, type, version, at, data, metadata },
  }));

const isPage = (item: readonly RecordedEvent[] | CaughtUp): item is readonly RecordedEvent[] => Array.isArray(item);

export const eventStoreConformance = (name: string, makeHarness: () => Promise<EventStoreHarness>): void => {
  describe(`event store: ${name}`, () => {
    let harness: EventStoreHarness;
    let store: EventStore;

    beforeAll(async () => {
      harness = await makeHarness();
      ({ store } = harness);
    });
    afterAll(() => harness.close());

    const append = async (...requests: AppendRequest[]) => store.append(requests);
    const seed = async (stream: string, count: number): Promise<NewEvent[]> => {
      const events = Array.from({ length: count }, (_, n) => newEvent(n % 2 === 0 ? 'Even' : 'Odd', { n }));
      succeeded((await append(request(stream, 'noStream', events)))[0]);
      return events;
    };

    describe('an append', () => {
      it('gives revisions from 0 and rising positions', async () => {
        const stream = newStream();
        const first = succeeded((await append(request(stream, 'noStream', [newEvent(), newEvent()])))[0]);
        const second = succeeded((await append(request(stream, 1)))[0]);
        expect(first).toMatchObject({ revision: 1, replayed: false });
        expect(second).toMatchObject({ revision: 2, replayed: false });
        expect([first.first, first.last]).toEqual(first.positions);
        const positions = [START, ...first.positions, ...second.positions];
        expect([...positions].sort(comparePositions)).toEqual(positions);
        expect(new Set(positions).size).toBe(4);
      });

      it('is read back as it was written', async () => {
        const stream = newStream();
        const data = {
          text: 'é€😀 "quoted" \\ \u2028 \t',
          numbers: [0, -1, 1.5, 1e21, 1e-7, Number.MAX_SAFE_INTEGER],
          nested: { b: { a: null }, a: [], '': {} },
          flag: true,
        };
        const event = { ...newEvent('Described', data), version: 7, metadata: { actor: { name: 'ops' } } };
        const { positions, at } = succeeded((await append(request(stream, 'noStream', [event])))[0]);
        expect(await store.readStream(stream)).toEqual([{ ...event, stream, revision: 0, position: positions[0], at }]);
      });

      it('is recorded with a time that never falls within a stream', async () => {
        const stream = newStream();
        for (let n = 0; n < 20; n += 1) await append(request(stream, 'any'));
        const times = (await store.readStream(stream)).map(({ at }) => at);
        expect(times).toHaveLength(20);
        for (const at of times) expect(at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        expect([...times].sort()).toEqual(times);
      });

      it('of nothing gives no results', async () => {
        expect(await append()).toEqual([]);
      });

      it.each<[string, ExpectedRevision, number, number | null]>([
        ['no stream, and there is one', 'noStream', 2, 1],
        ['a stream, and there is none', 'streamExists', 0, null],
        ['a revision of a stream that does not exist', 0, 0, null],
        ['an earlier revision', 0, 2, 1],
        ['a later revision', 5, 2, 1],
      ])('conflicts when it expects %s', async (_, expected, length, actual) => {
        const stream = newStream();
        if (length > 0) await seed(stream, length);
        const error = errorOf((await append(request(stream, expected)))[0]);
        expect(error).toBeInstanceOf(Conflict);
        expect(error).toMatchObject({ stream, expected, actual });
        expect(await store.readStream(stream)).toHaveLength(length);
      });

      it.each<[ExpectedRevision, number]>([
        ['any', 0],
        ['any', 2],
        ['streamExists', 2],
        [1, 2],
        ['noStream', 0],
      ])('that expects %s of a stream of %i events is accepted', async (expected, length) => {
        const stream = newStream();
        if (length > 0) await seed(stream, length);
        expect(succeeded((await append(request(stream, expected)))[0]).revision).toBe(length);
      });

      it('that conflicts costs the others of its call nothing', async () => {
        const [taken, free, also] = [newStream(), newStream(), newStream()];
        await seed(taken, 1);
        const results = await append(
          request(free, 'noStream'),
          request(taken, 'noStream'),
          request(also, 'noStream', [newEvent(), newEvent()]),
        );
        expect(results.map(({ ok }) => ok)).toEqual([true, false, true]);
        expect(comparePositions(succeeded(results[0]).last, succeeded(results[2]).first)).toBeLessThan(0);
        expect(await store.readStream(also)).toHaveLength(2);
      });

      it('of several requests for one stream applies them in order', async () => {
        const stream = newStream();
        const results = await append(
          request(stream, 'noStream'),
          request(stream, 0, [newEvent(), newEvent()]),
          request(stream, 'any'),
          request(stream, 'streamExists'),
          request(stream, 4),
        );
        expect(results.map((result) => succeeded(result).revision)).toEqual([0, 2, 3, 4, 5]);
        expect((await store.readStream(stream)).map(({ revision }) => revision)).toEqual([0, 1, 2, 3, 4, 5]);
      });

      it('of two requests that expect the same revision accepts the first', async () => {
        const stream = newStream();
        await seed(stream, 3);
        const [winner, loser, later] = await append(
          request(stream, 2),
          request(stream, 2),
          request(stream, 3, [newEvent('Later')]),
        );
        expect(succeeded(winner).revision).toBe(3);
        expect(errorOf(loser)).toMatchObject({ expected: 2, actual: 3 });
        expect(succeeded(later).revision).toBe(4);
      });

      it('lets one of many racing writers win each revision', async () => {
        const stream = newStream();
        await seed(stream, 1);
        for (let revision = 0; revision < 10; revision += 1) {
          const racers = Array.from({ length: 8 }, (_, n) => (n % 2 === 0 ? store : harness.other));
          const results = await Promise.all(racers.map((racer) => racer.append([request(stream, revision)])));
          expect(results.filter(([result]) => result?.ok === true)).toHaveLength(1);
        }
        expect((await store.readStream(stream)).map(({ revision }) => revision)).toEqual([...Array(11).keys()]);
      });
    });

    describe('a request that cannot be stored', () => {
      const odd = (data: unknown) => [{ ...newEvent(), data: data as JsonObject }];
      it.each<[string, readonly NewEvent[]]>([
        ['no events', []],
        ['an id that is no UUID', [{ ...newEvent(), id: 'x' }]],
        ['an empty type', [newEvent('')]],
        ['version 0', [{ ...newEvent(), version: 0 }]],
        ['undefined in its data', odd({ a: undefined })],
        ['a bigint in its data', odd({ a: 1n })],
        ['a number that is not finite', odd({ a: [NaN] })],
        ['\\u0000 in its data', odd({ a: 'b\0c' })],
        ['\\u0000 in a key', odd({ 'a\0': 1 })],
        ['half of a surrogate pair', odd({ a: '\ud83d' })],
        ['a date', odd({ a: new Date(0) })],
        ['a reserved key in its metadata', [{ ...newEvent(), metadata: { $maxAge: 1 } }]],
      ])('with %s is refused, and the others of its call are not', async (_, events) => {
        const [bad, good] = [newStream(), newStream()];
        const results = await append(request(bad, 'any', events), request(good, 'noStream'));
        expect(errorOf(results[0])).toBeInstanceOf(InvalidAppend);
        expect(succeeded(results[1]).revision).toBe(0);
        expect(await store.readStream(bad)).toEqual([]);
      });

      it('for being too large is refused, and the others of its call are not', async () => {
        const [bad, good] = [newStream(), newStream()];
        const large = newEvent('Large', { text: 'x'.repeat(2 ** 21) });
        const results = await append(request(bad, 'any', [large]), request(good, 'noStream'));
        expect(errorOf(results[0])).toBeInstanceOf(TooLarge);
        expect(succeeded(results[1]).revision).toBe(0);
      });
    });

    describe('an append of event ids that stand in the log', () => {
      it.each<[string, ExpectedRevision, number]>([
        ['noStream', 'noStream', 0],
        ['a revision', 1, 2],
      ])('at the same place (%s) is a success with the first positions', async (_, expected, length) => {
        const stream = newStream();
        if (length > 0) await seed(stream, length);
        const original = request(stream, expected, [newEvent(), newEvent()]);
        const first = succeeded((await append(original))[0]);
        await append(request(stream, 'any'), request(newStream(), 'any'));
        const again = succeeded((await harness.other.append([original]))[0]);
        expect(again).toEqual({ ...first, replayed: true });
        expect(await store.readStream(stream)).toHaveLength(length + 3);
      });

      it('is a success when it repeats the first of them', async () => {
        const stream = newStream();
        const [first] = await seed(stream, 3);
        expect(succeeded((await append(request(stream, 'noStream', [first!])))[0])).toMatchObject({
          revision: 0,
          replayed: true,
        });
      });

      it('conflicts when only some of them do', async () => {
        const stream = newStream();
        const events = await seed(stream, 2);
        for (const other of [
          [events[0]!, newEvent()],
          [...events, newEvent()],
          [events[1]!, events[0]!],
        ]) {
          expect(errorOf((await append(request(stream, 'noStream', other)))[0])).toMatchObject({ actual: 1 });
        }
      });

      it('conflicts when they stand at another place', async () => {
        const stream = newStream();
        const events = await seed(stream, 3);
        expect(errorOf((await append(request(stream, 0, [events[0]!])))[0])).toBeInstanceOf(Conflict);
      });

      it('twice in one call writes them once', async () => {
        const once = request(newStream(), 'noStream');
        const [first, second] = await append(once, once);
        expect(succeeded(second)).toEqual({ ...succeeded(first), replayed: true });
        expect(await store.readStream(once.stream)).toHaveLength(1);
      });

      it('is answered beside new ones of the same call', async () => {
        const [old, fresh] = [newStream(), newStream()];
        const events = await seed(old, 1);
        const results = await append(request(old, 'noStream', events), request(fresh, 'noStream'), request(old, 0));
        expect(results.map((result) => succeeded(result).replayed)).toEqual([true, false, false]);
      });
    });

    describe('a group', () => {
      const grouped = (group: number, ...requests: AppendRequest[]) => requests.map((one) => ({ ...one, group }));

      it('is written when all of it can be', async () => {
        const streams = [newStream(), newStream(), newStream()];
        const results = await append(...grouped(1, ...streams.map((stream) => request(stream, 'noStream'))));
        expect(results.map((result) => succeeded(result).revision)).toEqual([0, 0, 0]);
      });

      it('is not written when one of it conflicts', async () => {
        const [taken, one, two, alone, later] = [1, 2, 3, 4, 5].map(() => newStream());
        await seed(taken!, 1);
        const results = await append(
          request(alone!, 'noStream'),
          ...grouped(1, request(one!, 'noStream'), request(taken!, 'noStream')),
          ...grouped(2, request(two!, 'noStream'), request(later!, 'noStream')),
        );
        expect(results.map(({ ok }) => ok)).toEqual([true, false, false, true, true]);
        expect(errorOf(results[1])).toBeInstanceOf(GroupAborted);
        expect(errorOf(results[2])).toBeInstanceOf(Conflict);
        expect(await store.readStream(one!)).toEqual([]);
      });

      it('is not written when one of it cannot be stored', async () => {
        const [one, two] = [newStream(), newStream()];
        const results = await append(...grouped(1, request(one, 'noStream'), request(two, 'noStream', [])));
        expect(errorOf(results[0])).toBeInstanceOf(GroupAborted);
        expect(errorOf(results[1])).toBeInstanceOf(InvalidAppend);
        expect(await store.readStream(one)).toEqual([]);
      });

      it('is not written when two of it exclude each other', async () => {
        const [one, two] = [newStream(), newStream()];
        const results = await append(
          ...grouped(1, request(one, 'noStream'), request(two, 'noStream'), request(one, 'noStream')),
        );
        expect(results.map(errorOf)).toEqual([
          expect.any(GroupAborted),
          expect.any(GroupAborted),
          expect.any(Conflict),
        ]);
        expect([...(await store.readStream(one)), ...(await store.readStream(two))]).toEqual([]);
      });

      it('that was written is answered again', async () => {
        const group = grouped(1, request(newStream(), 'noStream'), request(newStream(), 'noStream'));
        const first = await append(...group);
        const again = await append(...group);
        expect(again).toEqual(first.map((result) => ({ ...result, replayed: true })));
      });
    });

    describe('a row beside the events', () => {
      const keyed = (stream: string, expected: ExpectedRevision, ...keys: string[]): AppendRequest => ({
        ...request(stream, expected),
        beside: keys.map((key) => beside(harness.keys, { key })),
      });

      it('is written with them', async () => {
        const key = randomUUID();
        succeeded((await append(keyed(newStream(), 'noStream', key)))[0]);
        expect(await harness.hasKey(key)).toBe(true);
      });

      it('is not written when they are not', async () => {
        const [stream, key] = [newStream(), randomUUID()];
        await seed(stream, 1);
        expect(errorOf((await append(keyed(stream, 'noStream', key)))[0])).toBeInstanceOf(Conflict);
        expect(await harness.hasKey(key)).toBe(false);
      });

      it('is not written again when they stand in the log', async () => {
        const stream = newStream();
        const events = await seed(stream, 1);
        const key = randomUUID();
        const repeat = { ...keyed(stream, 'noStream', key), events };
        expect(succeeded((await append(repeat))[0]).replayed).toBe(true);
        expect(await harness.hasKey(key)).toBe(false);
      });

      it('that is refused refuses its request, and the others of the call are written', async () => {
        const [taken, free] = [randomUUID(), randomUUID()];
        await append(keyed(newStream(), 'noStream', taken));
        const [bad, good, plain] = [newStream(), newStream(), newStream()];
        const [, ...results] = await append(
          request(newStream(), 'streamExists'),
          keyed(good, 'noStream', free),
          keyed(bad, 'noStream', randomUUID(), taken),
          request(plain, 'noStream'),
        );
        expect(results.map(({ ok }) => ok)).toEqual([true, false, true]);
        expect(errorOf(results[1])).toBeInstanceOf(BesideRefused);
        expect(errorOf(results[1])).toMatchObject({ table: harness.keys.name });
        expect(await store.readStream(bad)).toEqual([]);
        expect(await harness.hasKey(free)).toBe(true);
      });

      it('that is refused refuses the group of its request', async () => {
        const taken = randomUUID();
        await append(keyed(newStream(), 'noStream', taken));
        const [one, two] = [newStream(), newStream()];
        const results = await append(
          { ...request(one, 'noStream'), group: 1 },
          { ...keyed(two, 'noStream', taken), group: 1 },
        );
        expect(results.map(errorOf)).toEqual([expect.any(GroupAborted), expect.any(BesideRefused)]);
        expect(await store.readStream(one)).toEqual([]);
      });

      it('of two with one key lets the first in', async () => {
        const key = randomUUID();
        const results = await append(keyed(newStream(), 'noStream', key), keyed(newStream(), 'noStream', key));
        expect(results.map(({ ok }) => ok)).toEqual([true, false]);
      });

      it('that is refused leaves its stream to a later request of the call', async () => {
        const taken = randomUUID();
        await append(keyed(newStream(), 'noStream', taken));
        const stream = newStream();
        const results = await append(keyed(stream, 'noStream', taken), request(stream, 'noStream'), request(stream, 0));
        expect(results.map(({ ok }) => ok)).toEqual([false, true, true]);
        expect(await store.readStream(stream)).toHaveLength(2);
      });
    });

    describe('reading a stream', () => {
      let stream: string;
      let events: readonly RecordedEvent[];
      beforeAll(async () => {
        stream = newStream();
        await seed(stream, 6);
        events = await store.readStream(stream);
      });
      const revisions = async (options: Parameters<EventStore['readStream']>[1]) =>
        (await store.readStream(stream, options)).map(({ revision }) => revision);

      it('that does not exist gives nothing', async () => {
        expect(await store.readStream(newStream())).toEqual([]);
      });

      it('gives a part of it, in either direction', async () => {
        expect(await revisions({})).toEqual([0, 1, 2, 3, 4, 5]);
        expect(await revisions({ from: 4 })).toEqual([4, 5]);
        expect(await revisions({ from: 1, limit: 2 })).toEqual([1, 2]);
        expect(await revisions({ from: 9 })).toEqual([]);
        expect(await revisions({ direction: 'backwards' })).toEqual([5, 4, 3, 2, 1, 0]);
        expect(await revisions({ direction: 'backwards', from: 3, limit: 2 })).toEqual([3, 2]);
      });

      it('up to a position gives what was there', async () => {
        const upTo = events[2]!.position;
        expect(await revisions({ upTo })).toEqual([0, 1, 2]);
        expect(await revisions({ upTo, direction: 'backwards', limit: 1 })).toEqual([2]);
        expect(await revisions({ upTo, from: 3 })).toEqual([]);
        expect(await revisions({ upTo: START })).toEqual([]);
      });
    });

    describe('reading the log', () => {
      const prefix = newStream('page');
      const streams = ['a', 'b', 'c'].map((name_) => `${prefix}-${name_}`);
      let written: string[];
      beforeAll(async () => {
        const results: AppendResult[] = [];
        for (let n = 0; n < 12; n += 1) {
          const event = newEvent(n % 3 === 0 ? 'Third' : 'Other', { n });
          results.push(...(await append(request(streams[n % 2]!, 'any', [event]), request(newStream(), 'any'))));
        }
        written = (await Promise.all(streams.map((stream) => store.readStream(stream))))
          .flat()
          .sort((a, b) => comparePositions(a.position, b.position))
          .map(({ id }) => id);
        expect(written).toHaveLength(12);
        expect(results.every(({ ok }) => ok)).toBe(true);
      });

      const readWhole = async (filter: EventFilter, limit: number, direction: 'forwards' | 'backwards') => {
        const found: RecordedEvent[] = [];
        let after: Position | undefined;
        for (;;) {
          const page = await store.readAll({ ...(after !== undefined && { after }), limit, filter, direction });
          expect(page.events.length).toBeLessThanOrEqual(limit);
          found.push(...page.events);
          if (page.next === after) return found;
          after = page.next;
        }
      };

      it.each([1, 5, 1000])('in pages of %i gives each event once and in order', async (limit) => {
        const filter = { streamPrefixes: [prefix] };
        expect(idsOf(await readWhole(filter, limit, 'forwards'))).toEqual(written);
        expect(idsOf(await readWhole(filter, limit, 'backwards'))).toEqual([...written].reverse());
      });

      it('gives what all conditions of the filter hold for', async () => {
        const find = async (filter: EventFilter) => readWhole(filter, 4, 'forwards');
        expect(idsOf(await find({ streams }))).toEqual(written);
        expect((await find({ streams: [streams[0]!], types: ['Third'] })).map(({ data }) => data['n'])).toEqual([0, 6]);
        expect(await find({ streams, types: [] })).toEqual([]);
        expect(await find({ streamPrefixes: [prefix], types: ['Third'] })).toHaveLength(4);
        expect(await find({ streams: [streams[0]!, streams[0]!], streamPrefixes: [`${prefix}-b`] })).toEqual([]);
      });

      it.each<'forwards' | 'backwards'>(['forwards', 'backwards'])(
        '%s of the filtered streams alone agrees',
        async (way) => {
          const all = await readWhole({ streamPrefixes: [prefix] }, 3, way);
          expect(said(await readWhole({ streams }, 3, way))).toEqual(said(all));
        },
      );

      it('reaches the end when the filter drops everything', async () => {
        const { position } = await store.head();
        let after = START;
        for (let next: Position | undefined; next !== after;) {
          after = next ?? after;
          const page = await store.readAll({ after, limit: 100, filter: { types: ['Never'] } });
          expect(page.events).toEqual([]);
          ({ next } = page);
        }
        expect(comparePositions(after, position)).toBeGreaterThanOrEqual(0);
      });

      it('by one who follows it gives each event once, in pages that go on behind each other', async () => {
        const stopHearing = store.onAppended(() => undefined);
        const stream = newStream();
        const [first] = await append(request(stream, 'noStream'));
        const found: RecordedEvent[] = [];
        let after = succeeded(first).last;
        await waitFor('every event to be found', async () => {
          if (found.length < 20) await append(request(stream, 'any'));
          const page = await store.readAll({ after, limit: 2, filter: { streams: [stream] }, following: true });
          found.push(...page.events);
          after = page.next;
          return found.length >= 20;
        });
        stopHearing();
        const there = await store.readStream(stream);
        expect(said(found)).toEqual(said(there.slice(1, 1 + found.length)));
      });

      it('after a position begins with the event behind it', async () => {
        const all = await readWhole({ streamPrefixes: [prefix] }, 100, 'forwards');
        const middle = all[5]!.position;
        const later = await store.readAll({ after: middle, limit: 100, filter: { streams } });
        expect(said(later.events)).toEqual(said(all.slice(6)));
        const earlier = await store.readAll({ after: middle, limit: 2, filter: { streams }, direction: 'backwards' });
        expect(said(earlier.events)).toEqual(said([all[4]!, all[3]!]));
      });
    });

    describe('the head', () => {
      it('is at the last event and moves with the log', async () => {
        const before = await store.head();
        const { last, at } = succeeded((await append(request(newStream(), 'any')))[0]);
        const after = await store.head();
        expect(comparePositions(after.position, last)).toBeGreaterThanOrEqual(0);
        expect(after.hash).toMatch(/^[0-9a-f]+$/);
        expect(after.hash).not.toBe(before.hash);
        expect(after.at! >= at).toBe(true);
      });

      it('has a digest that stays that of its position', async () => {
        await append(request(newStream(), 'any'));
        const { position, hash } = await store.head();
        await append(request(newStream(), 'any'));
        expect(await store.hashAt(position)).toBe(hash);
        expect(await harness.other.hashAt(position)).toBe(hash);
        expect(await store.hashAt(String(BigInt(position) * 2n + 1_000_000n))).toBeNull();
      });
    });

    describe('a subscription', () => {
      /** Reads on until what was read satisfies the condition, then ends the subscription. */
      const follow = async (
        after: Position,
        filter: EventFilter,
        until: (events: readonly RecordedEvent[], caughtUp: readonly Position[]) => boolean | Promise<boolean>,
        pageSize = 500,
      ) => {
        const stop = new AbortController();
        const events: RecordedEvent[] = [];
        const caughtUp: Position[] = [];
        for await (const item of store.subscribe({ after, filter, signal: stop.signal, pageSize })) {
          if (isPage(item)) events.push(...item);
          else caughtUp.push(item.caughtUp);
          if (await until(events, caughtUp)) stop.abort();
        }
        return { events, caughtUp };
      };

      it('gives what is there, says so, and goes on with what comes', async () => {
        const stream = newStream('follow');
        const old = await seed(stream, 3);
        const fresh = [newEvent(), newEvent()];
        let went = false;
        const { events } = await follow(START, { streams: [stream] }, async (seen, caughtUp) => {
          if (caughtUp.length > 0 && !went) {
            went = true;
            expect(idsOf(seen)).toEqual(idsOf(old));
            await harness.other.append([request(stream, 'any', fresh)]);
          }
          return seen.length === 5;
        });
        expect(idsOf(events)).toEqual(idsOf([...old, ...fresh]));
      });

      it('after a position gives what comes behind it, in pages', async () => {
        const stream = newStream('follow');
        await seed(stream, 7);
        const all = await store.readStream(stream);
        const { events } = await follow(all[2]!.position, { streamPrefixes: [stream] }, (seen) => seen.length === 4, 2);
        expect(events).toEqual(all.slice(3));
      });

      it('gives every event once and in order while many write', async () => {
        const prefix = newStream('race');
        const { position } = await store.head();
        const writers = Array.from({ length: 6 }, async (_, n) => {
          for (let round = 0; round < 15; round += 1) {
            const log = n % 2 === 0 ? store : harness.other;
            await log.append([request(`${prefix}-${n}`, 'any'), request(`${prefix}-hot`, 'any')]);
          }
        });
        const { events } = await follow(position, { streamPrefixes: [prefix] }, (seen) => seen.length >= 180, 10);
        await Promise.all(writers);
        const logged = await Promise.all([...Array(6).keys(), 'hot'].map((n) => store.readStream(`${prefix}-${n}`)));
        const inOrder = logged.flat().sort((a, b) => comparePositions(a.position, b.position));
        expect(events).toEqual(inOrder);
      });

      it('ends by its signal without an error, waiting or not begun', async () => {
        const ended = new AbortController();
        ended.abort();
        for await (const item of store.subscribe({ after: START, signal: ended.signal })) expect(item).toBeUndefined();
        const { position } = await store.head();
        const { caughtUp } = await follow(position, { streams: [newStream()] }, (_, at) => at.length === 1);
        expect(caughtUp).toHaveLength(1);
      });

      it('can be left', async () => {
        const signal = new AbortController().signal;
        const stream = newStream();
        await seed(stream, 2);
        for await (const item of store.subscribe({ after: START, filter: { streams: [stream] }, signal })) {
          if (isPage(item)) break;
        }
        expect((await append(request(stream, 1)))[0]!.ok).toBe(true);
      });
    });

    describe('a listener for appends', () => {
      it('hears of an append of another process until it stops', async () => {
        let stop: () => void = () => undefined;
        let heard = 0;
        const woken = new Promise<void>((resolve) => {
          stop = store.onAppended(() => {
            heard += 1;
            resolve();
          });
        });
        await harness.other.append([request(newStream(), 'any')]);
        await woken;
        stop();
        const before = heard;
        await append(request(newStream(), 'any'));
        expect(heard).toBe(before);
      });
    });
  });
};
