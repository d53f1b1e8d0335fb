/** Rebuild, verify, and the head of the log, over HTTP. */
/* eslint-disable @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return,
   @typescript-eslint/no-unsafe-call -- a test looks into answers by name. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Caller, startApp, type TestApp } from '../support/app.js';

let app: TestApp;
let api: Caller;
/** Who owns the database. */
let owner: pg.Client;

beforeAll(async () => {
  app = await startApp();
  api = new Caller(app.url);
  owner = new pg.Client({ connectionString: app.databaseUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await app.close();
});

const HASH = /^[0-9a-f]{64}$/;

/** Jobs in different states, all of a queue. */
const liveSome = async (queue: string): Promise<readonly string[]> => {
  const payload = { z: [{ b: 1, a: 2 }], a: 'ü' };
  const ids: string[] = [];
  for (let n = 0; n < 6; n += 1) ids.push((await api.create({ queue, payload, total: 4, tags: ['x'] })).jobId);
  const [first, second, third, fourth] = (await api.post('/v1/claims', { workerId: 'w', queues: [queue], max: 4 })).body
    .jobs;
  await api.worker(first, 'progress', { batchId: 'b1', processed: 2, message: 'half', stage: 's' });
  await api.worker(first, 'heartbeat', { checkpoint: { row: 7, at: 'x' } });
  await api.worker(first, 'complete', { result: { y: 1, b: [2] } });
  await api.worker(second, 'fail', { code: 'E', message: 'm', detail: { z: 1, a: 2 }, retryable: false });
  await api.worker(third, 'wait', { reason: 'approval', detail: { q: 1, b: 2 } });
  await api.worker(fourth, 'progress', { batchId: 'b1', processed: 1 });
  await api.post(`/v1/jobs/${ids[5]}/cancel`, {});
  return ids;
};

const textOf = async (path: string): Promise<string> => (await fetch(`${app.url}${path}`)).text();
const shown = (ids: readonly string[]) => Promise.all(ids.map((id) => textOf(`/v1/jobs/${id}`)));

const verify = async (name: string, body: object = {}) =>
  (await api.post(`/v1/admin/projections/${name}/verify`, body)).body;

describe('a rebuild', () => {
  it('[Z-04, A-11] gives the same jobs, byte for byte, and the same digests, after every projection was dropped', async () => {
    const ids = await liveSome('rebuilt');
    const before = await shown(ids);
    const { position } = (await api.get('/v1/log/head')).body;
    await api.get('/v1/counters', { headers: { 'x-min-position': position } });
    const [events, counters] = [await textOf(`/v1/jobs/${ids[0]}/events`), await textOf('/v1/counters')];
    const digests = await Promise.all(
      ['jobs', 'counters'].map(
        async (name) => (await api.get(`/v1/admin/projections/${name}?digest=true`)).body.digest,
      ),
    );
    expect(digests).toEqual([expect.stringMatching(HASH), expect.stringMatching(HASH)]);

    await owner.query('truncate jobledger.jobs, jobledger.job_facts, jobledger.counters_by_status');
    for (const name of ['jobs', 'counters']) {
      const answer = await api.post(`/v1/admin/projections/${name}/rebuild`);
      expect(answer).toMatchObject({
        status: 200,
        body: { kind: 'rebuild', projection: name, state: 'done', ok: true, reason: null, percent: 100 },
      });
      expect(answer.body.position).toBe(answer.body.head);
    }
    expect(await shown(ids)).toEqual(before);
    expect(await textOf(`/v1/jobs/${ids[0]}/events`)).toBe(events);
    expect(JSON.parse(await textOf('/v1/counters')).byStatus).toEqual(JSON.parse(counters).byStatus);
    expect(
      await Promise.all(
        ['jobs', 'counters'].map(
          async (name) => (await api.get(`/v1/admin/projections/${name}?digest=true`)).body.digest,
        ),
      ),
    ).toEqual(digests);
  });

  it('does not keep the caller who does not want to wait', async () => {
    const { status, body, headers } = await api.post('/v1/admin/projections/counters/rebuild', { waitMs: 0 });
    expect({ status, body }).toMatchObject({ status: 202, body: { state: 'running', ok: null, finishedAt: null } });
    expect(headers.get('location')).toBe(`/v1/admin/upkeep/${body.id}`);
    const ended = await api.get(`/v1/admin/upkeep/${body.id}?waitMs=30000`);
    expect(ended).toMatchObject({
      status: 200,
      body: { id: body.id, state: 'done', ok: true, requestedBy: 'anonymous' },
    });
    expect((await api.get('/v1/admin/upkeep?limit=1')).body.items).toMatchObject([{ id: body.id }]);
  });

  it('leaves the indexes, their names, the storage parameters and the grants as they were', async () => {
    const describeTables = async () => {
      const { rows } = await owner.query(`
        select c.relname, c.reloptions, c.relacl::text, array(select pg_get_indexdef(i.indexrelid) from pg_index i
            where i.indrelid = c.oid order by 1) as indexes,
          array(select conname || pg_get_constraintdef(oid) from pg_constraint where conrelid = c.oid order by 1) as constraints,
          array(select attname || format_type(atttypid, atttypmod) || attnotnull || attcollation from pg_attribute
            where attrelid = c.oid and attnum > 0 order by attnum) as columns
        from pg_class c where relnamespace = 'jobledger'::regnamespace and relkind = 'r'
          and relname in ('jobs', 'job_facts', 'counters_jobs', 'counters_by_status', 'counters_totals') order by 1`);
      return rows;
    };
    await owner.query('grant select on jobledger.jobs to public');
    const before = await describeTables();
    await api.post('/v1/admin/projections/jobs/rebuild');
    await api.post('/v1/admin/projections/counters/rebuild');
    expect(await describeTables()).toEqual(before);
    const { rows } = await owner.query(
      `select count(*)::int as n from pg_class where relnamespace in ('jobledger_building'::regnamespace, 'jobledger_retired'::regnamespace)`,
    );
    expect(rows).toEqual([{ n: 0 }]);
  });

  it('is of a projection that there is', async () => {
    expect((await api.post('/v1/admin/projections/nothing/rebuild')).status).toBe(404);
    expect((await api.post('/v1/admin/projections/nothing/verify')).status).toBe(404);
    expect((await api.get('/v1/admin/projections/nothing')).status).toBe(404);
    expect((await api.get('/v1/admin/upkeep/00000000-0000-4000-8000-000000000000')).status).toBe(404);
    expect((await api.post('/v1/admin/projections/jobs/rebuild', { force: true })).status).toBe(400);
  });
});

describe('a verification of jobs', () => {
  const columns = [
    ...[
      'type',
      'queue',
      'status',
      'priority',
      'tags',
      'run',
      'attempt',
      'leased',
      'dead_lettered',
      'revision',
      'work_revision',
    ],
    ...['position', 'created_at', 'status_since', 'ready_at', 'wake_at', 'last_event_at', 'last_activity_at'],
    ...['last_activity_position', 'doc', 'payload', 'result', 'checkpoint', 'progress', 'saved_progress'],
  ];
  const EDIT: Readonly<Record<string, string>> = {
    text: `'tampered'`,
    int4: '77',
    int8: '77',
    bool: 'not %I',
    timestamptz: `'2001-01-01'`,
    json: `'{"edited": true}'`,
    jsonb: `'{"edited": true}'`,
  };

  it('finds nothing where nothing is wrong', async () => {
    await liveSome('right');
    expect(await verify('jobs')).toMatchObject({
      ...{ kind: 'verify', projection: 'jobs', state: 'done', ok: true, reason: null, differing: 0, differences: [] },
      ...{ truncated: false, repaired: false, parked: 0 },
    });
    expect(await verify('counters')).toMatchObject({ ok: true, differing: 0, differences: [] });
  });

  it('names a row with any edited column, a wiped one, and one that no event made; a repair puts them right', async () => {
    const ids = await liveSome('edited');
    const before = await shown(ids);
    const { rows } = await owner.query<{ column: string; type: string }>(
      `select attname as column, (select typname from pg_type where oid = atttypid) as type from pg_attribute
        where attrelid = 'jobledger.jobs'::regclass and attnum > 0 and attname <> 'id' order by attnum`,
    );
    // A column that is added has to be verified too.
    expect(rows.map(({ column }) => column).sort()).toEqual([...columns].sort());
    for (const { column, type } of rows) {
      const value = EDIT[type]!.replace('%I', column);
      await owner.query(`update jobledger.jobs set ${column} = ${value} where id = $1`, [ids[0]]);
      const found = await verify('jobs');
      expect({ column, ...found }).toMatchObject({ column, ok: false, differing: 1, repaired: false });
      expect(found.differences).toMatchObject([{ table: 'jobs', id: ids[0], kind: 'differs' }]);
      expect(found.differences[0].fields[0].split('.')[0]).toBe(column);
      expect(await verify('jobs', { repair: true })).toMatchObject({ ok: false, differing: 1, repaired: true });
    }
    await owner.query('delete from jobledger.jobs where id = $1', [ids[1]]);
    const stranger = '01a00000-0000-7000-8000-000000000000';
    await owner.query(
      `insert into jobledger.jobs select ($2::uuid), type, queue, status, priority, tags, run, attempt, leased, dead_lettered,
        revision, position, created_at, status_since, ready_at, wake_at, last_event_at, last_activity_at,
        last_activity_position, doc, payload, result, checkpoint, progress, saved_progress from jobledger.jobs where id = $1`,
      [ids[2], stranger],
    );
    const found = await verify('jobs', { repair: true });
    expect(found.differences).toEqual([
      { table: 'jobs', id: stranger, kind: 'extra', fields: [] },
      { table: 'jobs', id: ids[1], kind: 'missing', fields: [] },
    ]);
    expect(await verify('jobs')).toMatchObject({ ok: true, differing: 0 });
    expect(await shown(ids)).toEqual(before);

    // What was repaired can be seen later, by anybody.
    const { items } = (await api.get('/v1/admin/upkeep?limit=200')).body;
    expect(items.filter((run: { repaired: boolean }) => run.repaired)).toHaveLength(columns.length + 1);
    const kept = await api.get(`/v1/admin/upkeep/${found.id}`);
    expect(kept.body).toEqual({ ...found, head: kept.body.head });
  });

  it('names the counters that are wrong, and puts them right', async () => {
    await owner.query('update jobledger.counters_by_status set n = n + 1');
    const found = await verify('counters', { repair: true });
    expect(found).toMatchObject({ ok: false, repaired: true });
    expect(found.differences[0]).toMatchObject({ table: 'counters_by_status', kind: 'differs', fields: ['n'] });
    expect(await verify('counters')).toMatchObject({ ok: true });
  });
});

describe('the log', () => {
  it('is verified, and answers the head that was kept', async () => {
    const head = (await api.get('/v1/log/head')).body;
    expect(head).toEqual({ position: expect.any(String), hash: expect.stringMatching(HASH), at: expect.any(String) });
    await api.create({ queue: 'later' });
    const answer = await api.post('/v1/admin/log/verify', { head });
    expect(answer).toMatchObject({
      status: 200,
      body: { ok: true, firstBad: null, kind: 'verify-log', projection: null },
    });
    expect(answer.body).toMatchObject(
      (({ position, hash }) => ({ position, hash }))((await api.get('/v1/log/head')).body),
    );
    expect(await api.post('/v1/admin/log/verify', { head: { ...head, hash: '0'.repeat(64) } })).toMatchObject({
      status: 200,
      body: { ok: false, firstBad: head.position, reason: expect.stringContaining('anew') },
    });
    expect((await api.post('/v1/admin/log/verify', { head: { position: 'x', hash: 'y' } })).status).toBe(400);
  });

  it('names the first position that is not what was written', async () => {
    const { jobId } = await api.create({ queue: 'altered' });
    const { position } = (await api.get(`/v1/jobs/${jobId}/events`)).body.items[0];
    await owner.query(`alter table jobledger.events disable trigger append_only;
      alter table jobledger.events_0000 disable trigger append_only`);
    await owner.query(`update jobledger.events set data = replace(data, 'altered', 'forgery') where position = $1`, [
      position,
    ]);
    try {
      expect((await api.post('/v1/admin/log/verify')).body).toMatchObject({ ok: false, firstBad: position });
    } finally {
      await owner.query(`update jobledger.events set data = replace(data, 'forgery', 'altered') where position = $1`, [
        position,
      ]);
    }
    expect((await api.post('/v1/admin/log/verify')).body).toMatchObject({ ok: true, firstBad: null });
  });
});

it('projections are listed with how far they are', async () => {
  const { items } = (await api.get('/v1/admin/projections')).body;
  expect(items).toMatchObject([
    {
      name: 'jobs',
      version: 1,
      state: 'live',
      inline: true,
      lagEvents: 0,
      lagMs: 0,
      parked: 0,
      digest: null,
      generations: [],
    },
    { name: 'counters', version: 1, state: 'live', inline: false, parked: 0, lastError: null },
  ]);
});
