/** What a subscription has said of the log stands for a read of it, and for no more than was heard. */
import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { encodeRequest, type EncodedRequest } from '../../src/event-store/encoded-request.js';
import type { StoredEvent } from '../../src/event-store/eventstoredb/driver.js';
import { HeardLog } from '../../src/event-store/eventstoredb/heard-log.js';

let position = 0n;
const event = (stream: string, revision: number, id: string = randomUUID()): StoredEvent => ({
  ...{ id, type: 'Happened', stream, revision, position: (position += 100n) },
  ...{ data: { large: true }, metadata: { jobledger: { at: '2026-01-01T00:00:00.000Z', version: 1 } } },
});

const requestOf = (stream: string): EncodedRequest => {
  const events = [1, 2].map(() => ({ id: randomUUID(), type: 'Happened', version: 1, data: {}, metadata: {} }));
  return encodeRequest({ stream, expected: 'noStream', events }, 0, Infinity) as EncodedRequest;
};

const heardOf = (...events: readonly StoredEvent[]): HeardLog => {
  const heard = new HeardLog();
  heard.begin();
  for (const each of events) heard.hear(each);
  return heard;
};

describe('the end of a stream', () => {
  it('is that of its last event, also of one that began before', async () => {
    const [job, work] = [event('job-1', 0), event('work-1', 7)];
    const heard = heardOf(job, work);
    expect(await heard.endOf('work-1', job)).toBe(7);
  });

  it('is before its first event when the stream beside it began under the eyes of the subscription', async () => {
    const job = event('job-1', 0);
    expect(await heardOf(job).endOf('work-1', job)).toBe(-1);
  });

  it('is unknown when what stands before the subscription may say more', async () => {
    const job = event('job-1', 4);
    expect(await heardOf(job).endOf('work-1', job)).toBeUndefined();
  });

  it('is asked for once everything up to the place beside it was heard', async () => {
    const [job, work, last] = [event('job-1', 0), event('work-1', 0), event('job-1', 1)];
    const heard = heardOf(job);
    const end = heard.endOf('work-1', last);
    heard.hear(work);
    heard.hear(last);
    expect(await end).toBe(0);
  });

  it('is unknown of what was forgotten for the sake of others', async () => {
    const [job, work] = [event('job-1', 0), event('work-1', 0)];
    const heard = heardOf(job, work);
    for (let n = 0; n < 80_000; n += 1) {
      // The job goes on, its facts do not.
      if (n % 10_000 === 0) heard.hear(event('job-1', 1 + n / 10_000));
      heard.hear(event(`other-${n}`, 0));
    }
    expect(await heard.endOf('work-1', job)).toBeUndefined();
    const young = event('job-2', 0);
    heard.hear(young);
    expect(await heard.endOf('work-2', young)).toBe(-1);
  });

  it('is unknown once the subscription broke, for those who wait for it too', async () => {
    const [job, later] = [event('job-1', 0), event('job-1', 1)];
    const heard = heardOf(job);
    const waiting = heard.endOf('work-1', later);
    heard.forget();
    expect([await waiting, await heard.endOf('work-1', job)]).toEqual([undefined, undefined]);
  });
});

describe('events that were appended', () => {
  it('are those that were heard at their place, if they are', async () => {
    const [request, other] = [requestOf('job-1'), requestOf('job-1')];
    const there = request.events.map(({ id }, index) => event('job-1', index, id));
    const heard = heardOf(...there);
    const found = await heard.eventsOf(request, 0, there[1]!.position);
    expect(found?.map(({ id, data }) => [id, data])).toEqual(request.events.map(({ id }) => [id, {}]));
    expect(await heard.eventsOf(other, 0, there[1]!.position)).toBeUndefined();
    expect(await heard.eventsOf(request, 1, there[1]!.position)).toBeUndefined();
  });
});
