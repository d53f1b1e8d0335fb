/** Random requests to a log: two streams, three keys, repeats. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { AppendRequest, AppendResult, ExpectedRevision } from '../../src/event-store/event-store.js';
import { beside } from '../../src/event-store/beside-table.js';
import { keyTable } from './key-table.js';

export interface Draft {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly length: number;
  readonly key: string | undefined;
  /** Repeats the events of the request before. */
  readonly repeats: boolean;
}

export const draft: fc.Arbitrary<Draft> = fc.record({
  stream: fc.constantFrom('a', 'b'),
  expected: fc.oneof(
    fc.integer({ min: 0, max: 5 }),
    fc.constantFrom<ExpectedRevision>('noStream', 'streamExists', 'any'),
  ),
  length: fc.integer({ min: 1, max: 2 }),
  key: fc.option(fc.constantFrom('x', 'y', 'z'), { nil: undefined }),
  repeats: fc.boolean(),
});

export const toRequests = (drafts: readonly Draft[]): AppendRequest[] => {
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

/** Without what depends on how the calls are cut: positions. */
export const verdict = (result: AppendResult) =>
  result.ok
    ? { revision: result.revision, replayed: result.replayed }
    : { name: result.error.constructor.name, message: result.error.message };
