/** The counters beside the whole write path: what they say is what the rows of jobs say. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createLogPool } from '../../src/event-store/postgres/connection.js';
import { CounterQueries } from '../../src/projections/counters/counter-queries.js';
import { COUNTERS } from '../../src/projections/counters/counters.js';
import { QueueQueries } from '../../src/projections/counters/queue-queries.js';
import { ProjectionRunner } from '../../src/projections/projection-runner.js';
import { ProjectionWatch } from '../../src/projections/projection-watch.js';
import { claim, create, execute, TestLedger, tokenOf } from '../support/ledger.js';

let ledger: TestLedger;
let pool: ReturnType<typeof createLogPool>;
let runner: ProjectionRunner;

const failures: unknown[] = [];
const log = { failed: (_: string, error: unknown) => void failures.push(error), parked: () => undefined };

beforeAll(async () => {
  ledger = await TestLedger.open();
  pool = createLogPool({ connectionString: ledger.url, poolSize: 4 });
  const { store } = ledger.service;
  runner = new ProjectionRunner({ store, pool, projections: [COUNTERS], instanceId: 'test', log });
  runner.start();
});
afterAll(async () => {
  await runner.stop();
  await pool.end();
  await ledger.close();
});

/** One life among many: claimed, worked on, ended in one of many ways, or left. */
const live = async (n: number): Promise<void> => {
  const { service } = ledger;
  const queue = ['mail', 'reports'][n % 2]!;
  const created = await create(service, { queue, type: ['a', 'b', 'c'][n % 3]!, autostart: n % 11 !== 0 });
  if (n % 7 === 0) await execute(service, created.jobId, 'cancel');
  const [claimed] = await claim(service, { filter: { queues: [queue] } });
  if (claimed === undefined) return;
  const { jobId } = claimed.outcome;
  const token = tokenOf(claimed);
  await execute(service, jobId, 'progress', { token });
  const endings = ['complete', 'fail', 'release', 'throttle', 'wait'] as const;
  const ending = endings[n % 6];
  if (ending === undefined) return;
  await execute(service, jobId, ending, { token });
  // Refused, and recorded as that.
  await execute(service, jobId, 'progress', { token }).catch(() => undefined);
  if (ending === 'wait') await execute(service, jobId, 'resume');
};

it('agree with the rows of jobs at every time that nobody writes', async () => {
  const { store } = ledger.service;
  const watch = new ProjectionWatch(store, pool, [COUNTERS]);
  for (let round = 0; round < 3; round += 1) {
    await Promise.all(Array.from({ length: 60 }, (_, n) => live(n)));
    const { position, at } = await store.head();
    expect(await watch.waitFor(COUNTERS.name, position, 30_000)).toBe(true);

    const counters = await new CounterQueries(pool).counters();
    const { rows } = await pool.query<{ by_queue: unknown; by_type: unknown; total: number }>(`
      with c as (select queue, type, status from jobledger.jobs)
      select (select count(*)::int from c) as total,
        (select json_object_agg(queue, s) from (select queue, json_object_agg(status, n) as s
          from (select queue, status, count(*) as n from c group by 1, 2) x group by 1) y) as by_queue,
        (select json_object_agg(type, s) from (select type, json_object_agg(status, n) as s
          from (select type, status, count(*) as n from c group by 1, 2) x group by 1) y) as by_type`);
    const { total, by_queue: byQueue, by_type: byType } = rows[0]!;
    expect(counters).toMatchObject({ position, at, total, byQueue, byType });
    const refusals = await pool.query(`select from jobledger.events where type = 'CommandRefused'`);
    expect(refusals.rowCount).toBeGreaterThan(0);
    expect(counters.events).toBe(Number(position) - refusals.rowCount!);

    const { queues } = await new QueueQueries(pool).list(50);
    expect(queues.map(({ name, depth }) => [name, depth])).toEqual(
      ['mail', 'reports'].map((name) => [name, counters.byQueue[name]?.queued ?? 0]),
    );
    const oldest = await pool.query<{ id: string }>(`
      select distinct on (queue) id from jobledger.jobs where ready_at is not null order by queue, status_since, id`);
    expect(queues.flatMap(({ oldestJobId }) => oldestJobId ?? [])).toEqual(oldest.rows.map(({ id }) => id));
  }
  expect(failures).toEqual([]);
});
