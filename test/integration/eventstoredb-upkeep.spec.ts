/** Upkeep beside a log in EventStoreDB, over HTTP; and a database that is held to its log. */
/* eslint-disable @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return -- a test looks into answers by name. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { bindLog, OtherLog } from '../../src/event-store/postgres/place-of-log.js';
import { openService } from '../../src/service.js';
import { Caller, startApp, type TestApp } from '../support/app.js';
import { FakeEventStoreDb } from '../support/eventstoredb/fake-server.js';
import { options } from '../support/ledger.js';

let server: FakeEventStoreDb;
let app: TestApp;
let api: Caller;
let owner: pg.Pool;
const ids: string[] = [];

beforeAll(async () => {
  server = await FakeEventStoreDb.start();
  app = await startApp({ service: { eventStoreDbUrl: server.url } });
  api = new Caller(app.url);
  owner = new pg.Pool({ connectionString: app.databaseUrl });
  for (let n = 0; n < 4; n += 1) ids.push((await api.create({ queue: 'kept', total: 2 })).jobId);
  const [claimed] = (await api.post('/v1/claims', { workerId: 'w', queues: ['kept'] })).body.jobs;
  await api.worker(claimed, 'progress', { batchId: 'b', processed: 2 });
  await api.worker(claimed, 'complete', { result: { ok: true } });
  await api.post(`/v1/jobs/${ids[3]}/cancel`, {});
});
afterAll(async () => {
  await owner.end();
  await app.close();
  server.stop();
});

const shown = () => Promise.all(ids.map(async (id) => (await fetch(`${app.url}/v1/jobs/${id}`)).text()));

describe('a rebuild', () => {
  it('of the rows of jobs writes again those that were lost, and those that were edited', async () => {
    const before = await shown();
    await owner.query('delete from jobledger.jobs where id = any ($1)', [ids.slice(0, 2)]);
    await owner.query(
      `update jobledger.jobs set priority = 77, doc = jsonb_set(doc::jsonb, '{spec,queue}', '"x"')::json
      where id = $1`,
      [ids[2]],
    );
    expect(await api.post('/v1/admin/projections/job_rows/rebuild')).toMatchObject({
      status: 200,
      body: { kind: 'rebuild', projection: 'job_rows', state: 'done', ok: true },
    });
    expect(await shown()).toEqual(before);
    expect((await owner.query('select from jobledger.jobs where priority = 77')).rowCount).toBe(0);
  });

  it('of the counters counts the same, also when nothing was left of them', async () => {
    const { headers } = await api.get(`/v1/jobs/${ids[0]}`);
    const fresh = { headers: { 'x-min-position': headers.get('x-position')! } };
    const { byStatus } = (await api.get('/v1/counters', fresh)).body;
    await owner.query('truncate jobledger.counters_by_status');
    expect((await api.post('/v1/admin/projections/counters/rebuild')).body).toMatchObject({ state: 'done', ok: true });
    expect((await api.get('/v1/counters', fresh)).body.byStatus).toEqual(byStatus);
  });
});

describe('a verification', () => {
  it('of the counters names what is wrong, and repairs it', async () => {
    const verify = async (body: object) => (await api.post('/v1/admin/projections/counters/verify', body)).body;
    expect(await verify({})).toMatchObject({ state: 'done', ok: true, differing: 0 });
    await owner.query(
      'delete from jobledger.counters_by_status where ctid = (select min(ctid) from jobledger.counters_by_status)',
    );
    expect(await verify({ repair: true })).toMatchObject({ state: 'done', ok: false, differing: 1, repaired: true });
    expect(await verify({})).toMatchObject({ state: 'done', ok: true });
  });

  it.each([
    ['/v1/admin/projections/job_rows/verify', /no tables of its own to compare/],
    ['/v1/admin/log/verify', /EventStoreDB, which keeps no chain of hashes/],
  ])('by %s is refused: there is nothing to hold it against', async (path, detail) => {
    const { status, body } = await api.post(path, {});
    expect(status).toBe(501);
    expect(body).toMatchObject({ code: 'not_implemented', detail: expect.stringMatching(detail) });
  });
});

describe('a name of a projection that is not there', () => {
  it.each(['rebuild', 'verify'])('is answered with those that are: %s', async (what) => {
    expect(await api.post(`/v1/admin/projections/jobs/${what}`)).toMatchObject({
      status: 404,
      body: { detail: 'there is no projection jobs, only job_rows and counters' },
    });
  });
});

describe('a position', () => {
  it('that stands between two events is the fault of who gives it, not one of ours', async () => {
    const { body } = await api.get('/v1/events?limit=1');
    const between = BigInt(body.items[0].position) + 1n;
    const answer = await api.get(`/v1/events?after=${between}&limit=1`);
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
  });
});

describe('a database', () => {
  it('that has the rows of one log is opened with no other', async () => {
    await expect(openService(options(app.databaseUrl))).rejects.toThrow(
      'the log of the jobs in this database is in EventStoreDB, and JOBLEDGER_EVENT_STORE is postgres: set it to ' +
        'eventstoredb again, with JOBLEDGER_EVENTSTOREDB_URL, or start with another database',
    );
    await bindLog(owner, 'elsewhere');
    await owner.query('delete from jobledger.place_of_log');
    await bindLog(owner, 'here');
    await expect(bindLog(owner, 'elsewhere')).rejects.toThrow(OtherLog);
    await expect(bindLog(owner, 'elsewhere')).rejects.toThrow(
      'this database keeps its log itself, and JOBLEDGER_EVENT_STORE is eventstoredb: set it to postgres again, ' +
        'without JOBLEDGER_EVENTSTOREDB_URL, or start with another database',
    );
    await owner.query(`update jobledger.place_of_log set place = 'elsewhere'`);
  });
});
