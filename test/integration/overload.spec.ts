/** A flood of clients is refused before any work, and starves nobody who keeps the ledger right. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type Answer, startApp, type TestApp } from '../support/app.js';
import { waitFor } from '../support/e2e/wait.js';
import { LedgerCaller, LONG_LEASE } from '../support/ledger-caller.js';

const MAX_PENDING = 2;

describe('a service with all that it takes in waiting', () => {
  let app: TestApp;
  let ledger: LedgerCaller;
  beforeAll(async () => {
    app = await startApp({ service: { maxPending: MAX_PENDING } });
    ledger = new LedgerCaller(app.url);
  });
  afterAll(() => app.close());

  /** Runs while another connection holds the lock. */
  const whileLocked = async <Found>(lock: string, run: () => Promise<Found>): Promise<Found> => {
    const client = new pg.Client({ connectionString: app.databaseUrl });
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
  const untilWaiting = (what: string, count: number) => waitFor(what, () => app.service.pipeline.load >= count);

  it('refuses clients, and reaps [B-10]', async () => {
    const { job } = await ledger.hold({}, { leaseMs: 100 });
    await ledger.untilDue([job.id]);
    const { flood, refused, sweep } = await whileLocked('select jobledger.lock_log()', async () => {
      const waiting = Array.from({ length: MAX_PENDING }, () => ledger.create({ queue: 'flood' }));
      await untilWaiting('the flood', MAX_PENDING);
      const answer = await ledger.post('/v1/jobs', { type: 'report', queue: 'flood' });
      const sweeping = ledger.sweep();
      await untilWaiting('the reap to wait', MAX_PENDING + 1);
      return { flood: waiting, refused: answer, sweep: sweeping };
    });
    expect([refused.status, refused.body.code]).toEqual([503, 'unavailable']);
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    await Promise.all(flood);
    expect((await sweep).jobs).toEqual([{ jobId: job.id, rule: 'lease_expired', verdict: 'requeued' }]);
    expect(await ledger.jobs('queue=flood')).toHaveLength(MAX_PENDING);
  });

  it('takes a batch that is larger than all that may wait, when nothing waits', async () => {
    const grid = { region: ['eu', 'us'], model: [1, 2, 3, 4] };
    const made = await ledger.post('/v1/jobs/batch', { template: { type: 'study', queue: 'grid' }, grid });
    expect([made.status, made.body.items.length]).toEqual([201, 8]);
    const claimed = await ledger.post('/v1/claims', { workerId: 'w', queues: ['grid'], max: 8 });
    expect(claimed.body.jobs).toHaveLength(8);
  });

  it('claims, however long its turn takes: candidates that it held for too long are searched for again', async () => {
    const { jobId } = await ledger.create({ queue: 'late' });
    const { claiming, creating } = await whileLocked('select jobledger.lock_log()', async () => {
      const first = ledger.create({ queue: 'flood' });
      const second = ledger.claims('w', { queues: ['late'] });
      await untilWaiting('both to be under way', 2);
      const held = `select from jobledger.reservations where job_id = '${jobId}' and expires_at < clock_timestamp()`;
      await waitFor(
        'the candidate to be held no more',
        async () => (await app.service.pool.query(held)).rowCount === 1,
      );
      return { claiming: second, creating: first };
    });
    await creating;
    expect((await claiming).map(({ job }) => job.id)).toEqual([jobId]);
  });

  it('appends, beats and reaps while its readers wait [B-10]', async () => {
    const held = await ledger.hold({}, LONG_LEASE);
    const reads = await whileLocked('lock table jobledger.counters_totals in access exclusive mode', async () => {
      const slow = Array.from({ length: 50 }, (): Promise<Answer> => ledger.get('/v1/counters'));
      await ledger.must(held, 'heartbeat');
      expect((await ledger.must(held, 'complete')).events).toEqual(['JobCompleted']);
      expect(await ledger.sweep()).toMatchObject({ errors: 0 });
      return slow;
    });
    expect((await Promise.all(reads)).map(({ status }) => status)).toEqual(Array(50).fill(200));
  });
});
