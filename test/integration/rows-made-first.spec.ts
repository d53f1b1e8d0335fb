/**
 * A database that is new, or of an old backup, beside a log elsewhere that others wrote long ago: its rows of jobs are made
 * from the log, and until they are there nothing is claimed by them.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import type { ClaimAnswer } from '../../src/api/contract.js';
import { START } from '../../src/event-store/event-store.js';
import { ClientDriver } from '../../src/event-store/eventstoredb/client-driver.js';
import { Checkpoints } from '../../src/projections/checkpoint.js';
import { JOB_ROWS, rowFollower } from '../../src/projections/jobs/row-follower.js';
import { inTransaction } from '../../src/projections/transaction.js';
import { openService, type Service } from '../../src/service.js';
import { startApp, type TestApp } from '../support/app.js';
import { waitFor } from '../support/e2e/wait.js';
import { FakeEventStoreDb } from '../support/eventstoredb/fake-server.js';
import { create, execute, options } from '../support/ledger.js';
import { LedgerCaller } from '../support/ledger-caller.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

const AGE_MS = 60_000;
const OVER = 20;
const queue = randomUUID();

let server: FakeEventStoreDb;
let writer: Service;
const databases: TestDatabase[] = [];
const apps: TestApp[] = [];
/** The one job that nobody ended. */
let open: string;

const newDatabase = async (): Promise<string> => {
  const database = await createTestDatabase();
  databases.push(database);
  return database.url;
};
/** A process that takes calls, and leaves the log to others. */
const start = async (databaseUrl: string): Promise<TestApp> => {
  const app = await startApp({ databaseUrl, run: ['api'], service: { eventStoreDbUrl: server.url } });
  apps.push(app);
  return app;
};

beforeAll(async () => {
  server = await FakeEventStoreDb.start();
  writer = await openService(options(await newDatabase(), { eventStoreDbUrl: server.url }));
  const now = writer.clock.now.bind(writer.clock);
  jest.spyOn(writer.clock, 'now').mockImplementation(() => now() - AGE_MS);
  const over: string[] = [];
  for (let n = 0; n < OVER; n += 1) over.push((await create(writer, { queue })).jobId);
  open = (await create(writer, { queue })).jobId;
  for (const jobId of over) await execute(writer, jobId, 'cancel');
});
afterAll(async () => {
  for (const app of apps) await app.close();
  await writer.close();
  server.stop();
  for (const database of databases) await database.drop();
});

/** Somebody else has read the log up to the end of the creates, and goes on. */
const madeHalf = async ({ pool, store, rows, clock }: Service): Promise<Checkpoints> => {
  const { events } = await store.readAll({ after: START, limit: 1_000 });
  const half = events.slice(
    0,
    events.findIndex(({ type }) => type === 'JobCancelled'),
  );
  const follower = rowFollower({ pool, store, rows }, () => clock.now());
  await inTransaction(pool, (tx) => follower.apply(half, tx));
  const elsewhere = new Checkpoints(pool, 'another process');
  await elsewhere.ensure(follower);
  await elsewhere.lead(JOB_ROWS, 60_000);
  const { position } = half.at(-1)!;
  const hash = await store.hashAt(position);
  await pool.query('update jobledger.projections set position = $2, hash = $3 where name = $1', [
    ...[JOB_ROWS, position, hash],
  ]);
  return elsewhere;
};

it('waits for rows that are made from an old log before it searches them, and everything else goes on', async () => {
  const { service, url } = await start(await newDatabase());
  const ledger = new LedgerCaller(url);
  const elsewhere = await madeHalf(service);
  const read = jest.spyOn(ClientDriver.prototype, 'readStream');
  const claim = (waitMs = 0) => ledger.post('/v1/claims', { workerId: 'w', queues: [queue], waitMs });
  for (const waitMs of [0, 20_000]) {
    const { status, body, headers } = await claim(waitMs);
    expect([status, headers.get('retry-after'), body]).toEqual([
      503,
      '5',
      expect.objectContaining({
        code: 'projection_lagging',
        detail: expect.stringMatching(/^rows of jobs are made from the log, of which [1-9]\d? % is read: /),
      }),
    ]);
  }
  const { body: ready } = await ledger.get('/health/ready');
  expect(ready.checks.projections).toEqual({
    status: 'unavailable',
    detail: expect.stringMatching(/\bjob_rows is \d+ ms behind, [1-9]\d? % of the log is read$/),
  });
  // The looks of the process at its log are at a single event.
  expect(read.mock.calls.filter(([, { limit }]) => limit !== 1)).toEqual([]);
  read.mockRestore();
  expect((await ledger.create({ queue: 'another' })).jobId).toBeDefined();
  expect((await ledger.command(open, 'priority', { priority: 5 })).status).toBe('queued');
  expect((await ledger.job(open)).priority).toBe(5);

  await elsewhere.resign(JOB_ROWS);
  service.projections.start();
  const claimed = await waitFor('the rows to be there', async () => {
    const { status, body } = await claim();
    return status === 200 && (body as ClaimAnswer).jobs;
  });
  expect(claimed.map(({ job }) => job.id)).toEqual([open]);
  await ledger.must(claimed[0]!, 'release', { reason: 'shutdown' });

  // A process that is started beside rows that are there searches them at once.
  const later = new LedgerCaller((await start(apps.at(-1)!.databaseUrl)).url);
  expect((await later.next(queue)).job.id).toBe(open);
});

it('is not held up where nobody makes the rows: one by one they are read in the log, as ever', async () => {
  const { service, url } = await start(await newDatabase());
  await (await madeHalf(service)).resign(JOB_ROWS);
  await execute(service, open, 'cancel');
  const { jobId } = await create(service, { queue, priority: 9 });
  const claimed = await new LedgerCaller(url).claims('w', { queues: [queue] });
  expect(claimed.map(({ job }) => job.id)).toEqual([jobId]);
});
