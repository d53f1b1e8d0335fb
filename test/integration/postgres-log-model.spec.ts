/** PostgreSQL's log does what the one in memory does, which a property test knows to be right. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AppendRequest, EventStore } from '../../src/event-store/event-store.js';
import { beside } from '../../src/event-store/beside-table.js';
import { MemoryEventStore } from '../../src/event-store/memory/memory-event-store.js';
import type { KeyRow } from '../conformance/event-store.conformance.js';
import { type Draft, draft, toRequests, verdict } from '../support/append-drafts.js';
import { keyTable, memoryKeys } from '../support/key-table.js';
import { PostgresLog } from '../support/postgres-log.js';

/** The request with names of its own run, since the runs share a database. */
const inRun = (run: string, one: AppendRequest): AppendRequest => ({
  ...one,
  stream: `${one.stream}-${run}`,
  ...(one.beside && {
    beside: one.beside.map(({ row }) => beside(keyTable, { key: `${(row as KeyRow).key}-${run}` })),
  }),
});

const history = async (store: EventStore, run: string) => {
  const streams = await Promise.all(['a', 'b'].map((name) => store.readStream(`${name}-${run}`)));
  return streams.map((events) => events.map(({ id, revision }) => [id, revision]));
};

const one = (stream: string, expected: Draft['expected'], more: Partial<Draft> = {}): Draft => ({
  ...{ stream, expected, length: 1, key: undefined, repeats: false },
  ...more,
});

/** The last one is put off, with those before it: which of them are written together decides whose key comes first. */
const PUT_OFF: [Draft, boolean][][] = [
  [
    [one('a', 'noStream', { length: 2, key: 'y' }), false],
    [one('a', 'streamExists', { repeats: true }), false],
    [one('a', 0), true],
  ],
  [
    [one('a', 3, { key: 'y' }), false],
    [one('b', 'noStream'), false],
    [one('a', 'streamExists', { key: 'x' }), true],
    [one('a', 'streamExists', { key: 'x' }), false],
    [one('b', 'noStream', { key: 'x' }), true],
    [one('a', 0), true],
  ],
];

describe('the log in PostgreSQL', () => {
  let log: PostgresLog;
  beforeAll(async () => {
    log = await PostgresLog.create();
  });
  afterAll(() => log.close());

  it('answers any calls as the log in memory does, and holds the same', async () => {
    const store = log.store();
    const session = await log.session();
    const call = fc.array(fc.tuple(draft, fc.boolean()), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 4 }), async (calls) => {
        const run = randomUUID();
        const { applier, keys } = memoryKeys();
        const memory = new MemoryEventStore({ clock: () => 0, beside: new Map([['keys', applier]]) });
        for (const drafts of calls) {
          let group = 0;
          const requests = toRequests(drafts.map(([one]) => one)).map((one, n) => {
            if (drafts[n]![1]) group += 1;
            return { ...inRun(run, one), group };
          });
          const [actual, expected] = [await store.append(requests), await memory.append(requests)];
          expect(actual.map(verdict)).toEqual(expected.map(verdict));
        }
        expect(await history(store, run)).toEqual(await history(memory, run));
        const { rows } = await session.query<KeyRow>('select key from jobledger.test_keys where key like $1', [
          `%${run}`,
        ]);
        expect(rows.map(({ key }) => key).sort()).toEqual([...keys.keys()].sort());
      }),
      { numRuns: 100, examples: [[PUT_OFF]] },
    );
    expect(await store.verify()).toMatchObject({ ok: true });
  });
});
