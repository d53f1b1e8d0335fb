/** A flood of clients is refused before any work, and starves nobody who keeps the ledger right. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Overloaded } from '../../src/commands/errors.js';
import { openService, type Service } from '../../src/service.js';
import { waitFor } from '../support/e2e/wait.js';
import { claim, create, options } from '../support/ledger.js';
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

  /** Runs while no append gets through. */
  const whileLocked = async (run: () => Promise<unknown>): Promise<void> => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query('begin');
    await client.query('select jobledger.lock_log()');
    await run();
    await client.query('commit');
    await client.end();
  };

  it('refuses clients, and reaps', async () => {
    const { jobId } = await create(service, { queue: 'lapsing' });
    await claim(service, { filter: { queues: ['lapsing'] } });
    const lapse =
      "update jobledger.leases set expires_at = now() - interval '1 s', deadline_at = now() - interval '1 s'";
    await service.pool.query(lapse);
    let answers: Promise<unknown> = Promise.resolve();
    let sweep: ReturnType<Service['reaper']['sweep']> | undefined;
    await whileLocked(async () => {
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
});
