import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { replayJob } from '../../src/projections/jobs/job-history.js';
import { PreconditionFailed } from '../../src/commands/errors.js';
import type { Call } from '../../src/commands/ledger.js';
import type { CommandOf, Token } from '../../src/domain/job-commands.js';
import { call, claim, create, execute, TestLedger, tokenOf } from './../support/ledger.js';

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

  it('gives each of those who claim at once a job, whoever searches already, without anybody waiting', async () => {
    const { service } = ledger;
    await Promise.all(Array.from({ length: 20 }, () => create(service, { queue: 'at-once' })));
    const claims = Array.from({ length: 8 }, () => claim(service, { filter: { queues: ['at-once'] } }));
    expect((await Promise.all(claims)).map(({ length }) => length)).toEqual(Array.from({ length: 8 }, () => 1));
    for (let n = 0; n < 12; n += 1) expect(await claim(service, { filter: { queues: ['at-once'] } })).toHaveLength(1);
    expect(await claim(service, { filter: { queues: ['at-once'] } })).toEqual([]);
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

  it('gives a repeated key of a claim the first answer, when all that is found goes to others who ask', async () => {
    const { service } = ledger;
    const filter = { queues: ['one-left'] };
    const idempotency = { key: randomBytes(32), fingerprint: randomBytes(32) };
    await create(service, { queue: 'one-left' });
    const [first] = await claim(service, { filter, idempotency });
    const { jobId } = await create(service, { queue: 'one-left' });
    // Searched for together: there is one for the first of them.
    const other = claim(service, { filter });
    const repeat = claim(service, { filter, idempotency });
    expect((await other).map(({ outcome }) => outcome.jobId)).toEqual([jobId]);
    expect((await repeat).map(({ outcome }) => outcome.jobId)).toEqual([first!.outcome.jobId]);
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

  describe('a heartbeat', () => {
    const bare = { name: 'heartbeat', checkpoint: null, state: null } as const;
    const beat = (jobId: string, token: Token, over: Partial<CommandOf<'heartbeat'>>, with_: Partial<Call> = {}) =>
      ledger.service.ledger.heartbeat(jobId, { ...bare, token, ...over }, call(with_), null);

    const held = async (queue: string) => {
      await create(ledger.service, { queue });
      const [claimed] = await claim(ledger.service, { filter: { queues: [queue] } });
      const { jobId, revision } = claimed!.outcome;
      const leaseRow = async () => (await ledger.service.leases.find([jobId])).get(jobId);
      return { jobId, revision, token: tokenOf(claimed!), leaseRow };
    };

    it('at another revision is refused and renews nothing; at its own it renews', async () => {
      const { jobId, revision, token, leaseRow } = await held('beat-if-match');
      const before = await leaseRow();
      for (const said of [{}, { state: 'busy' }]) {
        await expect(beat(jobId, token, said, { ifMatch: revision + 1 })).rejects.toThrow(PreconditionFailed);
      }
      expect(await leaseRow()).toEqual(before);
      const { events, leaseExpiresAt } = await beat(jobId, token, {}, { ifMatch: revision });
      expect(events).toEqual([]);
      expect(await leaseRow()).toMatchObject({ beats: before!.beats + 1, expiresAt: leaseExpiresAt });
    });

    it('with a key gives its first answer again, and that renews nothing', async () => {
      const { jobId, token, leaseRow } = await held('beat-key');
      const idempotency = { key: randomBytes(32), fingerprint: randomBytes(32) };
      const first = await beat(jobId, token, {}, { idempotency });
      const row = await leaseRow();
      expect(row?.expiresAt).toBe(first.leaseExpiresAt);
      const again = await beat(jobId, token, {}, { idempotency });
      expect(again).toMatchObject({ leaseExpiresAt: first.leaseExpiresAt, replayed: true });
      expect(await leaseRow()).toEqual(row);
    });

    it('finds its lease row made again when it was lost', async () => {
      const { jobId, token, leaseRow } = await held('beat-lost');
      for (const said of [{}, { state: 'busy' }, { state: 'busy' }]) {
        await ledger.service.pool.query('delete from jobledger.leases where job_id = $1', [jobId]);
        const { leaseExpiresAt } = await beat(jobId, token, said);
        expect((await leaseRow())?.expiresAt).toBe(leaseExpiresAt);
      }
    });
  });
});
