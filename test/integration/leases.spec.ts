import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { seedOf } from '../../src/commands/lease-seed.js';
import type { Service } from '../../src/service.js';
import { claim, create, execute, TestLedger, tokenOf } from '../support/ledger.js';

describe('lease rows in PostgreSQL', () => {
  let ledger: TestLedger;
  let service: Service;
  beforeAll(async () => {
    ledger = await TestLedger.open();
    service = ledger.service;
  });
  afterAll(() => ledger.close());

  const running = async (queue: string) => {
    const { jobId } = await create(service, { queue });
    const [claimed] = await claim(service, { filter: { queues: [queue] } });
    return { jobId, token: tokenOf(claimed!) };
  };
  const leaseOf = async (jobId: string) => (await service.leases.find([jobId])).get(jobId);
  const storedOf = async (jobId: string) => (await service.rows.load([jobId])).get(jobId)!;
  const lose = (jobId: string) => service.pool.query('delete from jobledger.leases where job_id = $1', [jobId]);

  it('makes a lost row again with a full lease, and with beats that none had before', async () => {
    const { jobId } = await running('lost');
    const before = await leaseOf(jobId);
    await lose(jobId);
    await service.leases.seed([seedOf(await storedOf(jobId), service.contexts)]);
    const after = await leaseOf(jobId);
    expect(after).toMatchObject({ workerId: 'w1', attempt: 1 });
    expect(after?.expiresAt).toBeGreaterThanOrEqual(before!.expiresAt!);
    expect(after?.beats).not.toBe(before?.beats);
  });

  it('makes none for a job that moved since it was looked at', async () => {
    const { jobId, token } = await running('moved');
    const stored = await storedOf(jobId);
    await lose(jobId);
    await execute(service, jobId, 'complete', { token });
    await service.leases.seed([seedOf(stored, service.contexts)]);
    expect(await leaseOf(jobId)).toBeUndefined();
  });

  it('makes none for a job that is just moving, and does not wait for it', async () => {
    const { jobId } = await running('moving');
    const stored = await storedOf(jobId);
    await lose(jobId);
    const append = await service.pool.connect();
    try {
      await append.query('begin');
      await append.query('update jobledger.jobs set revision = revision + 1 where id = $1', [jobId]);
      await service.leases.seed([seedOf(stored, service.contexts)]);
    } finally {
      await append.query('rollback');
      append.release();
    }
    expect(await leaseOf(jobId)).toBeUndefined();
  });

  it('are judged anew but for one that somebody has locked, which is not waited for', async () => {
    const [held, other] = [await running('judged'), await running('judged')];
    const isDue = async ({ jobId }: { readonly jobId: string }) =>
      (
        await service.pool.query<{ due: boolean }>(
          'select deadline_at <= clock_timestamp() as due from jobledger.leases where job_id = $1',
          [jobId],
        )
      ).rows[0]?.due;
    const stranger = await service.pool.connect();
    try {
      await stranger.query('begin');
      await stranger.query('select from jobledger.leases where job_id = $1 for update', [held.jobId]);
      await service.leases.rejudge();
    } finally {
      await stranger.query('rollback');
      stranger.release();
    }
    expect([await isDue(held), await isDue(other)]).toEqual([false, true]);
  });

  it('refuses an edit that would hide a held job from the reaper', async () => {
    const { jobId } = await running('edited');
    for (const edit of ["deadline_at = expires_at + interval '1 ms'", 'deadline_at = null', 'expires_at = null']) {
      const editing = service.pool.query(`update jobledger.leases set ${edit} where job_id = $1`, [jobId]);
      await expect(editing).rejects.toThrow('held_is_bounded');
    }
  });

  it('has other beats for each attempt, so that what was judged on one never fits the next', async () => {
    const { jobId, token } = await running('attempts');
    const first = await leaseOf(jobId);
    await execute(service, jobId, 'release', { token });
    await claim(service, { filter: { queues: ['attempts'] } });
    const second = await leaseOf(jobId);
    expect(second?.beats).not.toBe(first?.beats);
    await service.leases.rearm([{ jobId, beats: first!.beats, deadlineAt: null }]);
    expect(await leaseOf(jobId)).toEqual(second);
  });

  it('drops a row that bounds nothing, and moves the deadline of one that does', async () => {
    const { jobId } = await running('armed');
    const { beats, expiresAt } = (await leaseOf(jobId))!;
    const deadlineAt = expiresAt! - 1;
    await service.leases.rearm([{ jobId, beats, deadlineAt }]);
    const due = await service.leases.due(deadlineAt, null, 100);
    expect(due.find((lease) => lease.jobId === jobId)?.deadlineAt).toBe(deadlineAt);
    await service.leases.rearm([{ jobId, beats, deadlineAt: null }]);
    expect(await leaseOf(jobId)).toBeUndefined();
  });
});

describe('lease rows under a clock whose millisecond turns at each reading', () => {
  let ledger: TestLedger;
  let service: Service;
  beforeAll(async () => {
    ledger = await TestLedger.open();
    service = ledger.service;
    await service.pool.query(`
      create sequence jobledger.ticks;
      create or replace function jobledger.now_ms() returns timestamptz language sql volatile as $f$
        select date_trunc('milliseconds', clock_timestamp()) + nextval('jobledger.ticks') * interval '1 ms' $f$`);
  });
  afterAll(() => ledger.close());

  const running = async () => {
    const { jobId } = await create(service);
    await claim(service);
    return jobId;
  };
  const boundsOf = async (jobId: string) =>
    (
      await service.pool.query<{ length: number; left: number }>(
        `select extract(epoch from expires_at - last_beat_at)::float * 1000 as length,
          extract(epoch from expires_at - deadline_at)::float * 1000 as left
        from jobledger.leases where job_id = $1`,
        [jobId],
      )
    ).rows[0];

  it('has a lease of exactly its length after a beat, a shortening one included [P-24]', async () => {
    const jobId = await running();
    for (const leaseMs of [3_600_000, 5_000]) {
      await service.leases.renew([{ jobId, run: 1, attempt: 1, leaseMs }]);
      expect((await boundsOf(jobId))?.length).toBe(leaseMs);
    }
    expect((await boundsOf(jobId))?.left).toBe(0);
  });

  it('has no deadline behind the end of a lease that is made again', async () => {
    const jobId = await running();
    const seed = seedOf((await service.rows.load([jobId])).get(jobId)!, service.contexts);
    await service.pool.query('delete from jobledger.leases where job_id = $1', [jobId]);
    await service.leases.seed([{ ...seed, deadlineAt: null }]);
    expect((await boundsOf(jobId))?.left).toBe(0);
  });
});
