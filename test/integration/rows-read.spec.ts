/**
 * What one life of a job reads of the tables beside a log is the same however many jobs there are. Plans are made while the
 * tables are small, and kept: a scan that costs nothing then costs as much as all jobs do later.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, expect, it } from '@jest/globals';
import pg from 'pg';
import { openService, type Service } from '../../src/service.js';
import { waitFor } from '../support/e2e/wait.js';
import { FakeEventStoreDb } from '../support/eventstoredb/fake-server.js';
import { claim, create, execute, options, tokenOf } from '../support/ledger.js';
import { createTestDatabase } from '../support/test-database.js';

const JOBS = 600;
const AT_ONCE = 200;
/** Of all tables, in one life: it is 30 or so. */
const FEW = 150;
/** Lives that are measured; the one that read least counts. */
const LAST = 3;

const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

const keyed = () => ({ idempotency: { key: Buffer.from(randomUUID()), fingerprint: Buffer.from('the request') } });

const life = async (service: Service, queue: string): Promise<void> => {
  await create(service, { queue }, keyed());
  const [claimed] = await claim(service, { filter: { queues: [queue] } });
  await execute(service, claimed!.outcome.jobId, 'complete', { token: tokenOf(claimed!) }, keyed());
};

it.each<'postgres' | 'eventstoredb'>(['postgres', 'eventstoredb'])('beside a log in %s', async (log) => {
  const database = await createTestDatabase();
  closers.push(() => database.drop());
  const server = log === 'eventstoredb' ? await FakeEventStoreDb.start() : undefined;
  closers.push(() => {
    server?.stop();
    return Promise.resolve();
  });
  const service = await openService(options(database.url, server === undefined ? {} : { eventStoreDbUrl: server.url }));
  closers.push(() => service.close());
  const session = new pg.Client({ connectionString: database.url });
  await session.connect();
  closers.push(() => session.end());
  const tuplesRead = async (): Promise<Map<string, number>> => {
    const { rows } = await session.query<{ relname: string; read: string }>(
      `select relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_read, 0) as read
        from (select s.relname, s.seq_tup_read,
          (select sum(i.idx_tup_read) from pg_stat_user_indexes i where i.relid = s.relid) as idx_tup_read
          from pg_stat_user_tables s where s.relname in ('jobs', 'answers', 'leases', 'intents', 'job_facts')) t`,
    );
    return new Map(rows.map(({ relname, read }) => [relname, Number(read)]));
  };
  // Every plan that is kept is made now.
  await life(service, 'first');
  for (let n = 0; n < JOBS; n += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, k) => life(service, `q-${n + k}`)));
  }
  // Sessions tell what they read a second later at most; what is told last was read in the last life.
  const settled = () =>
    waitFor('the sessions to say what they read', async () => {
      const before = await tuplesRead();
      await Promise.all(Array.from({ length: 20 }, () => service.pool.query('select pg_stat_force_next_flush()')));
      const after = await tuplesRead();
      return [...after].every(([table, read]) => before.get(table) === read) ? after : undefined;
    });
  const reads: Record<string, number>[] = [];
  const most = (read: Record<string, number>): number => Math.max(...Object.values(read));
  // The process looks beside for what others left, twice a second; the first look passes over what is gone since the last.
  for (let n = 0; n < LAST; n += 1) {
    const before = await settled();
    await life(service, `last-${n}`);
    const after = await settled();
    reads.push(Object.fromEntries([...after].map(([table, count]) => [table, count - before.get(table)!])));
  }
  const read = reads.reduce((least, each) => (most(each) < most(least) ? each : least));
  expect({ ...read, isFew: most(read) < FEW }).toEqual({ ...read, isFew: true });
});
