/** The counters against random lives of jobs: what they say is what counting says, live or rebuilt. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { JOB_STATUSES } from '../../src/domain/job-chart.js';
import type { EventStore } from '../../src/event-store/event-store.js';
import { MemoryEventStore } from '../../src/event-store/memory/memory-event-store.js';
import { CounterQueries } from '../../src/projections/counters/counter-queries.js';
import { COUNTERS } from '../../src/projections/counters/counters.js';
import { QueueQueries } from '../../src/projections/counters/queue-queries.js';
import { appendInterleaved, jobHistory, tally, type JobHistory } from '../support/job-histories.js';
import { ProjectionBench } from '../support/projection-bench.js';

let bench: ProjectionBench;
let counters: CounterQueries;
let queues: QueueQueries;

beforeAll(async () => {
  bench = await ProjectionBench.create();
  counters = new CounterQueries(bench.pool);
  queues = new QueueQueries(bench.pool);
});
afterAll(() => bench.close());

const memoryLog = (): MemoryEventStore => new MemoryEventStore({ clock: () => Date.parse('2026-01-01T00:00:00.000Z') });

const zeroes = Object.fromEntries(JOB_STATUSES.map((status) => [status, 0]));

/** Statuses of the jobs by the name that `of` gives them. */
const statusesBy = (histories: readonly JobHistory[], of: (history: JobHistory) => string) =>
  Object.fromEntries(
    Object.keys(tally(histories.map(of))).map((name) => [
      name,
      tally(histories.filter((history) => of(history) === name).map(({ status }) => status)),
    ]),
  );

/** What simple counting says of a log. */
const counted = async (store: EventStore, histories: readonly JobHistory[]) => {
  const { events, next } = await store.readAll({ limit: 100_000 });
  return {
    position: next,
    total: histories.length,
    byStatus: { ...zeroes, ...tally(histories.map(({ status }) => status)) },
    byQueue: statusesBy(histories, ({ queue }) => queue),
    byType: statusesBy(histories, ({ type }) => type),
    events: events.filter(({ type }) => type !== 'CommandRefused').length,
  };
};

/** What fails is seen better than what a search for less would leave in the time of a test. */
const RUNS = { numRuns: 15, endOnFailure: true };

const lives = fc.record({
  histories: fc.array(jobHistory, { minLength: 1, maxLength: 8 }),
  turns: fc.array(fc.nat(7), { minLength: 1, maxLength: 50 }),
  pageSize: fc.integer({ min: 1, max: 40 }),
});

const logOf = async (histories: readonly JobHistory[], turns: readonly number[]): Promise<MemoryEventStore> => {
  const store = memoryLog();
  await appendInterleaved(store, histories, turns);
  return store;
};

describe('the counters', () => {
  it('say of any history what counting its jobs and events says, rebuilt and live, and are the same rows', async () => {
    await fc.assert(
      fc.asyncProperty(lives, async ({ histories, turns, pageSize }) => {
        const store = await logOf(histories, turns);
        const expected = await counted(store, histories);
        await bench.rebuild(COUNTERS, store);
        expect(await counters.counters()).toEqual({ ...expected, at: '2026-01-01T00:00:00.000Z' });
        const rebuilt = await bench.digest(COUNTERS);

        await bench.rebuild(COUNTERS, memoryLog());
        expect(await bench.digest(COUNTERS)).not.toBe(rebuilt);
        const runner = bench.runner({ projections: [COUNTERS], store, pageSize });
        runner.start();
        try {
          await bench.caughtUp(COUNTERS, store);
        } finally {
          await runner.stop();
        }
        expect(await counters.counters()).toEqual({ ...expected, at: '2026-01-01T00:00:00.000Z' });
        expect(await bench.digest(COUNTERS)).toBe(rebuilt);
      }),
      RUNS,
    );
    expect(bench.failures).toEqual([]);
  });

  it('count what only rises: by type of event, and by rule what the reaper did', async () => {
    await fc.assert(
      fc.asyncProperty(lives, async ({ histories, turns }) => {
        const store = await logOf(histories, turns);
        await bench.rebuild(COUNTERS, store);
        const { events } = await store.readAll({ limit: 100_000 });
        const types = tally(events.map(({ type }) => type));
        const rules = events.flatMap(({ data }) => {
          const { evidence } = data as { evidence?: { rule: string } | null };
          return evidence == null ? [] : [evidence.rule];
        });
        expect(await counters.totals()).toEqual({
          created: histories.length,
          completed: types['JobCompleted'] ?? 0,
          failed: (types['JobFailed'] ?? 0) + (types['JobTimedOut'] ?? 0),
          cancelled: types['JobCancelled'] ?? 0,
          retried: types['JobRetried'] ?? 0,
          deadLettered: types['JobDeadLettered'] ?? 0,
          reapedByRule: tally(rules),
          eventsByType: types,
        });
      }),
      RUNS,
    );
  });

  it('say zero of everything while nothing has happened', async () => {
    await bench.rebuild(COUNTERS, memoryLog());
    expect(await counters.counters()).toEqual({
      position: '0',
      at: expect.any(String),
      total: 0,
      byStatus: zeroes,
      byQueue: {},
      byType: {},
      events: 0,
    });
    expect(await queues.list(50)).toEqual({ position: '0', queues: [] });
  });
});

describe('queues', () => {
  interface Row {
    readonly queue: string;
    readonly priority?: number;
    /** Seconds ago: created and so first ready; in its status since then or since `since`. */
    readonly ready: number;
    readonly since?: number;
  }

  const insertRow = async ({ queue, priority = 0, ready, since = ready }: Row): Promise<string> => {
    const id = randomUUID();
    await bench.pool.query(
      `insert into jobledger.jobs (id, type, queue, status, priority, tags, run, attempt, leased, dead_lettered,
        revision, position, created_at, status_since, ready_at, last_event_at, doc,
        progress)
       select $1, 't', $2, 'queued', $3, '[]', 1, 0, false, false, 1, 1, r, s, r, s, '{}', '{}'
       from (select clock_timestamp() - $4::int * interval '1 s' as r, clock_timestamp() - $5::int * interval '1 s' as s)`,
      [id, queue, priority, ready, since],
    );
    return id;
  };

  const insertRows = async (rows: readonly Row[]): Promise<readonly string[]> => {
    await bench.pool.query('delete from jobledger.jobs');
    const ids: string[] = [];
    for (const row of rows) ids.push(await insertRow(row));
    return ids;
  };

  /** Counts as if the log had said so. */
  const count = async (queue: string, counts: Readonly<Record<string, number>>): Promise<void> => {
    await bench.pool.query('delete from jobledger.counters_by_status where queue = $1', [queue]);
    for (const [status, n] of Object.entries(counts)) {
      await bench.pool.query(`insert into jobledger.counters_by_status values ($1, 't', $2, $3)`, [queue, status, n]);
    }
  };

  it('show depth, counts, and the job that has waited the longest, whatever its priority', async () => {
    await count('mail', { queued: 4, running: 2, completed: 9 });
    const [, oldest] = await insertRows([
      { queue: 'mail', priority: 5, ready: 60 },
      { queue: 'mail', priority: -5, ready: 300 },
      // Created long ago, but back in its queue for a short time only.
      { queue: 'mail', priority: 0, ready: 900, since: 10 },
      { queue: 'mail', priority: 0, ready: 100 },
      { queue: 'other', ready: 5_000 },
    ]);
    const { queues: found } = await queues.find('mail');
    expect(found).toEqual([
      {
        name: 'mail',
        paused: false,
        depth: 4,
        oldestJobId: oldest,
        oldestAgeMs: expect.any(Number),
        byStatus: { ...zeroes, queued: 4, running: 2, completed: 9 },
        depthByType: { t: 4 },
        limits: { maxRunning: null, maxRunningPerKey: null, rate: null },
      },
    ]);
    expect(found[0]!.oldestAgeMs).toBeGreaterThanOrEqual(300_000);
  });

  it('have an oldest job only where something can be claimed', async () => {
    await count('mail', { completed: 1 });
    await insertRows([{ queue: 'mail', ready: 1 }]);
    expect((await queues.find('mail')).queues).toMatchObject([{ depth: 0, oldestJobId: null, oldestAgeMs: null }]);
    await insertRows([]);
    await count('mail', { queued: 1 });
    expect((await queues.find('mail')).queues).toMatchObject([{ depth: 1, oldestJobId: null, oldestAgeMs: null }]);
  });

  it('are listed by name, in pages', async () => {
    await bench.pool.query('delete from jobledger.counters_by_status');
    for (const queue of ['c', 'B', '__proto__', 'a/x']) await count(queue, { queued: 1 });
    const names = async (limit: number, after: string | null) =>
      (await queues.list(limit, after)).queues.map(({ name }) => name);
    expect(await names(2, null)).toEqual(['B', '__proto__']);
    expect(await names(2, '__proto__')).toEqual(['a/x', 'c']);
    expect(await names(2, 'c')).toEqual([]);
    expect((await queues.find('b')).queues).toEqual([]);
  });
});
