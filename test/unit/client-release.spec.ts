/** A worker that gives jobs back by itself: it keeps away from their type for a while, so that it does not get them again at once. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JobledgerClient, ReleaseError, Worker } from '../../src/client/client.js';
import type { ClaimRequest, Handler, WorkerOptions } from '../../src/client/client.js';
import { FakeClock } from '../support/fake-clock.js';
import { ScriptedLedger, neverAnswer, type Reply } from '../support/scripted-ledger.js';
import { BEAT_MS, CLAIM, acceptAll, beatAnswer, claimedJob, claims } from '../support/worked-job.js';

let ledger: ScriptedLedger;
let clock: FakeClock;
let worker: Worker;

beforeEach(async () => {
  ledger = await ScriptedLedger.start();
  clock = new FakeClock();
});
afterEach(async () => {
  await worker.stop();
  await ledger.close();
});

const work = (handler: Handler, options: Partial<WorkerOptions> = { types: ['resize'] }): void => {
  const client = new JobledgerClient({ baseUrl: ledger.url, clock });
  worker = new Worker({ client, workerId: 'w1', handler, ...options });
  worker.start();
};
const release: Handler = () => Promise.reject(new ReleaseError('maintenance'));
let started: (id: string) => void = () => undefined;
const hasStarted = (awaited: string): Promise<void> =>
  new Promise((resolve) => {
    started = (id) => {
      if (id === awaited) resolve();
    };
  });
/** The n-th claim that the worker made. */
const asked = async (nth: number): Promise<ClaimRequest> =>
  (await ledger.received(CLAIM, nth)).body as unknown as ClaimRequest;
const claimsSoFar = (): number => ledger.calls.filter((call) => call === CLAIM).length;

describe('a worker that gives back what it gets', () => {
  it('asks for it again later and later, up to a limit', async () => {
    acceptAll(ledger, 'a');
    ledger.script(CLAIM, claims(claimedJob('a')));
    work(release);
    let made = 1;
    for (const ms of [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) {
      await clock.waiting(ms);
      expect(claimsSoFar()).toBe(made);
      clock.advance(ms);
      made += 1;
      await ledger.received(CLAIM, made);
    }
  });

  it('says so once, when it released the same job ten times in a row', async () => {
    acceptAll(ledger, 'a');
    ledger.script(CLAIM, claims(claimedJob('a')));
    const lines: string[] = [];
    const { warn } = console;
    console.warn = (line: string): unknown => lines.push(line);
    try {
      let attempts = 0;
      // The third attempt ends otherwise: what was before it does not count.
      work((job, context) => {
        attempts += 1;
        return attempts === 3 ? 'done' : release(job, context);
      });
      for (const ms of [500, 1_000, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]) await clock.elapse(ms);
      await clock.waiting(15_000);
      expect(lines).toEqual([]);
      await clock.elapse(15_000);
      await clock.waiting(15_000);
      const said = [expect.stringMatching(/^jobledger worker w1: job a \(resize\) was released 10 times in a row/)];
      expect(lines).toEqual(said);
      await clock.elapse(15_000);
      await clock.waiting(15_000);
      expect(lines).toEqual(said);
    } finally {
      console.warn = warn;
    }
  });

  it('begins anew once an attempt of the type ended in another way', async () => {
    acceptAll(ledger, 'a');
    ledger.script(CLAIM, claims(claimedJob('a')));
    let attempts = 0;
    work((job, context) => {
      attempts += 1;
      return attempts === 3 ? 'done' : release(job, context);
    });
    for (const ms of [500, 1_000, 500]) await clock.elapse(ms);
    await ledger.received(CLAIM, 5);
    expect(ledger.calls.filter((call) => call === 'POST /v1/jobs/a/complete')).toHaveLength(1);
  });

  it('does not wait longer for jobs that it had claimed together', async () => {
    for (const id of ['a', 'b']) acceptAll(ledger, id);
    ledger.script(CLAIM, claims(claimedJob('a'), claimedJob('b')), neverAnswer);
    let back = 0;
    const both = new Promise<void>((resolve) => {
      const handedBack = (): void => {
        back += 1;
        if (back === 2) resolve();
      };
      work(release, { types: ['resize'], concurrency: 2, listeners: { handedBack } });
    });
    await both;
    await new Promise(setImmediate);
    await clock.elapse(500);
    await ledger.received(CLAIM, 2);
  });

  it('takes once what a claim brings that was under way before, and claims no more then', async () => {
    for (const id of ['a', 'b']) acceptAll(ledger, id);
    let bring: () => void = () => undefined;
    const held: Reply = (response, request) => {
      bring = () => claims(claimedJob('b'))(response, request);
    };
    ledger.script(CLAIM, claims(claimedJob('a')), held, neverAnswer);
    let letGo: () => void = () => undefined;
    const until = new Promise<void>((resolve) => (letGo = resolve));
    work((job, context) => (job.id === 'a' ? until.then(() => release(job, context)) : release(job, context)), {
      types: ['resize'],
      concurrency: 2,
    });
    await ledger.received(CLAIM, 2);
    letGo();
    await ledger.received('POST /v1/jobs/a/release');
    bring();
    await ledger.received('POST /v1/jobs/b/release');
    await clock.waiting(500);
    expect(claimsSoFar()).toBe(2);
    clock.advance(500);
    await ledger.received(CLAIM, 3);
  });

  it('asks for its other types meanwhile, and no longer than that', async () => {
    acceptAll(ledger, 'a');
    ledger.script(CLAIM, claims(claimedJob('a')), claims(), neverAnswer);
    work(release, { types: ['resize', 'crop'] });
    expect(await asked(2)).toMatchObject({ types: ['crop'], waitMs: 500 });
    await clock.elapse(1_000);
    expect(await asked(3)).toMatchObject({ types: ['resize', 'crop'], waitMs: 20_000 });
  });

  it('asks for nothing meanwhile when it takes any type', async () => {
    acceptAll(ledger, 'a');
    ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
    work(release, {});
    await clock.waiting(500);
    expect(claimsSoFar()).toBe(1);
    clock.advance(500);
    expect(await asked(2)).not.toHaveProperty('types');
  });

  it('keeps away for its time, though another job of the type is done meanwhile', async () => {
    for (const id of ['a', 'b', 'c']) acceptAll(ledger, id);
    const ends = new Map<string, () => void>();
    ledger.script(CLAIM, claims(claimedJob('a'), claimedJob('b')), claims(claimedJob('c', null, 'crop')), neverAnswer);
    const hold = (id: string): Promise<void> => new Promise((end) => ends.set(id, end));
    const handler: Handler = (job, context) => (job.id === 'a' ? release(job, context) : hold(job.id));
    work(handler, { types: ['resize', 'crop'], concurrency: 2, listeners: { claimed: ({ job }) => started(job.id) } });
    await hasStarted('c');
    ends.get('b')!();
    expect((await asked(3)).types).toEqual(['crop']);
    ends.get('c')!();
  });

  it('goes on at once when it was told to pause, which its release does', async () => {
    acceptAll(ledger, 'a');
    ledger.script('POST /v1/jobs/a/heartbeat', beatAnswer('pause'));
    ledger.script(CLAIM, claims(claimedJob('a')), neverAnswer);
    work(
      (_job, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new ReleaseError('as told')));
        }),
    );
    await clock.elapse(BEAT_MS);
    await ledger.received(CLAIM, 2);
  });
});
