/** A flood of clients is refused before any work, and starves nobody who keeps the ledger right. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Overloaded } from '../../src/commands/errors.js';
import { openService, type Service } from '../../src/service.js';
import { waitFor } from '../support/e2e/wait.js';
import { call, claim, create, execute, options, tokenOf } from '../support/ledger.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

const MAX_PENDING = 2;

describe('a service with all that it takes in waiting', () => {
  let database: TestDatabase;
  let service: Service;
  beforeAll(async () => {
    database = await createTestDatabase();
    service = await openService(options(database.url, { maxPending: MAX_PENDING }));
  });
  afterAll(async () => {
    await service.close();
    await database.drop();
  });

  /** Runs while another connection holds the lock. */
  const whileLocked = async <Answer>(lock: string, run: () => Promise<Answer>): Promise<Answer> => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query('begin');
    await client.query(lock);
    try {
      return await run();
    } finally {
      await client.query('commit');
      await client.end();
    }
  };

  it('refuses clients, and reaps', async () => {
    const { jobId } = await create(service, { queue: 'lapsing' });
    await claim(service, { filter: { queues: ['lapsing'] } });
    const lapse =
      "update jobledger.leases set expires_at = now() - interval '1 s', deadline_at = now() - interval '1 s'";
    await service.pool.query(lapse);
    let answers: Promise<unknown> = Promise.resolve();
    let sweep: ReturnType<Service['reaper']['sweep']> | undefined;
    await whileLocked('select jobledger.lock_log()', async () => {
      const flood = Array.from({ length: MAX_PENDING }, () => create(service, { queue: 'flood' }));
      answers = Promise.all(flood);
      await expect(create(service, { queue: 'flood' })).rejects.toThrow(Overloaded);
      sweep = service.reaper.sweep();
      const swept = sweep.then(() => true);
      await Promise.race([swept, waitFor('the reap to wait', () => service.pipeline.load > MAX_PENDING)]);
    });
    await answers;
    expect((await sweep)?.jobs).toEqual([{ jobId, rule: 'lease_expired', verdict: 'requeued' }]);
  });

  it('claims, however long its turn takes: candidates that it held for too long are searched for again', async () => {
    const { jobId } = await create(service, { queue: 'late' });
    let claiming: ReturnType<typeof claim> = Promise.resolve([]);
    let creating: Promise<unknown> = Promise.resolve();
    await whileLocked('select jobledger.lock_log()', async () => {
      creating = create(service, { queue: 'flood' });
      claiming = claim(service, { filter: { queues: ['late'] } });
      await waitFor('both to be under way', () => service.pipeline.load === 2);
      const held = `select from jobledger.reservations where job_id = '${jobId}' and expires_at < clock_timestamp()`;
      await waitFor('the candidate to be held no more', async () => (await service.pool.query(held)).rowCount === 1);
    });
    await creating;
    expect((await claiming).map(({ outcome }) => outcome.jobId)).toEqual([jobId]);
  });

  it('appends, beats and reaps while its readers wait', async () => {
    const { jobId } = await create(service, { queue: 'unread' });
    const [held] = await claim(service, { filter: { queues: ['unread'] } });
    const token = tokenOf(held!);
    const reads = await whileLocked('lock table jobledger.counters_totals in access exclusive mode', async () => {
      const slow = Array.from({ length: 50 }, () => service.reads.counters.counters());
      const beat = { name: 'heartbeat', token, checkpoint: null, state: null } as const;
      expect(await service.ledger.heartbeat(jobId, beat, call(), null)).toMatchObject({ directive: 'continue' });
      expect((await execute(service, jobId, 'complete', { token })).events).toEqual(['JobCompleted']);
      expect(await service.reaper.sweep()).toMatchObject({ errors: 0 });
      return slow;
    });
    expect(await Promise.all(reads)).toHaveLength(50);
  });
});
