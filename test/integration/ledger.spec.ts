import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { replayJob } from '../../src/projections/jobs/job-history.js';
import { claim, create, execute, TestLedger, tokenOf } from './../support/ledger.js';

describe('the write path on PostgreSQL', () => {
  let ledger: TestLedger;
  beforeAll(async () => {
    ledger = await TestLedger.open();
  });
  afterAll(() => ledger.close());

  /** The row that commands load, against the replay of the log. */
  const expectRowIsReplay = async (jobId: string): Promise<void> => {
    const { stored } = await replayJob(ledger.service.store, jobId);
    const row = (await ledger.service.rows.load([jobId])).get(jobId);
    expect(row).toEqual(stored);
  };

  it('takes a job from creation to completion', async () => {
    const { service } = ledger;
    const created = await create(service, { queue: 'a' });
    expect(created).toMatchObject({
      status: 'queued',
      run: 1,
      attempt: 0,
      revision: 1,
      events: ['JobCreated', 'JobQueued'],
    });
    await expectRowIsReplay(created.jobId);
    const [claimed] = await claim(service, { filter: { queues: ['a'] } });
    expect(claimed?.outcome).toMatchObject({ jobId: created.jobId, status: 'running', attempt: 1 });
    expect(claimed?.stored.values.payload).toEqual({ n: 1 });
    await expectRowIsReplay(created.jobId);
    const token = tokenOf(claimed!);
    await execute(service, created.jobId, 'progress', { token, batchId: 'b1', processed: 3, total: 10 });
    const repeat = await execute(service, created.jobId, 'progress', { token, batchId: 'b1', processed: 3, total: 10 });
    expect(repeat.events).toEqual([]);
    await execute(service, created.jobId, 'heartbeat', {
      token,
      checkpoint: { value: { at: 3 }, digest: 'd' },
      state: null,
    });
    await expectRowIsReplay(created.jobId);
    const done = await execute(service, created.jobId, 'complete', { token, result: { ok: true } });
    expect(done).toMatchObject({ status: 'completed', events: ['JobCompleted'] });
    await expectRowIsReplay(created.jobId);
    const again = await execute(service, created.jobId, 'complete', { token, result: { ok: true } });
    expect(again.events).toEqual([]);
    expect((await service.leases.find([created.jobId])).size).toBe(0);
  });

  it('keeps a refused call once, and answers it on the log', async () => {
    const { service } = ledger;
    const created = await create(service, { queue: 'b' });
    const [claimed] = await claim(service, { filter: { queues: ['b'] } });
    const token = tokenOf(claimed!);
    await execute(service, created.jobId, 'release', { token });
    for (const _ of [1, 2]) {
      await expect(execute(service, created.jobId, 'complete', { token })).rejects.toMatchObject({
        refusal: { code: 'stale_lease' },
      });
    }
    const refusals = await service.store.readStream(`refusals-${created.jobId}`);
    expect(refusals.map((event) => event.data)).toEqual([
      { command: 'complete', code: 'stale_lease', run: 1, attempt: 1, workerId: 'w1', error: null },
    ]);
  });

  it('gives a repeated key the first answer', async () => {
    const { service } = ledger;
    const idempotency = { key: randomBytes(32), fingerprint: randomBytes(32) };
    const first = await create(service, { queue: 'c' }, { idempotency });
    const second = await create(service, { queue: 'c' }, { idempotency });
    expect(second).toMatchObject({
      jobId: first.jobId,
      replayed: true,
      events: first.events,
      position: first.position,
    });
    const other = { key: idempotency.key, fingerprint: randomBytes(32) };
    await expect(create(service, { queue: 'c' }, { idempotency: other })).rejects.toThrow('used for another');
    const key = { key: randomBytes(32), fingerprint: randomBytes(32) };
    const [a] = await claim(service, { filter: { queues: ['c'] }, idempotency: key });
    const [b] = await claim(service, { filter: { queues: ['c'] }, idempotency: key });
    expect(b?.outcome).toMatchObject({ jobId: a!.outcome.jobId, attempt: 1, replayed: true });
    expect(b?.stored).toEqual(a?.stored);
  });

  it('hands 200 jobs to 64 claimers of two services, each once', async () => {
    const { service } = ledger;
    const other = await ledger.another();
    for (let i = 0; i < 200; i += 1) void create(service, { queue: 'd' });
    const seen: string[] = [];
    const worker = async (at: typeof service, index: number): Promise<void> => {
      for (;;) {
        const jobs = await claim(at, { filter: { queues: ['d'] }, workerId: `w${index}`, waitMs: 1_000 });
        if (jobs.length === 0) return;
        for (const job of jobs) {
          seen.push(job.outcome.jobId);
          await execute(at, job.outcome.jobId, 'complete', { token: tokenOf(job) });
        }
      }
    };
    await Promise.all(Array.from({ length: 64 }, (_, index) => worker(index % 2 === 0 ? service : other, index)));
    expect(new Set(seen).size).toBe(200);
    expect(seen.length).toBe(200);
    await other.close();
  });

  it('requeues a lapsed lease, and ends the run when too many are lost', async () => {
    const { service } = ledger;
    const created = await create(service, { queue: 'e', policy: { maxLostLeases: 1 } });
    for (const expected of ['requeued', 'failed']) {
      const [claimed] = await claim(service, { filter: { queues: ['e'] }, leaseMs: 100 });
      expect(claimed).toBeDefined();
      await service.pool.query(
        "update jobledger.leases set expires_at = now() - interval '1 s', deadline_at = now() - interval '1 s' where job_id = $1",
        [created.jobId],
      );
      const report = await service.reaper.sweep();
      expect(report.jobs).toEqual([{ jobId: created.jobId, rule: 'lease_expired', verdict: expected }]);
      await expectRowIsReplay(created.jobId);
    }
  });
});
