/** What was just appended is found by few reads of the log, among what others appended meanwhile. */
import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { encodeRequest, type EncodedRequest } from '../../src/event-store/encoded-request.js';
import { Unavailable } from '../../src/event-store/event-store.js';
import type { EventStoreDriver, ReadFromAll, StoredEvent } from '../../src/event-store/eventstoredb/driver.js';
import { type JustAppended, ReadBack } from '../../src/event-store/eventstoredb/read-back.js';

const requestOf = (stream: string, events = 2): EncodedRequest => {
  const made = Array.from({ length: events }, () => ({
    ...{ id: randomUUID(), type: 'Happened', version: 1, data: {}, metadata: {} },
  }));
  const request = encodeRequest({ stream, expected: 'noStream', events: made }, 0, Infinity);
  if (request instanceof Error) throw request;
  return request;
};

/** A log of which it is known what was read of it. */
class ReadLog {
  readonly events: StoredEvent[] = [];
  readonly pages: number[] = [];
  readonly streams: string[] = [];
  /** What a read of the log throws. */
  error: Error | undefined;

  readonly driver = {
    readStream: (stream: string, { from = 0, limit }: { from?: number; limit: number }) => {
      this.streams.push(stream);
      const own = this.events.filter((event) => event.stream === stream && event.revision >= from);
      return Promise.resolve(own.slice(0, limit));
    },
    readAll: ({ from = 0n, limit }: ReadFromAll) => {
      this.pages.push(limit);
      if (this.error !== undefined) return Promise.reject(this.error);
      return Promise.resolve(this.events.filter(({ position }) => position >= from).slice(0, limit));
    },
  } as unknown as EventStoreDriver;

  append({ stream, events }: EncodedRequest): bigint {
    for (const [revision, { id, type }] of events.entries()) {
      const position = BigInt(this.events.length + 1) * 100n;
      this.events.push({ ...{ id, type, stream, revision, position }, data: {}, metadata: {} });
    }
    return this.events.at(-1)!.position;
  }

  appendOthers(count: number): void {
    for (let n = 0; n < count; n += 1) this.append(requestOf(`other-${randomUUID()}`, 1));
  }
}

/** Appends as many at once, others' events between them, and reads them back. */
const readBackOf = async (log: ReadLog, count: number, between = 0) => {
  const after = log.append(requestOf('known', 1));
  const appended = Array.from({ length: count }, (_, n): JustAppended => {
    if (n > 0) log.appendOthers(between);
    const request = requestOf(`job-${n}`);
    return { request, revision: 0, position: log.append(request), after };
  });
  const readBack = new ReadBack(log.driver);
  const found = await Promise.all(appended.map((each) => readBack.together(each)));
  const idsOf = (events: readonly { readonly id: string }[] | undefined) => events?.map(({ id }) => id);
  expect(found.map(idsOf)).toEqual(appended.map(({ request }) => idsOf(request.events)));
};

describe('what was just appended', () => {
  it('is found by one read of the log', async () => {
    const log = new ReadLog();
    await readBackOf(log, 20);
    expect(log.streams).toEqual([]);
    expect(log.pages).toHaveLength(1);
  });

  it('is found among what others appended, by pages that ask for something', async () => {
    const log = new ReadLog();
    // More than a page between the first and the last: the rest is looked for in the next.
    await readBackOf(log, 200, 3);
    expect(log.streams).toEqual([]);
    expect(log.pages.length).toBeGreaterThan(1);
    expect(Math.min(...log.pages)).toBeGreaterThan(0);
  });

  it('is read stream by stream where too much of others stands between', async () => {
    const log = new ReadLog();
    await readBackOf(log, 5, 1_000);
    expect(log.streams.length).toBeGreaterThan(0);
    expect(log.pages.length).toBeLessThan(4);
  });

  it('is read stream by stream when it is little', async () => {
    const log = new ReadLog();
    await readBackOf(log, 3);
    expect(log).toMatchObject({ streams: ['job-0', 'job-1', 'job-2'], pages: [] });
  });

  it('is read stream by stream when the log cannot be read as a whole', async () => {
    const log = new ReadLog();
    log.error = new Unavailable('away');
    await readBackOf(log, 5);
    expect(log.streams).toHaveLength(5);
  });
});
