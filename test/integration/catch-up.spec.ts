/**
 * The row of a job is brought on by one process while another one is at it too. The facts that counted are inserted as they
 * are: that no key of them is taken is said by the row, which moves only if it still is what it was read as.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool, PoolClient } from 'pg';
import { catchUpJob } from '../../src/projections/jobs/catch-up.js';
import { replayJob } from '../../src/projections/jobs/job-history.js';
import { repairRow } from '../../src/projections/jobs/repair-row.js';
import { openService, type Service } from '../../src/service.js';
import { FakeEventStoreDb } from '../support/eventstoredb/fake-server.js';
import { claim, create, execute, options, tokenOf } from '../support/ledger.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let server: FakeEventStoreDb;
let database: TestDatabase;
let service: Service;

beforeAll(async () => {
  server = await FakeEventStoreDb.start();
  database = await createTestDatabase();
  service = await openService(options(database.url, { eventStoreDbUrl: server.url }));
});
afterAll(async () => {
  await service.close();
  await database.drop();
  server.stop();
});

/** A held job with one fact in its row, and one that is in the log alone. */
const behind = async () => {
  const queue = randomUUID();
  const { jobId } = await create(service, { queue });
  const [claimed] = await claim(service, { filter: { queues: [queue] } });
  const token = tokenOf(claimed!);
  await execute(service, jobId, 'progress', { token, batchId: 'first', processed: 2 });
  const stream = `work-${jobId}`;
  const [first] = await service.store.readStream(stream);
  const { type, version, data, metadata } = first!;
  const events = [{ id: randomUUID(), type, version, data: { ...data, batchId: 'second' }, metadata }];
  await service.store.append([{ stream, expected: 'any', events }]);
  return { jobId, token };
};

/** A pool whose transactions look which facts counted, and go on once `meanwhile` is over. */
const slowPool = (meanwhile: () => Promise<unknown>): Pool => {
  let isFirst = true;
  const connect = async (): Promise<PoolClient> => {
    const client = await service.pool.connect();
    const query = async (...args: [{ name?: string }]): Promise<unknown> => {
      const answer: unknown = await client.query(...(args as unknown as [string]));
      if (args[0].name === 'jobs-facts-counted' && isFirst) {
        isFirst = false;
        // However long it takes.
        await client.query('set local idle_in_transaction_session_timeout = 0');
        await meanwhile();
      }
      return answer;
    };
    return Object.create(client, { query: { value: query } }) as PoolClient;
  };
  return Object.create(service.pool, { connect: { value: connect } }) as Pool;
};

type Behind = Awaited<ReturnType<typeof behind>>;

describe('a row that is brought on while another process', () => {
  const on = () => ({ pool: service.pool, store: service.store, rows: service.rows });

  it.each<[string, (job: Behind) => Promise<unknown>]>([
    ['brings it on', ({ jobId }) => catchUpJob(on(), jobId)],
    ['writes it anew', ({ jobId }) => repairRow(service.store, service.rows, jobId)],
    [
      'appends the same fact once more',
      ({ jobId, token }) => execute(service, jobId, 'progress', { token, batchId: 'second', processed: 2 }),
    ],
    [
      'appends another fact',
      ({ jobId, token }) => execute(service, jobId, 'progress', { token, batchId: 'third', processed: 2 }),
    ],
    ['ends the job', ({ jobId, token }) => execute(service, jobId, 'complete', { token, result: null })],
  ])('%s has each fact once', async (_what, act) => {
    const job = await behind();
    let acted = 0;
    const pool = slowPool(async () => {
      await act(job);
      acted += 1;
    });
    await catchUpJob({ ...on(), pool }, job.jobId);
    expect(acted).toBe(1);
    const row = (await service.rows.load([job.jobId])).get(job.jobId);
    expect(row).toEqual((await replayJob(service.store, job.jobId)).stored);
  });
});
