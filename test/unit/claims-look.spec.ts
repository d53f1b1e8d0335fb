/** Claims of many filters that wait cost one look for all of them, and each that is worth it a search. */
import { performance } from 'node:perf_hooks';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { ClaimedJob, ClaimRequest } from '../../src/commands/claim-request.js';
import { Claims } from '../../src/commands/claims.js';
import { Offers } from '../../src/commands/offers.js';
import type { ClaimFilter, Offer } from '../../src/leases/leases.js';

const COUNT = 999;
const MAX_FOUND = 1_000;
const POLL_MS = 500;

let offers: Offer[];
let looks: number;
let searched: ClaimFilter[];
let wanted: number[];
let free: string[];
let takers: string[];
let lookFails: Error | undefined;
let claims: Claims;

beforeEach(() => {
  [offers, looks, searched, wanted, free, takers, lookFails] = [[], 0, [], [], [], [], undefined];
  const reservations = {
    offered: () => {
      looks += 1;
      return lookFails === undefined ? Promise.resolve(offers) : Promise.reject(lookFails);
    },
    reserve: (filter: ClaimFilter, max: number) => {
      searched.push(filter);
      wanted.push(max);
      return Promise.resolve(free.splice(0, max).map((jobId) => ({ jobId, row: undefined })));
    },
    release: () => Promise.resolve(),
  };
  // What is found stays with the claim that it was handed to: no append ends.
  const pipeline = {
    submit: ({ members }: { members: { command: { workerId: string } }[] }) => {
      takers.push(members[0]!.command.workerId);
      return new Promise(() => undefined);
    },
  };
  claims = new Claims(
    ...([{}, {}, reservations, {}, {}, pipeline, 10_000] as unknown as ConstructorParameters<typeof Claims>),
  );
});
afterEach(() => claims.drain());

const claim = (filter: ClaimFilter, waitMs = 60_000, workerId = 'w'): Promise<readonly ClaimedJob[]> => {
  const request: ClaimRequest = {
    ...{ workerId, filter, max: 1, waitMs, leaseMs: null, start: true, idempotency: null },
    origin: { actor: { type: 'worker', id: 'w' }, commandId: 'c', correlationId: null, traceparent: null },
    signal: new AbortController().signal,
  };
  return claims.claim(request);
};
const claimAll = (count: number, waitMs?: number): Promise<readonly ClaimedJob[]>[] =>
  Array.from({ length: count }, (_, n) => claim({ queues: [`q${n}`], types: ['t'] }, waitMs));
const turns = async (): Promise<void> => {
  for (let n = 0; n < 10; n += 1) await new Promise(setImmediate);
};

describe('many claims of as many filters', () => {
  it('look once together, and search for what is there', async () => {
    void claimAll(COUNT);
    await turns();
    expect([looks, searched]).toEqual([1, []]);
    offers = [
      { queue: 'q7', type: 't' },
      { queue: 'q8', type: 'other' },
    ];
    claims.wake();
    await turns();
    expect([looks, searched]).toEqual([2, [{ queues: ['q7'], types: ['t'] }]]);
  });

  it('are all told when the look fails', async () => {
    lookFails = new Error('the database is away');
    const ends = await Promise.allSettled(claimAll(COUNT));
    expect(new Set(ends.map((end) => (end.status === 'rejected' ? (end.reason as unknown) : end.status)))).toEqual(
      new Set([lookFails]),
    );
  });

  it('go home when their time is up, searched for or not', async () => {
    offers = [{ queue: 'q7', type: 't' }];
    expect((await Promise.all(claimAll(COUNT, 0))).flat()).toEqual([]);
    expect([looks, searched.length]).toEqual([1, 1]);
  });
});

describe('a claim that comes', () => {
  it('is looked for alone: those that wait were looked for before it', async () => {
    void claimAll(COUNT);
    await turns();
    void claim({ queues: ['q7'] });
    await turns();
    expect([looks, searched]).toEqual([1, [{ queues: ['q7'] }]]);
    claims.wake();
    await turns();
    expect(looks).toBe(2);
  });

  it('costs a search for what it asks for, however many wait for the same', async () => {
    for (let n = 0; n < COUNT; n += 1) void claim({});
    await turns();
    void claim({});
    await turns();
    expect(wanted).toEqual([COUNT, 1]);
    claims.wake();
    await turns();
    expect(wanted).toEqual([COUNT, 1, MAX_FOUND]);
  });

  it('gets nothing before those that came earlier, and leaves them nothing unseen', async () => {
    for (const workerId of ['first', 'second', 'third']) void claim({}, 60_000, workerId);
    await turns();
    free = ['a', 'b'];
    void claim({}, 60_000, 'last');
    await turns();
    expect(takers).toEqual(['first', 'second']);
    expect(wanted).toEqual([3, 1, 3]);
  });

  it('does not put off the look for all that waited', async () => {
    let now = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now);
    void claim({ queues: ['waits'] });
    await turns();
    now = POLL_MS;
    void claim({ queues: ['came'] });
    await turns();
    clock.mockRestore();
    expect(searched.map(({ queues }) => queues?.[0])).toEqual(['waits', 'waits', 'came']);
  });
});

it('a claim whose time is up is searched for once more, for itself', async () => {
  const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
  for (let n = 0; n < COUNT; n += 1) void claim({});
  const answer = claim({}, 1, 'short');
  await turns();
  clock.mockReturnValue(POLL_MS - 1);
  expect(await answer).toEqual([]);
  clock.mockRestore();
  expect(wanted).toEqual([COUNT + 1, 1]);
});

it('few filters are searched for at once', async () => {
  void claimAll(3);
  await turns();
  expect([looks, searched.length]).toEqual([0, 3]);
});

describe('what is offered', () => {
  const offered = new Offers([
    { queue: 'a', type: 'x' },
    { queue: 'a', type: 'y' },
    { queue: 'b', type: 'z' },
  ]);

  it.each<[ClaimFilter, boolean]>([
    [{}, true],
    [{ queues: ['a'] }, true],
    [{ queues: ['c'] }, false],
    [{ queues: ['a'], types: ['y'] }, true],
    [{ types: ['z'] }, true],
    [{ types: ['w'] }, false],
    [{ queues: ['a'], types: ['z'] }, false],
    [{ queues: ['a', 'b'], types: ['w', 'z'] }, true],
  ])('is for %j: %s', (filter, isThere) => {
    expect(offered.has(filter)).toBe(isThere);
  });

  it('is for nobody when there is nothing', () => {
    expect(new Offers([]).has({})).toBe(false);
  });
});
