/** What a search for candidates reads of the table of jobs, and in which order it finds them, over queues and types. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { call, create, execute, spec, TestLedger } from '../support/ledger.js';

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

const BACKLOG = 2_000;

/** Rows of jobs that this session read and has not reported yet. */
const rowsReadSoFar = async (): Promise<number> => {
  const { rows } = await client.query<{ read: string }>(
    `select seq_tup_read + idx_tup_fetch as read from pg_stat_xact_user_tables where relid = 'jobledger.jobs'::regclass`,
  );
  return Number(rows[0]!.read);
};
/** Rows of jobs that were read in it. */
const rowsRead = async (search: () => Promise<unknown>): Promise<number> => {
  await client.query('begin');
  try {
    const before = await rowsReadSoFar();
    await search();
    return (await rowsReadSoFar()) - before;
  } finally {
    await client.query('rollback');
  }
};
const reserve = async (queues: string[] | null, types: string[] | null, limit: number): Promise<string[]> => {
  const { rows } = await client.query<{ id: string }>('select id from jobledger.reserve($1, $2, $3, 0)', [
    ...[queues, types, limit],
  ]);
  return rows.map(({ id }) => id);
};

describe('beside a backlog of another type', () => {
  beforeAll(async () => {
    const jobs = Array.from({ length: BACKLOG }, () => ({
      spec: spec({ queue: 'shared', type: 'late' }),
      reason: null,
    }));
    await ledger.service.ledger.create(jobs, call());
    await client.query('analyze jobledger.jobs');
  });

  it.each<[string, string[] | null, string[] | null]>([
    ['a queue and a type', ['shared'], ['absent']],
    ['a type in any queue', null, ['absent']],
    ['a queue in which nothing is', ['empty'], null],
  ])('a search for %s reads none of it', async (_what, queues, types) => {
    expect(await rowsRead(() => reserve(queues, types, 100))).toBeLessThan(20);
  });

  it.each<[string, string[] | null, string[] | null]>([
    ['a queue and a type', ['shared'], ['late']],
    ['a queue', ['shared'], null],
    ['anything', null, null],
  ])('a search for %s reads what it finds, in their order', async (_what, queues, types) => {
    // As the service has it: plans do not depend on arguments, and are made while tables have any size.
    await client.query('set plan_cache_mode = force_generic_plan; set enable_seqscan = off');
    expect(await rowsRead(() => reserve(queues, types, 10))).toBeLessThan(40);
    expect(await rowsRead(() => client.query('select jobledger.left_behind(null, null, now(), 10)'))).toBeLessThan(40);
  });

  it('a look at all that is offered reads one of each', async () => {
    const offered = () => client.query('select queue, type from jobledger.offered()');
    expect((await offered()).rows).toEqual([{ queue: 'shared', type: 'late' }]);
    expect(await rowsRead(offered)).toBeLessThan(20);
  });
});

describe('of several types', () => {
  const made: string[] = [];
  beforeAll(async () => {
    for (const [type, priority] of [
      ['a', 0],
      ['b', 5],
      ['a', 5],
      ['c', -1],
      ['b', 0],
    ] as const)
      made.push((await create(ledger.service, { queue: 'mixed', type, priority })).jobId);
  });

  it.each<[string, string[] | null, number, number[]]>([
    ['any', null, 9, [1, 2, 0, 4, 3]],
    ['any, up to a limit', null, 3, [1, 2, 0]],
    ['any, up to a limit that the highest fill', null, 2, [1, 2]],
    ['some', ['c', 'a', 'a'], 9, [2, 0, 3]],
    ['one', ['b'], 1, [1]],
  ])('%s come by priority, then by age', async (_what, types, limit, order) => {
    expect(await reserve(['mixed', 'mixed'], types, limit)).toEqual(order.map((n) => made[n]));
  });

  it('the oldest is that of the whole queue', async () => {
    const oldest = 'select id from jobledger.oldest_ready($1)';
    expect((await client.query(oldest, ['mixed'])).rows).toEqual([{ id: made[0] }]);
    await execute(ledger.service, made[0]!, 'cancel');
    expect((await client.query(oldest, ['mixed'])).rows).toEqual([{ id: made[1] }]);
  });
});

describe('what is offered', () => {
  const offered = async () => {
    const offers = `select queue, type from jobledger.offered() where queue = 'timed'`;
    const { rows } = await client.query<{ queue: string; type: string }>(offers);
    return rows;
  };

  it('has what is due, and nothing that is not', async () => {
    const later = new Date(Date.now() + 3_600_000).toISOString();
    const { jobId } = await create(ledger.service, { queue: 'timed', type: 'x', availableAt: later });
    expect(await offered()).toEqual([]);
    await execute(ledger.service, jobId, 'reschedule', { availableAt: '2026-01-01T00:00:00.000Z', reason: null });
    expect(await offered()).toEqual([{ queue: 'timed', type: 'x' }]);
    await client.query(`update jobledger.jobs set ready_at = null, wake_at = clock_timestamp() where id = $1`, [jobId]);
    expect(await offered()).toEqual([{ queue: 'timed', type: 'x' }]);
  });
});
