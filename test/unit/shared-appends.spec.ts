import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { nextBatchSize } from '../../src/event-store/batch-size.js';
import type { AppendRequest, AppendResult } from '../../src/event-store/event-store.js';
import { SharedAppends } from '../../src/event-store/postgres/shared-appends.js';

const request = (stream: string, group?: number): AppendRequest => ({
  ...{ stream, expected: 'any', events: [{ id: randomUUID(), type: 'Tested', version: 1, data: {}, metadata: {} }] },
  ...(group === undefined ? {} : { group }),
});

/** A log that answers when it is told to; what it answers names the stream. */
const openLog = () => {
  const calls: { requests: readonly AppendRequest[]; answer: () => void; fail: (error: Error) => void }[] = [];
  const write = (requests: readonly AppendRequest[]): Promise<readonly AppendResult[]> =>
    new Promise((resolve, reject) => {
      const results = requests.map(({ stream }) => ({ ok: true, last: stream }) as AppendResult);
      calls.push({ requests, answer: () => resolve(results), fail: reject });
    });
  return { calls, appends: new SharedAppends(write) };
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const streamsOf = (requests: readonly AppendRequest[]): string[] => requests.map(({ stream }) => stream);

describe('appends that are called at once', () => {
  it('go to the database in one call, and each caller gets its own results', async () => {
    const { calls, appends } = openLog();
    const one = appends.append([request('a'), request('b')]);
    const other = appends.append([request('c')]);
    await turn();
    expect(calls.map(({ requests }) => streamsOf(requests))).toEqual([['a', 'b', 'c']]);
    calls[0]!.answer();
    expect(await one).toEqual([
      { ok: true, last: 'a' },
      { ok: true, last: 'b' },
    ]);
    expect(await other).toEqual([{ ok: true, last: 'c' }]);
  });

  it('wait for the call in flight when they are few', async () => {
    const { calls, appends } = openLog();
    const first = appends.append([request('a')]);
    await turn();
    const rest = [appends.append([request('b')]), appends.append([request('c')])];
    await turn();
    expect(calls).toHaveLength(1);
    calls[0]!.answer();
    await first;
    await turn();
    expect(streamsOf(calls[1]!.requests)).toEqual(['b', 'c']);
    calls[1]!.answer();
    await Promise.all(rest);
    await appends.idle();
  });

  it('keep the groups of one caller apart from those of another', async () => {
    const { calls, appends } = openLog();
    void appends.append([request('a', 0), request('b', 0), request('c', 1)]);
    void appends.append([request('d'), request('e', 0), request('f', 0)]);
    await turn();
    expect(calls[0]!.requests.map(({ group }) => group)).toEqual([0, 0, 1, undefined, 2, 2]);
  });

  it('fail together when the outcome of their call is unknown', async () => {
    const { calls, appends } = openLog();
    const both = [appends.append([request('a')]), appends.append([request('b')])];
    await turn();
    calls[0]!.fail(new Error('away'));
    expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});

describe('the size of the next batch', () => {
  it('is all there is until two batches pay', () => expect(nextBatchSize(23, 0, 0)).toBeGreaterThanOrEqual(23));
  it('is half of what callers do at once from then on', () => {
    expect(nextBatchSize(32, 0, 0)).toBe(16);
    expect(nextBatchSize(16, 16, 1)).toBe(16);
  });
  it('is none while the second one would be small, or two are in flight', () => {
    expect(nextBatchSize(7, 25, 1)).toBe(0);
    expect(nextBatchSize(4, 16, 1)).toBe(0);
    expect(nextBatchSize(200, 200, 2)).toBe(0);
  });
});
