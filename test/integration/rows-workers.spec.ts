/** What workers are promised of their leases, their failures and their counts. Two processes serve one database. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ClaimedJob } from '../../src/api/contract.js';
import { startApp, type TestApp } from '../support/app.js';
import { waitFor } from '../support/e2e/wait.js';
import { HOUR_MS, LedgerCaller, LONG_LEASE, newQueue } from '../support/ledger-caller.js';

let apps: readonly TestApp[];
let ledger: LedgerCaller;
let other: LedgerCaller;
beforeAll(async () => {
  const first = await startApp();
  apps = [await startApp({ databaseUrl: first.databaseUrl }), first];
  [ledger, other] = apps.map(({ url }) => new LedgerCaller(url)) as [LedgerCaller, LedgerCaller];
});
afterAll(async () => {
  for (const app of apps) await app.close();
});

const since = (from: string | null | undefined, to: string | null | undefined) =>
  Date.parse(to ?? '') - Date.parse(from ?? '');
/** A delay counts from the decision, which is some time before its event, by a clock that is never ahead of the database's. */
const expectDelay = (at: string | undefined, availableAt: string | null, delayMs: number): void => {
  expect(since(at, availableAt)).toBeGreaterThan(delayMs - 10_000);
  expect(since(at, availableAt)).toBeLessThanOrEqual(delayMs);
};
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

describe('a claim', () => {
  it('moves a queued job to its worker once, with its start and its lease [P-23]', async () => {
    const queue = newQueue();
    const { jobId } = await ledger.create({ queue });
    const claimed = await ledger.next(queue, { leaseMs: HOUR_MS }, 'first');
    expect(await ledger.claims('second', { queues: [queue] })).toEqual([]);
    const job = await ledger.job(jobId);
    expect(job).toMatchObject({ status: 'running', attempt: 1, lease: { workerId: 'first' } });
    const [, , taken, started] = await ledger.events(jobId);
    expect(taken).toMatchObject({ type: 'JobClaimed', data: { workerId: 'first', leaseMs: HOUR_MS } });
    expect(started).toMatchObject({ type: 'JobStarted', actor: { type: 'worker', id: 'first' } });
    expect(job.startedAt).toBe(started?.at);
    // It is never shorter than the worker was told.
    expect(since(claimed.leaseExpiresAt, job.lease?.expiresAt)).toBeGreaterThanOrEqual(0);
    expect(since(taken?.at, job.lease?.expiresAt)).toBeGreaterThanOrEqual(HOUR_MS);
    expect(since(taken?.at, job.lease?.expiresAt)).toBeLessThan(HOUR_MS + 10_000);
  });

  it('gives one job to one of ten that ask at once, of two processes [B-25]', async () => {
    for (const round of times(5, (n) => n)) {
      const queue = newQueue();
      await ledger.create({ queue });
      const answers = await Promise.all(
        times(10, (n) => (n % 2 === 0 ? ledger : other).claims(`w${round}-${n}`, { queues: [queue] })),
      );
      const [claimed, ...more] = answers.flat();
      expect(more).toEqual([]);
      expect((await ledger.eventsOf(claimed!.job.id, 'JobClaimed')).length).toBe(1);
    }
  });
});

describe('a lease', () => {
  it('is renewed by a beat, for its own length or the one that the beat asks for [P-24]', async () => {
    const held = await ledger.hold({ policy: { leaseMs: 60_000 } });
    const { id } = held.job;
    for (const [body, lengthMs] of [
      [{}, 60_000],
      [{ leaseMs: HOUR_MS }, HOUR_MS],
      [{}, 60_000],
    ] as const) {
      const { body: beat } = await ledger.worker(held, 'heartbeat', body);
      const { lease, status } = await ledger.job(id);
      expect([status, since(lease?.lastBeatAt, lease?.expiresAt)]).toEqual(['running', lengthMs]);
      expect(beat).toEqual({ leaseExpiresAt: lease?.expiresAt, directive: 'continue' });
    }
  });

  it('is not renewed by a token of an attempt before, a forged one, or after its end [P-24]', async () => {
    const old = await ledger.hold();
    await ledger.must(old, 'release', { reason: 'shutdown' });
    const refusal = async (claimed: ClaimedJob) => {
      const { status, body } = await ledger.worker(claimed, 'heartbeat', { leaseMs: HOUR_MS });
      return [status, body.code as string, body.jobStatus as string];
    };
    expect(await refusal(old)).toEqual([409, 'stale_lease', 'queued']);
    const current = await ledger.next(old.job.queue);
    const { lease } = await ledger.job(old.job.id);
    expect(await refusal(old)).toEqual([409, 'stale_lease', 'running']);
    expect(await refusal({ ...current, leaseToken: `${current.leaseToken}x` })).toEqual([
      409,
      'stale_lease',
      'running',
    ]);
    expect((await ledger.job(old.job.id)).lease).toEqual(lease);
    await ledger.must(current, 'complete');
    expect(await refusal(current)).toEqual([409, 'stale_lease', 'completed']);
  });

  it('that lapses takes the job back to the queue three times, and then ends the run [P-25]', async () => {
    const queue = newQueue();
    const { jobId } = await ledger.create({ queue });
    for (const lost of [1, 2, 3]) {
      await ledger.next(queue, { leaseMs: 100 }, `w${lost}`);
      const job = await ledger.sweepUntil(jobId, 'queued');
      expect(job).toMatchObject({ lostLeases: lost, failedAttempts: 0, startedAt: null, lease: null, attempt: lost });
    }
    await ledger.next(queue, { leaseMs: 100 }, 'w4');
    expect(await ledger.sweepUntil(jobId, 'failed')).toMatchObject({
      ...{ error: { code: 'LeaseExpired' }, lostLeases: 4, failedAttempts: 0, deadLettered: true },
      failures: times(4, (n) => ({ attempt: n + 1, code: 'LeaseExpired' })),
    });
    const events = await ledger.events(jobId);
    const requeued = events.filter(({ type, data }) => type === 'JobQueued' && data['reason'] === 'lease_expired');
    const expired = events.filter(({ type }) => type === 'LeaseExpired');
    expect(requeued).toHaveLength(3);
    expect(expired.map(({ data }) => [data['workerId'], data['lostLeases']])).toEqual(
      times(4, (n) => [`w${n + 1}`, n + 1]),
    );
  });

  it('that lapses ends the run at once where none may be lost [P-25]', async () => {
    const { job } = await ledger.hold({ policy: { maxLostLeases: 0 } }, { leaseMs: 100 });
    expect((await ledger.sweepUntil(job.id, 'failed')).error).toMatchObject({ code: 'LeaseExpired' });
    expect(await ledger.eventsOf(job.id, 'LeaseExpired')).toHaveLength(1);
  });

  it('that lapses frees the job for another worker, and fences the first one [B-02]', async () => {
    const dead = await ledger.hold({}, { leaseMs: 100 });
    const { id, queue } = dead.job;
    await ledger.sweepUntil(id, 'queued');
    const late = await ledger.worker(dead, 'complete', { result: 'of the first' });
    expect([late.status, late.body.code]).toEqual([409, 'stale_lease']);
    const second = await ledger.next(queue, {}, 'w2');
    expect([second.job.id, second.attempt]).toEqual([id, 2]);
    expect((await ledger.worker(dead, 'complete', { result: 'of the first' })).status).toBe(409);
    await ledger.must(second, 'complete', { result: 'of the second' });
    expect(await ledger.job(id)).toMatchObject({ status: 'completed', result: 'of the second' });
  });
});

describe('a job that is throttled', () => {
  it('waits twice as long each time, for ten minutes at most [P-28]', async () => {
    let held = await ledger.hold();
    const { id, queue } = held.job;
    for (const expected of [200_000, 400_000, 600_000, 600_000]) {
      await ledger.must(held, 'throttle', { baseMs: 200_000 });
      const throttled = (await ledger.eventsOf(id, 'JobThrottled')).at(-1);
      expect(throttled?.data['retryAfterMs']).toBe(expected);
      const { status, startedAt, availableAt } = await ledger.job(id);
      expect([status, startedAt]).toEqual(['scheduled', null]);
      expectDelay(throttled?.at, availableAt, expected);
      await ledger.command(id, 'reschedule', { delayMs: 0 });
      held = await ledger.next(queue);
    }
  });

  it('is scheduled where all can see it, costs no attempt, and is claimed when its time has come [C-05]', async () => {
    let held = await ledger.hold({ maxAttempts: 1 });
    const { id, queue } = held.job;
    let before = '';
    for (const retryAfterMs of [100, 200, 300]) {
      await ledger.must(held, 'throttle', { retryAfterMs });
      const [listed] = await ledger.jobs(`queue=${queue}&status=scheduled`);
      expect(listed).toMatchObject({ id, waiting: { reason: 'throttled' }, failedAttempts: 0, lease: null });
      const { availableAt } = listed!;
      expect(listed?.waiting?.until).toBe(availableAt);
      expect(availableAt! > before).toBe(true);
      before = availableAt!;
      held = await ledger.next(queue);
      const claimedAt = (await ledger.eventsOf(id, 'JobClaimed')).at(-1)?.at;
      expect(since(availableAt, claimedAt)).toBeGreaterThanOrEqual(0);
    }
    expect(await ledger.job(id)).toMatchObject({ status: 'running', throttles: 3, attempt: 4, failedAttempts: 0 });
  });

  it('is not claimed before its time, by another process that is started later neither [C-05] [R-14]', async () => {
    const held = await ledger.hold();
    const { id, queue } = held.job;
    await ledger.must(held, 'throttle', { retryAfterMs: HOUR_MS });
    const { availableAt } = await ledger.job(id);
    const started = await startApp({ databaseUrl: apps[0]!.databaseUrl });
    try {
      const later = new LedgerCaller(started.url);
      for (const each of [ledger, later]) {
        await each.sweep();
        expect(await each.claims('eager', { queues: [queue] })).toEqual([]);
        expect(await each.job(id)).toMatchObject({ status: 'scheduled', availableAt });
      }
      await later.command(id, 'reschedule', { delayMs: 0 });
      expect((await later.next(queue)).job.id).toBe(id);
    } finally {
      await started.close();
    }
  });
});

describe('a failed attempt', () => {
  it('is tried again after a longer wait each time, until the attempts are used up [P-29]', async () => {
    const policy = { retry: { initialMs: 60_000, factor: 2, jitter: 0 } };
    let held = await ledger.hold({ policy });
    const { id, queue } = held.job;
    for (const delayMs of [60_000, 120_000]) {
      await ledger.must(held, 'fail', { code: 'ConnectionReset', message: 'reset by peer' });
      const failed = (await ledger.eventsOf(id, 'AttemptFailed')).at(-1);
      const job = await ledger.job(id);
      expect(job).toMatchObject({ status: 'scheduled', waiting: { reason: 'retry' }, deadLettered: false });
      expectDelay(failed?.at, job.availableAt, delayMs);
      await ledger.command(id, 'reschedule', { delayMs: 0 });
      held = await ledger.next(queue);
    }
    await ledger.must(held, 'fail', { code: 'Deadlock', message: 'the third' });
    expect(await ledger.job(id)).toMatchObject({
      ...{ status: 'failed', failedAttempts: 3, deadLettered: true, error: { code: 'Deadlock', message: 'the third' } },
      failures: [{ code: 'ConnectionReset' }, { code: 'ConnectionReset' }, { code: 'Deadlock' }],
    });
  });

  it('is the last one when it is not worth another [P-29]', async () => {
    const held = await ledger.hold({ maxAttempts: 10 });
    await ledger.must(held, 'fail', { code: 'BadInput', message: 'no such file', retryable: false });
    expect(await ledger.job(held.job.id)).toMatchObject({
      ...{ status: 'failed', failedAttempts: 1, deadLettered: true, error: { code: 'BadInput' } },
    });
  });

  it('says what went wrong, or is not taken [C-02]', async () => {
    const held = await ledger.hold();
    const { id } = held.job;
    for (const [body, path] of [
      [{ code: 'E', message: '' }, 'message'],
      [{ code: 'E' }, 'message'],
      [{ code: '', message: 'm' }, 'code'],
      [{ message: 'm' }, 'code'],
    ] as const) {
      const answer = await ledger.worker(held, 'fail', body);
      expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ path }] } });
    }
    expect((await ledger.job(id)).status).toBe('running');
    const error = { code: 'E', message: 'disk full', detail: { disk: 7 } };
    await ledger.must(held, 'fail', { ...error, retryable: false });
    expect(await ledger.job(id)).toMatchObject({ status: 'failed', error, result: null });
  });

  it('is followed by one that completes with its result, error and all [C-02]', async () => {
    const policy = { retry: { initialMs: 100, jitter: 0 } };
    const held = await ledger.hold({ policy });
    await ledger.must(held, 'fail', { code: 'E', message: 'once' });
    const result = { pages: [1, 2, null], title: 'ü' };
    await ledger.must(await ledger.next(held.job.queue), 'complete', { result });
    const { status, result: shown, failures, finishedAt } = await ledger.job(held.job.id);
    expect([status, shown, failures.length]).toEqual(['completed', result, 1]);
    expect((await ledger.eventsOf(held.job.id, 'JobCompleted')).map(({ at, data }) => [at, data['result']])).toEqual([
      [finishedAt, result],
    ]);
  });
});

describe('a worker that shuts down', () => {
  it('gives its job back at once, and that is no failure [P-30]', async () => {
    const held = await ledger.hold({ maxAttempts: 1 });
    const { id, queue } = held.job;
    expect(await ledger.must(held, 'release', { reason: 'shutdown' })).toMatchObject({
      ...{ status: 'queued', attempt: 1, events: ['JobReleased', 'JobQueued'] },
    });
    expect(await ledger.job(id)).toMatchObject({ failedAttempts: 0, lostLeases: 0, failures: [], lease: null });
    const [again] = await ledger.claims('w2', { queues: [queue] });
    expect([again?.job.id, again?.attempt]).toEqual([id, 2]);
    expect((await ledger.eventsOf(id, 'JobReleased')).map(({ data }) => data['reason'])).toEqual(['shutdown']);
  });
});

describe('progress', () => {
  it('never goes back, in whatever order reports arrive [P-31]', async () => {
    const held = await ledger.hold();
    const shown = async (body: object) => {
      await ledger.must(held, 'progress', body);
      const { processed, total, percent } = (await ledger.job(held.job.id)).progress;
      return [processed, total, percent];
    };
    expect(await shown({ batchId: 'b1', current: 10, total: 40 })).toEqual([10, 40, 25]);
    expect(await shown({ batchId: 'b2', current: 5, total: 20 })).toEqual([10, 40, 25]);
    expect(await shown({ batchId: 'b3', processed: 2 })).toEqual([12, 40, 30]);
    expect(await shown({ batchId: 'b1', current: 30 })).toEqual([12, 40, 30]);
    expect(await shown({ batchId: 'b4', current: 30 })).toEqual([30, 40, 75]);
  });

  it('and everything else is in the history, in either order, page by page [P-31]', async () => {
    const held = await ledger.hold();
    const { id } = held.job;
    for (const n of times(5, (index) => index)) await ledger.must(held, 'progress', { batchId: `b${n}`, processed: 1 });
    const all = await ledger.events(id);
    const seen: unknown[] = [];
    for (let cursor = ''; ;) {
      const { body } = await ledger.get(`/v1/jobs/${id}/events?order=desc&limit=4${cursor}`);
      expect(body.items.length).toBeLessThanOrEqual(4);
      seen.push(...(body.items as unknown[]));
      if (body.nextCursor === null) break;
      cursor = `&cursor=${encodeURIComponent(body.nextCursor as string)}`;
    }
    expect(seen).toEqual([...all].reverse());
    expect(all.map(({ type }) => type).slice(-6)).toEqual(['JobStarted', ...times(5, () => 'ProgressRecorded')]);
    for (const limit of [0, 201]) expect((await ledger.get(`/v1/jobs/${id}/events?limit=${limit}`)).status).toBe(400);
  });

  it('of 50 reporters at a time over two processes counts each report once, and refuses none [A-01] [D-25]', async () => {
    const held = await ledger.hold({ total: 400 }, LONG_LEASE);
    const { id } = held.job;
    const reports = times(400, (n) => ({ batchId: `b${n}`, processed: 1, failed: n % 4 === 0 ? 1 : 0 }));
    // Every tenth is sent twice.
    const left = [...reports, ...reports.filter((_, n) => n % 10 === 0)];
    let seen = 0;
    const reporter = async (n: number) => {
      const mine = n % 2 === 0 ? ledger : other;
      for (let report = left.pop(); report !== undefined; report = left.pop()) {
        await mine.must(held, 'progress', report);
        const { processed } = (await mine.job(id)).progress;
        expect(processed).toBeGreaterThanOrEqual(n === 0 ? seen : 1);
        if (n === 0) seen = processed;
      }
    };
    await Promise.all(times(50, reporter));
    expect((await ledger.job(id)).progress).toMatchObject({ processed: 400, failed: 100, percent: 100 });
    expect(await ledger.eventsOf(id, 'ProgressRecorded')).toHaveLength(400);
  });

  it('that was recorded, and whose answer nobody heard, counts once when it is sent again [A-20]', async () => {
    const held = await ledger.hold({}, LONG_LEASE);
    const { id } = held.job;
    const { hostname, port } = new URL(apps[0]!.url);
    for (const n of [1, 2, 3]) {
      const report = { batchId: `b${n}`, processed: 1 };
      const body = JSON.stringify({ leaseToken: held.leaseToken, ...report });
      const socket = connect(Number(port), hostname);
      await once(socket, 'connect');
      // Nothing reads: what is answered is lost.
      socket.pause();
      const head = `POST /v1/jobs/${id}/progress HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json\r\n`;
      socket.write(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      await waitFor('the report to be recorded', async () => (await ledger.job(id)).progress.processed === n);
      socket.destroy();
      expect((await other.must(held, 'progress', report)).events).toEqual([]);
      expect((await ledger.job(id)).progress.processed).toBe(n);
    }
    expect(await ledger.eventsOf(id, 'ProgressRecorded')).toHaveLength(3);
  });
});
