/** A log beside the database that goes away, or a database beside the log: each is told by its own name. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Caller, startApp, type TestApp } from '../support/app.js';
import { type DatabaseProxy, openDatabaseProxy } from '../support/database-proxy.js';
import { waitFor } from '../support/e2e/wait.js';
import { FakeEventStoreDb } from '../support/eventstoredb/fake-server.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

const OK = { status: 'ok', detail: null };
const LOG_AWAY = 'the log (EventStoreDB) does not answer';
const DATABASE_AWAY = 'the database does not answer';

let database: TestDatabase;
let proxy: DatabaseProxy;
let server: FakeEventStoreDb;
let app: TestApp;
let call: Caller;
beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await openDatabaseProxy(database.url);
  server = await FakeEventStoreDb.start();
  app = await startApp({
    ...{ databaseUrl: proxy.url, run: ['api', 'projections', 'reaper'] },
    service: { eventStoreDbUrl: server.url },
  });
  call = new Caller(app.url);
});
afterAll(async () => {
  await app.close();
  server.stop();
  await proxy.close();
  await database.drop();
});

const untilReady = () => waitFor('all to be ok', async () => (await call.get('/health/ready')).body.status === 'ok');

it('a log that is away is told as the log, and the database as it is', async () => {
  await untilReady();
  const { jobId } = await call.create();
  server.stop();
  const ready = await call.get('/health/ready');
  expect([ready.status, ready.body.checks]).toEqual([
    503,
    expect.objectContaining({
      database: OK,
      log: { status: 'unavailable', detail: LOG_AWAY },
      projections: { status: 'unavailable', detail: `not known: ${LOG_AWAY}` },
      reaper: { status: 'degraded', detail: `nothing can be reaped: ${LOG_AWAY}` },
    }),
  ]);
  const [command, question] = [await call.post('/v1/jobs', { type: 'x' }), await call.get(`/v1/jobs/${jobId}/events`)];
  expect([command.status, command.body.detail]).toEqual([
    503,
    `${LOG_AWAY} at the moment, or not in time, and whether the call was done is not known: repeat it with the same ` +
      'Idempotency-Key; /health/ready says when the log is back',
  ]);
  expect([question.status, question.body.detail]).toEqual([
    503,
    `${LOG_AWAY} at the moment, or not in time; /health/ready says when the log is back`,
  ]);
  await server.start();
  await untilReady();
  expect((await call.get('/health/ready')).body.checks).toMatchObject({ database: OK, log: OK });
});

it('a database that is away is told as the database, and the log as it is', async () => {
  await untilReady();
  proxy.cut();
  const ready = await call.get('/health/ready');
  expect([ready.status, ready.body.checks]).toEqual([
    503,
    expect.objectContaining({
      database: { status: 'unavailable', detail: DATABASE_AWAY },
      log: OK,
      projections: { status: 'unavailable', detail: `not known: ${DATABASE_AWAY}` },
    }),
  ]);
  const refused = await call.post('/v1/jobs', { type: 'x' });
  expect([refused.status, refused.body.detail]).toEqual([503, expect.stringContaining(DATABASE_AWAY)]);
  proxy.mend();
  await untilReady();
});
