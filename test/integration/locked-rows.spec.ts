/**
 * Somebody outside of the ledger holds rows locked (`select … for update` in a session that was left open) until every other
 * call was answered: whoever waited for such a row would never come to an end.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Caller, startApp, type TestApp } from '../support/app.js';

let app: TestApp;
let http: Caller;
let stranger: pg.Client;
let queues = 0;
let queue: string;

beforeAll(async () => {
  app = await startApp({ policy: { leaseMs: 60_000 } });
  http = new Caller(app.url);
  stranger = new pg.Client({ connectionString: app.databaseUrl });
  await stranger.connect();
});
afterAll(async () => {
  await stranger.end();
  await app.close();
});
beforeEach(() => {
  queue = `q${(queues += 1)}`;
});
afterEach(() => stranger.query('rollback'));

const lock = async (table: 'jobs' | 'leases', ids: readonly string[]): Promise<void> => {
  await stranger.query('begin');
  const key = table === 'jobs' ? 'id' : 'job_id';
  const { rowCount } = await stranger.query(`select from jobledger.${table} where ${key} = any ($1) for update`, [ids]);
  expect(rowCount).toBe(ids.length);
};
const unlock = () => stranger.query('rollback');

interface Claimed {
  readonly job: { readonly id: string };
  readonly leaseToken: string;
}

const claims = async (body: object): Promise<readonly Claimed[]> =>
  ((await http.post('/v1/claims', { workerId: 'w1', queues: [queue], ...body })).body as { jobs: Claimed[] }).jobs;
const idsOf = (jobs: readonly Claimed[]): string[] => jobs.map(({ job }) => job.id).sort();
const create = async (over: object = {}): Promise<string> =>
  ((await http.create({ queue, ...over })) as { jobId: string }).jobId;

/** Jobs that are worked on. */
const running = async (count: number): Promise<[Claimed, ...Claimed[]]> => {
  for (let n = 0; n < count; n += 1) await create();
  const jobs = await claims({ max: count });
  expect(jobs).toHaveLength(count);
  return jobs as [Claimed, ...Claimed[]];
};

const locked = expect.objectContaining({
  status: 503,
  body: expect.objectContaining({ code: 'unavailable', detail: expect.stringContaining('locked by another session') }),
});

describe('a locked row', () => {
  it.each(['jobs', 'leases'] as const)('of %s holds up no command on another job [B-32]', async (table) => {
    const [held, ...others] = await running(6);
    await lock(table, [held.job.id]);
    // All at once, and the locked one in front: they are appended together.
    const first = http.worker(held, 'complete');
    const rest = others.map((job, n) =>
      n % 2 === 0 ? http.worker(job, 'complete') : http.worker(job, 'progress', { batchId: 'b', processed: 1 }),
    );
    const created = create();
    expect((await Promise.all(rest)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(await created).toEqual(expect.any(String));
    const refused = await first;
    expect(refused).toEqual(locked);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await http.worker(held, 'progress', { batchId: 'b', processed: 1 })).toEqual(locked);
    await unlock();
    expect((await http.worker(held, 'progress', { batchId: 'b', processed: 1 })).status).toBe(200);
    expect((await http.worker(held, 'complete')).body).toMatchObject({ status: 'completed' });
    const { body } = await http.get(`/v1/jobs/${held.job.id}/events?limit=100`);
    expect((body as { items: { type: string }[] }).items.map(({ type }) => type)).toEqual([
      ...['JobCreated', 'JobQueued', 'JobClaimed', 'JobStarted', 'ProgressRecorded', 'JobCompleted'],
    ]);
  });

  it('of leases holds up no heartbeat of another job [B-32]', async () => {
    const [held, ...others] = await running(4);
    await lock('leases', [held.job.id]);
    const first = http.worker(held, 'heartbeat');
    const rest = await Promise.all(others.map((job) => http.worker(job, 'heartbeat')));
    expect(rest.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await first).toEqual(locked);
    // Nor one that comes while it waits.
    const again = http.worker(held, 'heartbeat');
    expect((await http.worker(others[0]!, 'heartbeat')).status).toBe(200);
    await unlock();
    expect((await again).status).toBe(200);
  });

  it('is not waited for by whoever would write it anew with the log locked [B-32]', async () => {
    const [held, other] = await running(2);
    // A beat that finds no lease row asks the log, and first sets right what the row of the job says.
    await app.service.pool.query('delete from jobledger.leases where job_id = $1', [held.job.id]);
    await lock('jobs', [held.job.id]);
    const beat = http.worker(held, 'heartbeat');
    expect((await http.worker(other!, 'complete')).status).toBe(200);
    expect(await beat).toEqual(locked);
    await unlock();
    expect((await http.worker(held, 'heartbeat')).status).toBe(200);
  });

  it('holds up no claim: each takes another job, and it is claimed once it is free [B-32]', async () => {
    const id = await create({ priority: 100 });
    await lock('jobs', [id]);
    expect(await claims({})).toEqual([]);
    const ids = [await create(), await create(), await create(), await create()];
    const each = await Promise.all(ids.map(() => claims({ waitMs: 30_000 })));
    expect(idsOf(each.flat())).toEqual(ids.sort());
    // Among several that one claim asks for.
    const more = [await create(), await create()];
    expect(idsOf(await claims({ max: 10, waitMs: 30_000 }))).toEqual(more.sort());
    await unlock();
    expect(idsOf(await claims({ waitMs: 30_000 }))).toEqual([id]);
  });

  it.each(['jobs', 'leases'] as const)('of %s does not stop a sweep [B-32]', async (table) => {
    const jobs = await running(3);
    const ids = idsOf(jobs);
    await app.service.pool.query(
      `update jobledger.leases set expires_at = now() - interval '1 s', deadline_at = now() - interval '1 s'
       where job_id = any ($1)`,
      [ids],
    );
    await lock(table, [ids[0]!]);
    const { body } = await http.post('/v1/admin/reaper/sweep');
    expect(body).toMatchObject({ due: 3, requeued: 2, errors: 1 });
    await unlock();
    expect((await http.post('/v1/admin/reaper/sweep')).body).toMatchObject({ due: 1, requeued: 1 });
  });
});
