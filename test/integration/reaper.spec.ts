import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { Service } from '../../src/service.js';
import { ReapJob } from '../../src/reaper/reap.saga.js';
import type { SweepReport, SweptJob } from '../../src/reaper/sweep.js';
import { call, claim, create, execute, TestLedger, tokenOf } from '../support/ledger.js';

/** Sweeps until the job is acted on: deadlines are real, and short. */
const sweepUntil = async (service: Service, jobId: string): Promise<SweptJob & { report: SweepReport }> => {
  for (;;) {
    const report = await service.reaper.sweep();
    const swept = report.jobs.find((job) => job.jobId === jobId && job.verdict !== 'live');
    if (swept !== undefined) return { ...swept, report };
  }
};

const eventsOf = async (service: Service, jobId: string): Promise<readonly { type: string; data: unknown }[]> =>
  (await service.store.readStream(`job-${jobId}`)).map(({ type, data }) => ({ type, data }));

/** A deadline that passed in the database, as time would have it. */
const lapse = (service: Service, jobId: string): Promise<unknown> =>
  service.pool.query(
    `update jobledger.leases set expires_at = jobledger.now_ms() - interval '1 s',
       deadline_at = jobledger.now_ms() - interval '2 s' where job_id = $1`,
    [jobId],
  );

describe('the reaper on PostgreSQL', () => {
  let ledger: TestLedger;
  let service: Service;
  beforeAll(async () => {
    ledger = await TestLedger.open();
    service = ledger.service;
  });
  afterAll(() => ledger.close());

  const runningJob = async (over: Parameters<typeof create>[1] = {}, leaseMs: number | null = null) => {
    const { jobId } = await create(service, { queue: `q-${Math.random().toString(36).slice(2)}`, ...over });
    const queue = (await service.rows.load([jobId])).get(jobId)!.job.spec.queue;
    const [claimed] = await claim(service, { filter: { queues: [queue] }, leaseMs });
    return { jobId, queue, token: tokenOf(claimed!) };
  };

  it('fails a job that is over age and silent, with both thresholds in the message and in the evidence', async () => {
    const { jobId } = await runningJob({ policy: { timeoutMs: 100, stallMs: 150 } });
    await service.pool.query('update jobledger.leases set deadline_at = jobledger.now_ms() where job_id = $1', [jobId]);
    const swept = await sweepUntil(service, jobId);
    expect(swept).toMatchObject({ rule: 'stalled', verdict: 'failed' });
    const timedOut = (await eventsOf(service, jobId)).at(-1);
    expect(timedOut).toMatchObject({
      type: 'JobTimedOut',
      data: {
        rule: 'stalled',
        error: { code: 'JobTimeout', message: expect.stringMatching(/150 ms.*100 ms/) },
        evidence: { rule: 'stalled', thresholds: { timeoutMs: 100, stallMs: 150 }, ruleVersion: 1 },
      },
    });
    expect((await service.leases.find([jobId])).size).toBe(0);
  });

  it('requeues or cancels a stale job where its policy says so', async () => {
    const requeued = await runningJob({ policy: { timeoutMs: 100, stallMs: 100, onStale: 'requeue' } });
    expect(await sweepUntil(service, requeued.jobId)).toMatchObject({ rule: 'stalled', verdict: 'requeued' });
    const cancelled = await runningJob({ policy: { timeoutMs: 100, stallMs: 100, onStale: 'cancel' } });
    expect(await sweepUntil(service, cancelled.jobId)).toMatchObject({ rule: 'stalled', verdict: 'cancelled' });
    expect((await eventsOf(service, cancelled.jobId)).at(-1)).toMatchObject({
      type: 'JobCancelled',
      data: { reason: 'stale', forced: true, rule: 'stalled' },
    });
  });

  it('never acts on a job that a beat renewed after it was judged', async () => {
    const { jobId, token } = await runningJob();
    await lapse(service, jobId);
    const before = (await service.leases.find([jobId])).get(jobId)!;
    expect(await service.leases.renew([{ jobId, ...token, leaseMs: null }])).toEqual([
      expect.objectContaining({ directive: 'continue' }),
    ]);
    const { stored } = { stored: (await service.rows.load([jobId])).get(jobId)! };
    const clocks = { leaseExpiresAt: before.expiresAt, lastBeatAt: before.lastBeatAt, lastActivityAt: 0 };
    const command = { name: 'reap', clocks, lastActivityPosition: stored.lastActivityPosition } as const;
    const late = new ReapJob(jobId, 'lease_expired', command, before.beats, stored.job.revision);
    await expect(service.reap(late)).rejects.toThrow('moved while it was judged');
    expect((await eventsOf(service, jobId)).map(({ type }) => type)).toEqual([
      'JobCreated',
      'JobQueued',
      'JobClaimed',
      'JobStarted',
    ]);
    const report = await service.reaper.sweep();
    expect(report.jobs.filter((job) => job.jobId === jobId).map(({ verdict }) => verdict)).toEqual(['live']);
  });

  it('acts once when two sweep at the same time', async () => {
    const other = await ledger.another();
    const jobs: string[] = [];
    for (let i = 0; i < 50; i += 1) jobs.push((await runningJob()).jobId);
    for (const jobId of jobs) await lapse(service, jobId);
    await Promise.all([service.reaper.sweep(), other.reaper.sweep(), service.reaper.sweep()]);
    for (const jobId of jobs) {
      const expired = (await eventsOf(service, jobId)).filter(({ type }) => type === 'LeaseExpired');
      expect(expired).toEqual([expect.objectContaining({ data: expect.objectContaining({ lostLeases: 1 }) })]);
    }
    await other.close();
  });

  it('moves a due retry, and a claim takes one without any reaper', async () => {
    const policy = { retry: { initialMs: 100, factor: 1, maxMs: 100, jitter: 0 } };
    const first = await runningJob({ policy });
    await execute(service, first.jobId, 'fail', { token: first.token });
    expect(await sweepUntil(service, first.jobId)).toMatchObject({ rule: 'due', verdict: 'moved' });
    const second = await runningJob({ policy });
    await execute(service, second.jobId, 'fail', { token: second.token });
    const [claimed] = await claim(service, { filter: { queues: [second.queue] }, waitMs: 10_000 });
    expect(claimed?.outcome).toMatchObject({ jobId: second.jobId, attempt: 2 });
    expect((await eventsOf(service, second.jobId)).map(({ type }) => type).slice(-3)).toEqual([
      'JobQueued',
      'JobClaimed',
      'JobStarted',
    ]);
  });

  it('forces the end of a cancel that its worker ignores, and ends it at once when the lease lapses', async () => {
    const forced = await runningJob({ policy: { cancelLimitMs: 100 } });
    await execute(service, forced.jobId, 'cancel', { reason: 'enough' });
    expect(await sweepUntil(service, forced.jobId)).toMatchObject({ rule: 'cancel_forced', verdict: 'cancelled' });
    const lapsed = await runningJob({}, 100);
    await execute(service, lapsed.jobId, 'cancel', { reason: 'enough' });
    expect(await sweepUntil(service, lapsed.jobId)).toMatchObject({ rule: 'lease_expired', verdict: 'cancelled' });
  });

  it('expires a wait by its own limit', async () => {
    const { jobId, token } = await runningJob({ policy: { waitLimitMs: 100 } });
    await execute(service, jobId, 'wait', { token, reason: 'approval' });
    expect(await sweepUntil(service, jobId)).toMatchObject({ rule: 'wait_expired', verdict: 'failed' });
    const { job } = (await service.rows.load([jobId])).get(jobId)!;
    expect(job.error?.code).toBe('WaitExpired');
    expect(job.failures).toHaveLength(1);
  });

  it('says what it would do in a dry run, and does nothing', async () => {
    const { jobId } = await runningJob();
    await lapse(service, jobId);
    const report = await service.reaper.sweep(true);
    expect(report.dryRun).toBe(true);
    expect(report.jobs).toContainEqual({ jobId, rule: 'lease_expired', verdict: 'requeued' });
    expect((await eventsOf(service, jobId)).at(-1)?.type).toBe('JobStarted');
    await service.reaper.sweep();
  });

  describe('with a job that cannot be read', () => {
    const broken = '00000000-0000-7000-8000-000000000000';
    afterEach(() => service.pool.query('delete from jobledger.leases where job_id = $1', [broken]));

    it('reaps the nine others and counts one error', async () => {
      const jobs: string[] = [];
      for (let i = 0; i < 9; i += 1) jobs.push((await runningJob()).jobId);
      for (const jobId of jobs) await lapse(service, jobId);
      await service.pool.query(
        `insert into jobledger.leases (job_id, run, attempt, worker_id, expires_at, deadline_at)
         values ($1, 1, 1, 'w', jobledger.now_ms() - interval '2 s', jobledger.now_ms() - interval '3 s')`,
        [broken],
      );
      const report = await service.reaper.sweep();
      expect(report).toMatchObject({ requeued: 9, errors: 1 });
      expect(report.due).toBe(report.requeued + report.errors + report.skippedLive + report.moved);
    });
  });

  describe('with a job that cannot be judged just now', () => {
    it('says which, and judges it again soon by itself, not at the next interval', async () => {
      const stranger = new pg.Client({ connectionString: ledger.url });
      await stranger.connect();
      const { jobId } = await runningJob();
      await stranger.query('begin');
      await stranger.query('select from jobledger.jobs where id = $1 for update', [jobId]);
      await lapse(service, jobId);
      service.reaper.start();
      const lastError = async () => (await service.watch.status()).lastError;
      for (;;) if ((await lastError())?.includes(jobId) === true) break;
      await stranger.query('rollback');
      await stranger.end();
      // The interval of this service is longer than a test may take.
      for (;;) if ((await service.rows.load([jobId])).get(jobId)!.job.lostLeases === 1) break;
      for (;;) if ((await lastError()) === null) break;
      await service.reaper.stop();
    });
  });

  it('makes a lost lease row again, with a full lease of grace', async () => {
    const { jobId, token } = await runningJob();
    await service.pool.query('delete from jobledger.leases where job_id = $1', [jobId]);
    const beat = await service.ledger.heartbeat(
      jobId,
      { name: 'heartbeat', token, checkpoint: null, state: 'working' },
      {
        origin: { actor: { type: 'worker', id: 'w1' }, commandId: 'c', correlationId: null, traceparent: null },
        idempotency: null,
        ifMatch: null,
        onlyJobsOf: null,
        bytes: 0,
      },
      null,
    );
    expect(beat.events).toEqual(['WorkerStateReported']);
    expect((await service.leases.find([jobId])).get(jobId)).toMatchObject({ run: 1, attempt: 1, workerId: 'w1' });
  });

  it('makes it again for a bare beat too', async () => {
    const { jobId, token } = await runningJob();
    await service.pool.query('delete from jobledger.leases where job_id = $1', [jobId]);
    const beat = { name: 'heartbeat', token, checkpoint: null, state: null } as const;
    const answer = await service.ledger.heartbeat(jobId, beat, call(), null);
    expect(answer.leaseExpiresAt).toBeGreaterThan(service.clock.now());
    expect((await service.leases.find([jobId])).get(jobId)).toMatchObject({ workerId: 'w1' });
  });

  it('lets anybody see how overdue the most overdue job is', async () => {
    const { jobId } = await runningJob();
    await lapse(service, jobId);
    const status = await service.watch.status();
    expect(status.overdue).toBeGreaterThanOrEqual(1);
    expect(status.mostOverdueMs).toBeGreaterThan(500);
    await service.reaper.sweep();
    expect((await service.watch.status()).overdue).toBe(0);
  });

  it('gives the job that a worker lost to none of its open claims: it may be frozen with them [B-02]', async () => {
    const { jobId, queue } = await runningJob();
    const open = claim(service, { filter: { queues: [queue] }, waitMs: 60_000 });
    // Searched for together, or after it: from here on the first is open.
    expect(await claim(service, { filter: { queues: [queue] } })).toEqual([]);
    await lapse(service, jobId);
    await service.reaper.sweep();
    expect(await open).toEqual([]);
    const [claimed] = await claim(service, { workerId: 'w2', filter: { queues: [queue] } });
    expect(claimed?.outcome).toMatchObject({ jobId, attempt: 2 });
  });

  describe('when the ledger was away', () => {
    /** As the database is after nobody led for 20 s. */
    const away = (): Promise<unknown> =>
      service.pool.query(
        `update jobledger.reaper set leader = 'gone', back_at = null, away_from = null,
           led_at = jobledger.now_ms() - interval '20 s', leads_until = jobledger.now_ms() - interval '18 s'`,
      );
    const lapsedAgo = (jobId: string, agoMs: number, leaseMs: number): Promise<unknown> =>
      service.pool.query(
        // The clock is read once: between two readings its millisecond can turn.
        `update jobledger.leases set expires_at = now.at - $2::int * interval '1 ms',
           last_beat_at = now.at - $3::int * interval '1 ms', deadline_at = now.at - $3::int * interval '1 ms'
         from (select jobledger.now_ms() as at offset 0) now where job_id = $1`,
        [jobId, agoMs, agoMs + leaseMs],
      );
    /** Leads until a sweep that began after this is over. */
    const sweptOnce = async (): Promise<void> => {
      const { sweeps } = await service.watch.status();
      service.reaper.start();
      while ((await service.watch.status()).sweeps === sweeps) await new Promise((resolve) => setImmediate(resolve));
    };
    const lapsesOf = async (jobId: string) =>
      (await eventsOf(service, jobId)).filter(({ type }) => type === 'LeaseExpired');
    afterEach(() => service.reaper.stop());

    it('lets a worker be heard whose lease lapsed meanwhile, before it is reaped [R-08]', async () => {
      const { jobId, token } = await runningJob({ policy: { maxLostLeases: 0 } });
      await lapsedAgo(jobId, 10_000, 6_000);
      await away();
      await sweptOnce();
      expect(await lapsesOf(jobId)).toEqual([]);
      expect(await service.leases.renew([{ jobId, ...token, leaseMs: null }])).toEqual([
        expect.objectContaining({ directive: 'continue' }),
      ]);
    });

    it('reaps it after the grace, by itself, and says in the evidence for how long it stood', async () => {
      const { jobId } = await runningJob();
      await lapsedAgo(jobId, 10_000, 200);
      await away();
      service.reaper.start();
      while ((await lapsesOf(jobId)).length === 0) await new Promise((resolve) => setImmediate(resolve));
      const [expired] = await lapsesOf(jobId);
      const { thresholds } = (expired!.data as { evidence: { thresholds: Record<string, number> } }).evidence;
      expect(thresholds).toEqual({ leaseMs: 200, maxLostLeases: 3, graceMs: expect.any(Number) });
      expect(thresholds['graceMs']).toBeGreaterThanOrEqual(10_200);
    });

    it('reaps at once what had lapsed before, and what ended for another reason', async () => {
      const before = await runningJob();
      await lapsedAgo(before.jobId, 30_000, 6_000);
      const silent = await runningJob({ policy: { timeoutMs: 100, stallMs: 100 } });
      const started = (await service.rows.load([silent.jobId])).get(silent.jobId)!.job;
      while (service.clock.now() <= Date.parse(started.statusSince) + 100) await new Promise((r) => setImmediate(r));
      await lapsedAgo(silent.jobId, 10_000, 6_000);
      await away();
      await sweptOnce();
      expect((await lapsesOf(before.jobId)).map(({ data }) => data)).toEqual([
        expect.objectContaining({
          evidence: expect.objectContaining({ thresholds: { leaseMs: 6_000, maxLostLeases: 3 } }),
        }),
      ]);
      expect((await eventsOf(service, silent.jobId)).at(-1)?.type).toBe('JobTimedOut');
    });

    it('gives none for what lapses while the same one leads', async () => {
      await sweptOnce();
      const one = await runningJob();
      await service.pool.query(`update jobledger.reaper set back_at = back_at - interval '1 min'`);
      await service.reaper.stop();
      // Between two renewals of the lead.
      await lapsedAgo(one.jobId, 0, 1_000);
      service.reaper.start();
      while ((await lapsesOf(one.jobId)).length === 0) await new Promise((resolve) => setImmediate(resolve));
      expect((await lapsesOf(one.jobId)).map(({ data }) => data)).toEqual([
        expect.objectContaining({
          evidence: expect.objectContaining({ thresholds: { leaseMs: 1_000, maxLostLeases: 3 } }),
        }),
      ]);
    });

    it('takes a second absence before workers could come back for one with the first', async () => {
      const { jobId } = await runningJob({ policy: { maxLostLeases: 0 } });
      await lapsedAgo(jobId, 40_000, 60_000);
      await service.pool.query(
        `update jobledger.reaper set leader = 'gone', leads_until = jobledger.now_ms() - interval '1 s',
           away_from = jobledger.now_ms() - interval '50 s', back_at = jobledger.now_ms() - interval '30 s',
           led_at = jobledger.now_ms() - interval '25 s'`,
      );
      await sweptOnce();
      expect(await lapsesOf(jobId)).toEqual([]);
    });
  });

  it('sweeps by itself when a deadline passes, and leads alone', async () => {
    const other = await ledger.another();
    service.reaper.start();
    const { jobId } = await runningJob({}, 100);
    for (;;) {
      const { job } = (await service.rows.load([jobId])).get(jobId)!;
      if (job.lostLeases === 1) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const status = await other.watch.status();
    expect(status).toMatchObject({ alive: true, leader: (await service.watch.status()).instanceId });
    await service.reaper.stop();
    await other.close();
  });
});
