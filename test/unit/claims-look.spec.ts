/** Claims of many filters that wait cost one look for all of them, and each that is worth it a search. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ClaimedJob, ClaimRequest } from '../../src/commands/claim-request.js';
import { Claims } from '../../src/commands/claims.js';
import { Offers } from '../../src/commands/offers.js';
import type { ClaimFilter, Offer } from '../../src/leases/leases.js';

const COUNT = 1_000;

let offers: Offer[];
let looks: number;
let searched: ClaimFilter[];
let lookFails: Error | undefined;
let claims: Claims;

beforeEach(() => {
  [offers, looks, searched, lookFails] = [[], 0, [], undefined];
  const reservations = {
    offered: () => {
      looks += 1;
      return lookFails === undefined ? Promise.resolve(offers) : Promise.reject(lookFails);
    },
    reserve: (filter: ClaimFilter) => {
      searched.push(filter);
      return Promise.resolve([]);
    },
    release: () => Promise.resolve(),
  };
  claims = new Claims(
    ...([{}, {}, reservations, {}, {}, {}, 10_000] as unknown as ConstructorParameters<typeof Claims>),
  );
});
afterEach(() => claims.drain());

const claim = (filter: ClaimFilter, waitMs = 60_000): Promise<readonly ClaimedJob[]> => {
  const request: ClaimRequest = {
    ...{ workerId: 'w', filter, max: 1, waitMs, leaseMs: null, start: true, idempotency: null },
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

describe('a thousand claims of as many filters', () => {
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
