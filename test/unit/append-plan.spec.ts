import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MemoryEventStore } from '../../src/event-store/memory/memory-event-store.js';
import { draft, toRequests, verdict } from '../support/append-drafts.js';
import { memoryKeys } from '../support/key-table.js';

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

  it('of groups gives what a call for each group gives', async () => {
    const groups = fc.array(fc.array(withoutKeys, { minLength: 1, maxLength: 3 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(groups, fc.boolean(), async (drafts, repeatLast) => {
        const units = drafts.map(toRequests);
        // A group with events of one before it: some of it stands in the log, some does not.
        if (repeatLast && units.length > 1) units.push([...units[0]!, ...units.at(-1)!], toRequests(drafts[0]!));
        const [together, apart] = [newStore(), newStore()];
        const results = await together.store.append(
          units.flatMap((unit, n) => unit.map((one) => ({ ...one, group: n }))),
        );
        const expected = [];
        for (const unit of units)
          expected.push(...(await apart.store.append(unit.map((one) => ({ ...one, group: 0 })))));
        expect(results.map(verdict)).toEqual(expected.map(verdict));
        expect(await contents(together)).toEqual(await contents(apart));
      }),
      { numRuns: 1_000 },
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
