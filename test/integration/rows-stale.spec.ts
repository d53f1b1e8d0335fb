/** When a job counts as stale, what happens to it then, and what is told of it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SweepReport } from '../../src/api/contract.js';
import { startApp, type TestApp } from '../support/app.js';
import { DAY_MS, HOUR_MS, LedgerCaller, LONG_LEASE, STALE } from '../support/ledger-caller.js';

let app: TestApp;
let ledger: LedgerCaller;
beforeAll(async () => {
  app = await startApp();
  ledger = new LedgerCaller(app.url);
});
afterAll(() => app.close());

const stale = () => ledger.hold({ policy: STALE }, LONG_LEASE);

/** What a report says of a job; live and absent are the same. */
const verdictOn = ({ jobs }: SweepReport, id: string) => jobs.find(({ jobId }) => jobId === id)?.verdict ?? 'live';
const since = (from: string | null, to: string | null | undefined) => Date.parse(to ?? '') - Date.parse(from ?? '');

describe('a job under a time limit', () => {
  it('stays while it is younger than the limit, however silent it is [P-02]', async () => {
    const young = await ledger.hold({ policy: { timeoutMs: HOUR_MS, stallMs: 100 } }, LONG_LEASE);
    const id = young.job.id;
    // Claimed later: when this one was silent for too long, so was the other.
    await ledger.sweepUntil((await stale()).job.id, 'failed');
    expect(verdictOn(await ledger.sweep(), id)).toBe('live');
    const { status, startedAt, deadline } = await ledger.job(id);
    expect([status, deadline?.rule, since(startedAt, deadline?.at)]).toEqual(['running', 'stalled', HOUR_MS]);
  });

  it('is as old as its current attempt, not as the one before [P-02]', async () => {
    const first = await ledger.hold({ policy: { timeoutMs: HOUR_MS, stallMs: 100 } }, LONG_LEASE);
    const before = await ledger.job(first.job.id);
    await ledger.must(first, 'release', { reason: 'shutdown' });
    await ledger.next(first.job.queue, LONG_LEASE);
    const { startedAt, firstStartedAt, deadline } = await ledger.job(first.job.id);
    expect(since(before.startedAt, startedAt)).toBeGreaterThan(0);
    expect([firstStartedAt, since(startedAt, deadline?.at)]).toEqual([before.startedAt, HOUR_MS]);
  });

  it('stays while its work moves, however old it is [P-03]', async () => {
    const silenceMs = 30 * 60_000;
    const busy = await ledger.hold({ policy: { timeoutMs: 100, stallMs: silenceMs } }, LONG_LEASE);
    const id = busy.job.id;
    await ledger.must(busy, 'progress', { batchId: 'b1', processed: 1 });
    const control = await stale();
    await ledger.sweepUntil(control.job.id, 'failed');
    expect(verdictOn(await ledger.sweep(), id)).toBe('live');
    const before = await ledger.job(id);
    await ledger.must(busy, 'progress', { batchId: 'b2', processed: 1 });
    const after = await ledger.job(id);
    expect(since(before.lastActivityAt, after.lastActivityAt)).toBeGreaterThan(0);
    for (const { status, lastActivityAt, deadline } of [before, after]) {
      expect([status, deadline?.rule, since(lastActivityAt, deadline?.at)]).toEqual(['running', 'stalled', silenceMs]);
    }
  });

  it('is not kept by beats, repeats, logs and refusals: they are no work [P-03]', async () => {
    const idle = await ledger.hold({ policy: { ...STALE, stallMs: HOUR_MS } }, LONG_LEASE);
    await ledger.must(idle, 'progress', { batchId: 'b', processed: 1 });
    const { lastActivityAt, deadline } = await ledger.job(idle.job.id);
    await ledger.must(idle, 'heartbeat');
    await ledger.must(idle, 'progress', { batchId: 'b', processed: 1 });
    await ledger.worker(idle, 'logs', { lines: [{ level: 'info', message: 'still here' }] });
    expect((await ledger.post(`/v1/jobs/${idle.job.id}/retry`)).status).toBe(409);
    expect(await ledger.job(idle.job.id)).toMatchObject({ status: 'running', lastActivityAt, deadline });
  });

  it('is not kept by calls of who held it before, sweeps, or what others ask of it [D-24]', async () => {
    const before = await ledger.hold({ policy: { ...STALE, stallMs: HOUR_MS } }, LONG_LEASE);
    const { id, queue } = before.job;
    await ledger.must(before, 'release', { reason: 'shutdown' });
    const current = await ledger.next(queue, LONG_LEASE, 'current');
    await ledger.must(current, 'progress', { batchId: 'b', processed: 1 });
    const { lastActivityAt, deadline } = await ledger.job(id);
    for (const [call, body] of [
      ['heartbeat', {}],
      ['progress', { batchId: 'late', processed: 1 }],
      ['complete', {}],
    ] as const)
      expect((await ledger.worker(before, call, body)).body.code).toBe('stale_lease');
    expect(verdictOn(await ledger.sweep(), id)).toBe('live');
    expect((await ledger.post(`/v1/jobs/${id}/priority`, { priority: 5 })).status).toBe(409);
    expect(await ledger.job(id)).toMatchObject({ status: 'running', lastActivityAt, deadline });
    // A request to stop bounds it by a rule of its own, and is no work either.
    await ledger.command(id, 'cancel', { reason: 'no longer wanted' });
    const asked = await ledger.job(id);
    expect([asked.status, asked.lastActivityAt]).toEqual(['cancelling', lastActivityAt]);
    expect(Date.parse(asked.deadline!.at)).toBeLessThanOrEqual(Date.parse(deadline!.at));
  });
});

describe('a stale job', () => {
  it('fails with JobTimeout, and its message has both thresholds [P-04]', async () => {
    const { job } = await ledger.hold({ policy: { timeoutMs: 110, stallMs: 120 } }, LONG_LEASE);
    const failed = await ledger.sweepUntil(job.id, 'failed');
    expect(failed.error).toMatchObject({ code: 'JobTimeout', message: expect.stringMatching(/\b120\b.*\b110\b/) });
    expect(failed).toMatchObject({ finishedAt: expect.any(String), lease: null, deadline: null, deadLettered: false });
    expect(failed.failures).toMatchObject([{ run: 1, attempt: 1, code: 'JobTimeout' }]);
  });

  it('fails although it never said a word since it was claimed [P-04]', async () => {
    const { job } = await ledger.hold({ policy: STALE }, { ...LONG_LEASE, start: false });
    const failed = await ledger.sweepUntil(job.id, 'failed');
    expect(failed).toMatchObject({ error: { code: 'JobTimeout' }, startedAt: null, finishedAt: expect.any(String) });
  });

  it('has exactly one event of its end, with thresholds and the last sign of work [P-05]', async () => {
    const held = await stale();
    const id = held.job.id;
    const { position } = await ledger.must(held, 'progress', { batchId: 'b', processed: 1 });
    const { lastActivityAt, lease } = await ledger.job(id);
    const { finishedAt, revision } = await ledger.sweepUntil(id, 'failed');
    await ledger.sweep();
    const timeouts = await ledger.eventsOf(id, 'JobTimedOut');
    expect(timeouts).toHaveLength(1);
    expect(timeouts[0]).toMatchObject({
      at: finishedAt,
      revision,
      from: 'running',
      to: 'failed',
      actor: { type: 'reaper' },
      data: {
        rule: 'stalled',
        error: { code: 'JobTimeout' },
        evidence: {
          ...{ rule: 'stalled', thresholds: STALE, lastActivityAt, lastActivityPosition: position },
          ...{ lastBeatAt: lease?.lastBeatAt, ruleVersion: expect.any(Number), revision: revision - 1 },
          observedAt: expect.any(String),
        },
      },
    });
  });

  it('was judged by thresholds that its end tells, and is counted by rule [P-11]', async () => {
    const reaped = 'jobledger_jobs_reaped_total{rule="stalled"}';
    const { position } = (await ledger.jobs('')).at(0)!;
    const before = await ledger.metric(reaped, position);
    const policies = [
      { timeoutMs: 100, stallMs: 150 },
      { timeoutMs: 160, stallMs: 0 },
      { timeoutMs: 0, stallMs: 170 },
    ];
    let last = position;
    for (const policy of policies) {
      const { job } = await ledger.hold({ policy }, LONG_LEASE);
      last = (await ledger.sweepUntil(job.id, 'failed')).position;
      const [timeout] = await ledger.eventsOf(job.id, 'JobTimedOut');
      const { thresholds, observedAt } = timeout?.data['evidence'] as { thresholds: object; observedAt: string };
      expect(thresholds).toEqual(policy);
      const { firstStartedAt } = await ledger.job(job.id);
      expect(since(firstStartedAt, observedAt)).toBeGreaterThan(Math.max(policy.timeoutMs, policy.stallMs));
    }
    expect(await ledger.metric(reaped, last)).toBe(before + policies.length);
  });
});

describe('the clock of a worker', () => {
  const tomorrow = new Date(Date.now() + DAY_MS).toISOString();

  it('moves no time of the ledger, wherever it is said [Z-06]', async () => {
    const held = await stale();
    const id = held.job.id;
    const before = await ledger.job(id);
    const refused = await ledger.worker(held, 'heartbeat', { at: tomorrow });
    expect([refused.status, refused.body.errors[0].path]).toEqual([400, 'at']);
    const lines = [{ level: 'info', message: 'from the future', at: tomorrow }];
    expect((await ledger.worker(held, 'logs', { lines })).status).toBe(200);
    const headers = { date: new Date(tomorrow).toUTCString(), 'x-request-start': tomorrow };
    expect((await ledger.worker(held, 'progress', { batchId: 'b', processed: 1 }, { headers })).status).toBe(200);
    const { lastActivityAt, lastEventAt } = await ledger.job(id);
    expect(lastActivityAt).toBe(lastEventAt);
    expect(since(before.createdAt, lastActivityAt)).toBeLessThan(HOUR_MS);
    expect((await ledger.sweepUntil(id, 'failed')).error).toMatchObject({ code: 'JobTimeout' });
  });
});
