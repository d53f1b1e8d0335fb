/** Upkeep beside a log in EventStoreDB, over HTTP; and a database that is held to its log. */
/* eslint-disable @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return -- a test looks into answers by name. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Unavailable } from '../../src/event-store/event-store.js';
import type { EventStoreDriver } from '../../src/event-store/eventstoredb/driver.js';
import { NamedLog } from '../../src/event-store/eventstoredb/named-log.js';
import { openDriver } from '../../src/event-store/eventstoredb/open-driver.js';
import { bindLog, OtherLog } from '../../src/event-store/postgres/place-of-log.js';
import { openService } from '../../src/service.js';
import { Caller, startApp, type TestApp } from '../support/app.js';
import { FakeEventStoreDb } from '../support/eventstoredb/fake-server.js';
import { options } from '../support/ledger.js';
import { createTestDatabase } from '../support/test-database.js';

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

describe('a row of a job that the log does not have, as after it was restored from a backup', () => {
  const phantom = async (queue: string, columnsOf: Readonly<Record<string, unknown>> = {}): Promise<string> => {
    const id = randomUUID();
    const { rows } = await owner.query('select * from jobledger.jobs where id = $1', [
      (await api.create({ queue })).jobId,
    ]);
    const [row] = rows;
    const copy = { ...row, ...columnsOf, id, doc: { ...row.doc, id } };
    const columns = Object.keys(copy).filter((name) => copy[name] !== null);
    const values = columns.map((name) =>
      typeof copy[name] === 'object' && !(copy[name] instanceof Date) ? JSON.stringify(copy[name]) : copy[name],
    );
    await owner.query(
      `insert into jobledger.jobs (${columns.join()}) values (${columns.map((_, n) => `$${n + 1}`).join()})`,
      values,
    );
    return id;
  };

  const idsOf = (jobs: readonly { readonly id: string }[]): readonly string[] => jobs.map(({ id }) => id);

  it('is not claimed, takes no other with it, and is gone then', async () => {
    const id = await phantom('phantom');
    // Beside it is the job that it was copied from.
    const { status, body } = await api.post('/v1/claims', { workerId: 'w', queues: ['phantom'], max: 5 });
    expect(status).toBe(200);
    expect(body.jobs).toEqual([expect.objectContaining({ job: expect.not.objectContaining({ id }) })]);
    expect((await owner.query('select from jobledger.jobs where id = $1', [id])).rowCount).toBe(0);
  });

  it('is gone after a rebuild', async () => {
    const id = await phantom('rebuilt');
    const listed = async () => idsOf((await api.get('/v1/jobs?queue=rebuilt')).body.items);
    expect(await listed()).toContain(id);
    expect((await api.post('/v1/admin/projections/job_rows/rebuild')).body).toMatchObject({ state: 'done', ok: true });
    expect((await listed()).length).toBe(1);
    expect(await listed()).not.toContain(id);
  });

  it('is no job to whoever asks for it', async () => {
    const id = await phantom('asked');
    expect((await api.get(`/v1/jobs/${id}`)).status).toBe(404);
    const other = await phantom('asked');
    expect((await api.post(`/v1/jobs/${other}/cancel`, {})).status).toBe(404);
    expect((await api.get('/v1/jobs?queue=asked')).body.items.length).toBe(2);
  });

  it('is kept while the log ends before it, as a server does that was deposed: a rebuild alone takes it away', async () => {
    const id = await phantom('ahead', { position: '9000000000000000' });
    const status = async () => (await api.get(`/v1/jobs/${id}`)).status;
    expect(await status()).toBe(200);
    await api.post('/v1/admin/projections/job_rows/rebuild');
    expect(await status()).toBe(404);
  });
});

const writtenTo = ({ log }: FakeEventStoreDb) => log.all.filter(({ type }) => !type.startsWith('$'));

describe('a database', () => {
  it('that has the rows of one log elsewhere is opened with no other of them', async () => {
    const other = await FakeEventStoreDb.start();
    const at = (url: string) => openService(options(app.databaseUrl, { eventStoreDbUrl: url }));
    try {
      await expect(at(other.url)).rejects.toThrow(
        /^the log at JOBLEDGER_EVENTSTOREDB_URL is not the one whose jobs the database has rows of: /,
      );
      expect(writtenTo(other)).toEqual([]);
    } finally {
      other.stop();
    }
    await (await at(server.url)).close();
  });

  it('does no work with another log that comes in place of its own', async () => {
    const [own, other] = [await FakeEventStoreDb.start(), await FakeEventStoreDb.start()];
    const drivers = [await openDriver(own.url), await openDriver(other.url)];
    let [driver] = drivers;
    const either = new Proxy({} as EventStoreDriver, {
      get: (_, name: keyof EventStoreDriver) => driver![name].bind(driver),
    });
    const database = await createTestDatabase();
    await (await openService(options(database.url, { eventStoreDbUrl: own.url }))).close();
    const pool = new pg.Pool({ connectionString: database.url });
    const log = new NamedLog(either, pool);
    try {
      const failed = new Promise((resolve) => log.subscribeToEnd(() => undefined, resolve));
      await log.readAll({ direction: 'forwards', limit: 1 });
      own.stop();
      await failed;
      driver = drivers[1];
      await expect(log.append('job-1', -1, [])).rejects.toThrow(Unavailable);
      expect(writtenTo(other)).toEqual([]);
    } finally {
      await pool.end();
      await Promise.all(drivers.map((each) => each.close()));
      await database.drop();
      other.stop();
    }
  });

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
