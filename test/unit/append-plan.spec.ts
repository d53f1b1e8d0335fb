import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AppendRequest, ExpectedRevision } from '../../src/event-store/event-store.js';
import { beside } from '../../src/event-store/event-store.js';
import { MemoryEventStore } from '../../src/event-store/memory/memory-event-store.js';
import { keyTable, memoryKeys } from '../support/key-table.js';

interface Draft {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly length: number;
  readonly key: string | undefined;
  /** Repeats the events of the request before. */
  readonly repeats: boolean;
}

const draft: fc.Arbitrary<Draft> = fc.record({
  stream: fc.constantFrom('a', 'b'),
  expected: fc.oneof(
    fc.integer({ min: 0, max: 5 }),
    fc.constantFrom<ExpectedRevision>('noStream', 'streamExists', 'any'),
  ),
  length: fc.integer({ min: 1, max: 2 }),
  key: fc.option(fc.constantFrom('x', 'y', 'z'), { nil: undefined }),
  repeats: fc.boolean(),
});

const toRequests = (drafts: readonly Draft[]): AppendRequest[] => {
  const requests: AppendRequest[] = [];
  for (const { stream, expected, length, key, repeats } of drafts) {
    const before = requests.at(-1);
    const fresh = Array.from({ length }, () => ({ id: randomUUID(), type: 'T', version: 1, data: {}, metadata: {} }));
    requests.push({
      stream,
      expected,
      events: repeats && before ? before.events : fresh,
      ...(key !== undefined && { beside: [beside(keyTable, { key })] }),
    });
  }
  return requests;
};

const newStore = () => {
  const { applier, keys } = memoryKeys();
  return { store: new MemoryEventStore({ clock: () => 0, beside: new Map([['keys', applier]]) }), keys };
};

const contents = async ({ store, keys }: ReturnType<typeof newStore>) => {
  const streams = await Promise.all(['a', 'b'].map((stream) => store.readStream(stream)));
  return {
    streams: streams.map((events) => events.map(({ id, revision }) => [id, revision])),
    keys: [...keys.keys()].sort(),
  };
};

/** Without what depends on how the calls are cut: positions. */
const verdict = (result: Awaited<ReturnType<MemoryEventStore['append']>>[number]) =>
  result.ok
    ? { revision: result.revision, replayed: result.replayed }
    : { name: result.error.constructor.name, message: result.error.message };

/** Keys make a request's fate depend on others of other streams: whose key comes first in a call is asked first. */
const withoutKeys = draft.map((one) => ({ ...one, key: undefined }));

describe('a call of several requests', () => {
  it('gives what a call for each of them gives, one after the other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(withoutKeys, { maxLength: 8 }), async (drafts) => {
        const requests = toRequests(drafts);
        const [together, apart] = [newStore(), newStore()];
        const results = await together.store.append(requests);
        const expected = [];
        for (const one of requests) expected.push(...(await apart.store.append([one])));
        expect(results.map(verdict)).toEqual(expected.map(verdict));
        expect(await contents(together)).toEqual(await contents(apart));
      }),
      { numRuns: 500 },
    );
  });

  it('writes each group whole or not at all, and a row exactly with its events', async () => {
    const groups = fc.array(fc.array(draft, { minLength: 1, maxLength: 3 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(groups, async (drafts) => {
        const log = newStore();
        const requests = drafts.flatMap((group, n) => toRequests(group).map((one) => ({ ...one, group: n })));
        const results = await log.store.append(requests);
        drafts.forEach((_, n) => {
          const own = results.filter((__, index) => requests[index]!.group === n);
          expect(new Set(own.map(({ ok }) => ok)).size).toBe(1);
        });
        const written = requests.filter((_, index) => {
          const result = results[index]!;
          return result.ok && !result.replayed;
        });
        const ids = (await contents(log)).streams.flat().map(([id]) => id);
        expect([...ids].sort()).toEqual(written.flatMap(({ events }) => events.map(({ id }) => id)).sort());
        const keys = written.flatMap((one) => one.beside ?? []).map(({ row }) => (row as { key: string }).key);
        expect([...log.keys.keys()].sort()).toEqual([...keys].sort());
      }),
      { numRuns: 500 },
    );
  });
});
