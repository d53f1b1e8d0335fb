/** Searches that look from a mark on, on the real tables: what they read, and that nothing is lost behind it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { claimableOf } from '../../src/domain/claimable.js';
import { createLedgerPool } from '../../src/event-store/postgres/ledger-pool.js';
import { PostgresReservations } from '../../src/leases/postgres-reservations.js';
import { JOB_COLUMNS, readJob } from '../../src/projections/jobs/job-rows.js';
import type { StoredJob } from '../../src/projections/jobs/stored-job.js';
import { waitFor } from '../support/e2e/wait.js';
import { create, execute, TestLedger } from '../support/ledger.js';

let ledger: TestLedger;
let client: pg.Client;
beforeAll(async () => {
  ledger = await TestLedger.open();
  client = new pg.Client({ connectionString: ledger.url });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await ledger.close();
});

const HOUR_AGO = "clock_timestamp() - interval '1 hour'";
const TWO_HOURS_AGO = "clock_timestamp() - interval '2 hours'";

const JOBS = { columns: JOB_COLUMNS, read: readJob, claimable: ({ job }: StoredJob) => claimableOf(job) };

interface Plan {
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
}
/** Of a statement, with all that its functions read. */
const pagesRead = async (statement: string): Promise<number> => {
  const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    `explain (analyze, buffers, format json) ${statement}`,
  );
  const { Plan: plan } = rows[0]!['QUERY PLAN'][0];
  return plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
};

describe('while somebody holds a snapshot', () => {
  const GONE = 20_000;
  let kept: string;
  let holder: pg.Client;
  beforeAll(async () => {
    kept = (await create(ledger.service, { queue: 'dumped', type: 'a', priority: 3 })).jobId;
    await client.query(`update jobledger.jobs set ready_at = ${HOUR_AGO} where id = $1`, [kept]);
    holder = new pg.Client({ connectionString: ledger.url });
    await holder.connect();
    await holder.query('begin isolation level repeatable read; select');
    await client.query(
      `insert into jobledger.jobs select (jsonb_populate_record(j, jsonb_build_object('id', gen_random_uuid(),
        'ready_at', null, 'priority', n % 3))).* from jobledger.jobs j, generate_series(1, $2) n where j.id = $1`,
      [kept, GONE],
    );
    // Statistics are older than what came since: nothing was to be claimed.
    await client.query('vacuum analyze jobledger.jobs');
    await client.query(`update jobledger.jobs set ready_at = ${HOUR_AGO} where queue = 'dumped'`);
  });
  afterAll(() => holder.end());

  const search = (types: string, from: string, strays = `'{}'`): string =>
    `select id from jobledger.reserve('{dumped}', ${types}, 10, 0, ${from}, ${strays})`;
  const found = async (statement: string) => (await client.query<{ id: string }>(statement)).rows.map(({ id }) => id);
  const LATER = `clock_timestamp() - interval '1 minute'`;

  // Plans are made while tables have any size, and kept.
  it('a search among many reads what it finds, wherever it begins', async () => {
    await client.query('set plan_cache_mode = force_generic_plan; set enable_seqscan = off');
    for (const types of ['null', `'{a}'`]) {
      expect(await pagesRead(search(types, `'-infinity'`))).toBeLessThan(GONE / 20);
      expect(await pagesRead(search(types, TWO_HOURS_AGO))).toBeLessThan(GONE / 20);
    }
    expect(await pagesRead(`select jobledger.left_behind(null, null, ${LATER}, 10)`)).toBeLessThan(GONE / 20);
  });

  it.each([
    ['any type', 'null'],
    ['a type', `'{a}'`],
  ])('a search for %s from a mark reads none of the rows that are gone', async (_what, types) => {
    await client.query(`delete from jobledger.jobs where queue = 'dumped' and id <> $1`, [kept]);
    expect(await pagesRead(search(types, `'-infinity'`))).toBeGreaterThan(GONE / 2);
    expect(await pagesRead(search(types, LATER))).toBeLessThan(GONE / 20);
    expect(await found(search(types, LATER))).toEqual([]);
    expect(await found(search(types, `'-infinity'`))).toEqual([kept]);
  });

  it('a stray is found, if it is of the filter', async () => {
    expect(await found(search('null', LATER, `array['${kept}'::uuid]`))).toEqual([kept]);
    expect(await found(search(`'{a,b}'`, LATER, `array['${kept}'::uuid]`))).toEqual([kept]);
    expect(await found(search(`'{b}'`, LATER, `array['${kept}'::uuid]`))).toEqual([]);
    const each = search('null', `'-infinity'`, `array['${kept}'::uuid, '${kept}'::uuid]`);
    expect(await found(each)).toEqual([kept]);
  });

  it.each([
    [`'{dumped}', null`, 1],
    [`null, null`, 1],
    [`null, '{a}'`, 1],
    [`'{dumped,other}', '{a}'`, 1],
    [`'{dumped}', '{b}'`, 0],
    [`'{other}', null`, 0],
  ])('a look behind the mark for %s finds %s', async (filter, count) => {
    expect(await found(`select id from jobledger.left_behind(${filter}, ${LATER}, 10) id`)).toHaveLength(count);
    expect(await found(`select id from jobledger.left_behind(${filter}, ${TWO_HOURS_AGO}, 10) id`)).toEqual([]);
  });
});

describe('a process whose searches are slow', () => {
  let elapsed = 0;
  let step = 100;
  const slowReservations = () => {
    const { pool, clock } = ledger.service;
    return new PostgresReservations(pool, pool, clock, JOBS, () => (elapsed += step));
  };
  let reservations: ReturnType<typeof slowReservations>;
  const filter = { queues: ['slow'] };
  const find = async (limit = 10) => (await reservations.reserve(filter, limit)).map(({ jobId }) => jobId);
  const finds = (id: string) => waitFor(`job ${id} to be found`, async () => (await find()).includes(id));
  beforeAll(async () => {
    reservations = slowReservations();
    for (let n = 0; n < 3; n += 1) expect(await find()).toEqual([]);
  });

  it('finds what comes', async () => {
    const { jobId } = await create(ledger.service, { queue: 'slow' });
    expect(await find()).toEqual([jobId]);
  });

  it('finds what it wrote below the mark', async () => {
    const { jobId } = await create(ledger.service, { queue: 'slow', availableAt: '2026-01-01T00:00:00.000Z' });
    step = 0;
    expect(await find()).toEqual([]);
    const { job } = (await ledger.service.rows.load([jobId])).get(jobId)!;
    reservations.note(() => claimableOf(job));
    expect(await find()).toEqual([jobId]);
    await execute(ledger.service, jobId, 'cancel');
    step = 100;
  });

  it('finds in time what another wrote below the mark', async () => {
    const { jobId } = await create(ledger.service, { queue: 'slow', availableAt: '2026-01-01T00:00:00.000Z' });
    await finds(jobId);
  });

  it('finds what it let go', async () => {
    const { jobId } = await create(ledger.service, { queue: 'slow' });
    await finds(jobId);
    for (let n = 0; n < 3; n += 1) await find();
    await client.query(`update jobledger.jobs set ready_at = ${HOUR_AGO} where id = $1`, [jobId]);
    step = 0;
    expect(await find()).toEqual([]);
    await reservations.release([jobId]);
    expect(await find()).toEqual([jobId]);
    step = 100;
  });

  it('finds the older ones of a lower priority when the higher are at an end', async () => {
    const old = { queue: 'slow', availableAt: '2026-01-01T00:00:00.000Z' };
    const low = [await create(ledger.service, old), await create(ledger.service, old)];
    const high: string[] = [];
    for (let n = 0; n < 8; n += 1) high.push((await create(ledger.service, { queue: 'slow', priority: 9 })).jobId);
    const other = slowReservations();
    // Three that are slow and full set a mark past the low ones.
    const seen: string[] = [];
    for (let n = 0; n < 4; n += 1) seen.push(...(await other.reserve(filter, 2)).map(({ jobId }) => jobId));
    expect(seen).toEqual(high);
    step = 0;
    expect((await other.reserve(filter, 10)).map(({ jobId }) => jobId)).toEqual(low.map(({ jobId }) => jobId));
    step = 100;
  });
});

it('a process whose searches do not end in time, three times over, begins them at a mark', async () => {
  const { pool, clock } = ledger.service;
  const { jobId } = await create(ledger.service, { queue: 'long', availableAt: '2026-01-01T00:00:00.000Z' });
  const fails = new pg.Pool({ connectionString: ledger.url, max: 1 });
  const failing = createLedgerPool({ connectionString: ledger.url, poolSize: 1, statementTimeoutMs: 100 });
  let looks = false;
  const background = {
    query: (statement: pg.QueryConfig) => (looks ? pool.query(statement) : Promise.reject(new Error('it is away'))),
  };
  const holder = await fails.connect();
  /** Whoever holds the lock of the searches keeps them from ending. */
  const processAfter = async (timeouts: number) => {
    const reservations = new PostgresReservations(failing, background as unknown as pg.Pool, clock, JOBS);
    const find = async () => (await reservations.reserve({ queues: ['long'] }, 5)).map((each) => each.jobId);
    await holder.query('select pg_advisory_lock(7041776901)');
    for (let n = 0; n < timeouts; n += 1) await expect(find()).rejects.toThrow(/statement timeout/);
    await holder.query('select pg_advisory_unlock(7041776901)');
    return { find, release: () => reservations.release([jobId]) };
  };
  const two = await processAfter(2);
  expect(await two.find()).toEqual([jobId]);
  await two.release();
  const three = await processAfter(3);
  expect(await three.find()).toEqual([]);
  // Found by a look; it is fast, so they begin at the head again.
  looks = true;
  await waitFor('the job to be found', async () => (await three.find()).includes(jobId));
  holder.release();
  await Promise.all([fails.end(), failing.end()]);
});
