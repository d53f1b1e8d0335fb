import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type Answer, Caller, startApp, type TestApp } from '../support/app.js';
import { type DatabaseProxy, openDatabaseProxy } from '../support/database-proxy.js';
import { waitFor } from '../support/e2e/wait.js';
import { SseReader } from '../support/sse-reader.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;
let proxy: DatabaseProxy;
let app: TestApp;
let call: Caller;
beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await openDatabaseProxy(database.url);
  app = await startApp({ databaseUrl: proxy.url });
  call = new Caller(app.url);
});
afterAll(async () => {
  await app.close();
  await proxy.close();
  await database.drop();
});

const until = async (ask: () => Promise<Answer>, status: number): Promise<Answer> => {
  for (;;) {
    const answer = await ask();
    if (answer.status === status) return answer;
    expect(answer.status).toBe(503);
  }
};

const setDatabase = async (change: string): Promise<void> => {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query('set default_transaction_read_only = off');
  await client.query(`alter database ${client.database} ${change}`);
  await client.end();
};

describe('a database that takes no writes', () => {
  it('is said by readiness, while what was written can be read', async () => {
    const { jobId } = await call.create({ queue: 'read-only' });
    await setDatabase('set default_transaction_read_only = on');
    proxy.cut();
    proxy.mend();
    expect((await call.post('/v1/jobs', { type: 'x' })).status).toBe(503);
    const ready = await call.get('/health/ready');
    expect([ready.status, ready.body.checks.database]).toEqual([
      503,
      { status: 'unavailable', detail: 'the database is read-only' },
    ]);
    expect((await call.get(`/v1/jobs/${jobId}`)).status).toBe(200);
    await setDatabase('reset default_transaction_read_only');
    proxy.cut();
    proxy.mend();
    await until(() => call.post('/v1/jobs', { type: 'x' }), 201);
    await until(() => call.get('/health/ready'), 200);
  });
});

/** Ends the sessions that wait for a lock in a statement of this text, as soon as there are any. */
const endWaiting = async (text: string): Promise<void> => {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  for (let ended = 0; ended === 0;) {
    const { rowCount } = await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock' and query like $1`,
      [`%${text}%`],
    );
    ended = rowCount ?? 0;
  }
  await client.end();
};

describe('a database that goes away', () => {
  it('makes calls 503 until it is back, and nothing else has to be done', async () => {
    const { jobId } = await call.create({ queue: 'o' });
    const claimed = await call.claim('o');
    const samplesOf = async (): Promise<readonly string[]> => {
      const scraped = await fetch(`${app.url}/metrics`);
      expect(scraped.status).toBe(200);
      return (await scraped.text()).split('\n').filter((line) => /^jobledger_/.test(line));
    };
    const ofLog =
      /^jobledger_(most_overdue|last_sweep|sweeps|leases_held|jobs|events|projection_lag|queue|verification)\w*/;
    const told = (samples: readonly string[]): ReadonlySet<string> =>
      new Set(samples.flatMap((line) => ofLog.exec(line)?.[0] ?? []));
    await call.create({ queue: 'waits' });
    const { body: verified } = await call.post('/v1/admin/projections/counters/verify');
    await waitFor('the verification', async () => {
      const { body } = await call.get(`/v1/admin/upkeep/${verified.id}`);
      return body.state === 'done';
    });
    // What was told once, and is not known any more.
    const known = await waitFor('the metrics of the log', async () => {
      const names = told(await samplesOf());
      return names.has('jobledger_queue_oldest_seconds') && names.has('jobledger_jobs') && names;
    });
    expect([...known]).toEqual(
      expect.arrayContaining([
        ...['jobledger_jobs', 'jobledger_jobs_created_total', 'jobledger_events_total', 'jobledger_leases_held'],
        ...['jobledger_projection_lag_events', 'jobledger_projection_lag_seconds', 'jobledger_queue_oldest_seconds'],
        ...['jobledger_verification_ok', 'jobledger_verification_differences', 'jobledger_most_overdue_seconds'],
      ]),
    );
    const stream = await SseReader.open(`${app.url}/v1/jobs/${jobId}/stream?until=terminal`);
    await stream.until((frames) => frames.some(({ event }) => event === 'caught-up'));
    const poll = call.post('/v1/claims', { workerId: 'w', queues: ['later'], waitMs: 60_000 });
    const wait = call.get(`/v1/jobs/${jobId}?waitMs=60000`);
    proxy.cut();
    for (const answer of [
      await call.post('/v1/jobs', { type: 'x' }),
      await call.post('/v1/jobs/batch', { jobs: [{ type: 'x' }] }),
      await call.worker(claimed, 'heartbeat'),
      await call.worker(claimed, 'progress', { batchId: 'b', processed: 1 }),
      await call.worker(claimed, 'logs', { lines: [{ level: 'info', message: 'm' }] }),
      await call.get(`/v1/jobs/${jobId}`),
      await call.get(`/v1/jobs/${jobId}/events`),
      await call.get('/v1/jobs'),
      await call.get('/v1/events'),
      await call.get('/v1/counters'),
      await call.get('/v1/queues'),
      await call.get('/v1/reaper'),
    ] satisfies Answer[]) {
      expect([answer.status, answer.body.code, answer.headers.get('retry-after')]).toEqual([503, 'unavailable', '1']);
      expect(answer.body.detail).not.toContain('127.0.0.1');
    }
    const ready = await call.get('/health/ready');
    expect([ready.status, ready.body.checks.database.status]).toEqual([503, 'unavailable']);
    expect((await call.get('/health/live')).status).toBe(200);
    const samples = await samplesOf();
    expect(samples).toContain('jobledger_ready{status="unavailable"} 1');
    // What is not known is left out: 0 would be a number, and so would what was known.
    expect(told(samples)).toEqual(new Set());
    proxy.mend();
    await until(() => call.worker(claimed, 'complete'), 200);
    expect((await until(() => call.get('/health/ready'), 200)).body.checks.database.status).toBe('ok');
    const frames = await stream.end();
    expect(frames.filter(({ id }) => id !== null).map(({ event }) => event)).toEqual([
      ...['JobCreated', 'JobQueued', 'JobClaimed', 'JobStarted', 'JobCompleted'],
    ]);
    // Whoever waited was answered 503 when a look of theirs failed, else waits on.
    expect([200, 503]).toContain((await wait).status);
    await call.create({ queue: 'later' });
    expect([200, 503]).toContain((await poll).status);
  });

  it('makes calls 503 that it interrupts while they write a lost row anew', async () => {
    const { jobId } = await call.create({ queue: 'lost' });
    const holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
    try {
      await holder.query('begin');
      await holder.query('delete from jobledger.jobs where id = $1', [jobId]);
      await holder.query('commit');
      await holder.query('begin');
      await holder.query('select jobledger.lock_log()');
      const reading = call.get(`/v1/jobs/${jobId}`);
      await endWaiting('lock_log');
      const { status, body, headers } = await reading;
      expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'unavailable', '1']);
      await holder.query('rollback');
      expect((await call.get(`/v1/jobs/${jobId}`)).body).toMatchObject({ id: jobId, status: 'queued' });
    } finally {
      await holder.end();
    }
  });
});
