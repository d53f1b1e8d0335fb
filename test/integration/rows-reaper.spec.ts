/** What operators are promised of the reaper: that it runs, that it is seen when it does not, that it does harm to none. */
import { afterEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { ClaimedJob, ReaperStatus } from '../../src/api/contract.js';
import { type AppOverrides, startApp, type TestApp } from '../support/app.js';
import { waitFor } from '../support/e2e/wait.js';
import { silent } from '../support/ledger.js';
import { DAY_MS, LedgerCaller, LONG_LEASE, newQueue, STALE } from '../support/ledger-caller.js';

const EVERYTHING = ['api', 'projections', 'reaper'] as const;

const apps: TestApp[] = [];
const start = async (overrides: AppOverrides = {}): Promise<TestApp> => {
  const app = await startApp({
    ...overrides,
    ...(apps[0] === undefined ? {} : { databaseUrl: apps[0].databaseUrl }),
  });
  apps.push(app);
  return app;
};
/** A process that sweeps by itself. */
const reaping = async (intervalMs: number): Promise<LedgerCaller> =>
  new LedgerCaller((await start({ run: EVERYTHING, service: { reaper: { intervalMs, log: silent } } })).url);
/** One that sweeps when it is asked. */
const serving = async (): Promise<LedgerCaller> => new LedgerCaller((await start()).url);
/** What no caller can do: damage. */
const damage = async (statement: string, values: unknown[] = []): Promise<void> => {
  const client = new pg.Client({ connectionString: apps[0]?.databaseUrl });
  await client.connect();
  try {
    await client.query(statement, values);
  } finally {
    await client.end();
  }
};
/** Lets the calls reach the log in this order: each is decided, and waits there, before the next one is made. */
const inTurn = async <Answer>(calls: readonly (() => Promise<Answer>)[]): Promise<readonly Answer[]> => {
  const client = new pg.Client({ connectionString: apps[0]?.databaseUrl });
  await client.connect();
  const answers: Promise<Answer>[] = [];
  try {
    await client.query('begin');
    await client.query('select jobledger.lock_log()');
    for (const call of calls) {
      answers.push(call());
      await waitFor('the call to wait for the log', async () => {
        const { rowCount } = await client.query(
          `select from pg_locks where locktype = 'advisory' and not granted
            and database = (select oid from pg_database where datname = current_database())`,
        );
        return rowCount === answers.length;
      });
    }
    await client.query('commit');
  } finally {
    await client.end();
  }
  return Promise.all(answers);
};
/** The first one made the database, so it goes last. */
afterEach(async () => {
  for (const app of apps.splice(0).reverse()) await app.close();
});

const createStale = async (ledger: LedgerCaller, count: number): Promise<string> => {
  const queue = newQueue();
  for (let left = count; left > 0; left -= 1_000) {
    const jobs = Array.from({ length: Math.min(left, 1_000) }, () => ({ type: 'stale', queue, policy: STALE }));
    await ledger.post('/v1/jobs/batch', { jobs });
  }
  return queue;
};
const claimStale = async (ledger: LedgerCaller, queue: string, count: number): Promise<readonly ClaimedJob[]> => {
  const claimed: ClaimedJob[] = [];
  for (let left = count; left > 0; left -= 1_000) {
    claimed.push(...(await ledger.claims('silent', { queues: [queue], max: Math.min(left, 1_000), leaseMs: DAY_MS })));
  }
  expect(claimed).toHaveLength(count);
  return claimed;
};
const staleJobs = async (ledger: LedgerCaller, count: number): Promise<readonly ClaimedJob[]> =>
  claimStale(ledger, await createStale(ledger, count), count);
const idsOf = (claimed: readonly ClaimedJob[]) => claimed.map(({ job }) => job.id);

/** A job that timed out after its report was silent after it: no verdict passes over what was answered. */
const expectJudgedOnLastReport = async (ledger: LedgerCaller, id: string): Promise<void> => {
  const [report] = await ledger.eventsOf(id, 'ProgressRecorded');
  const [timeout] = await ledger.eventsOf(id, 'JobTimedOut');
  if (report === undefined || timeout === undefined) return;
  expect(timeout.data['evidence']).toMatchObject({ lastActivityPosition: report.position });
};

describe('the reaper', () => {
  it('sweeps at once when it starts, and then again and again [P-01]', async () => {
    const ledger = await reaping(200);
    const first = await waitFor('a sweep', async () => {
      const status = await ledger.reaper();
      return status.sweeps > 0 && status;
    });
    expect(first).toMatchObject({ alive: true, leader: first.instanceId, lastError: null, consecutiveErrors: 0 });
    const later = await waitFor('four more', async () => {
      const status = await ledger.reaper();
      return status.sweeps >= first.sweeps + 4 && status;
    });
    expect(Date.parse(later.lastSweepAt!) - Date.parse(first.lastSweepAt!)).toBeGreaterThan(400);
    expect((await ledger.ready()).status).toBe('ok');
  });

  it('does not wait for its interval when a deadline is nearer [P-01]', async () => {
    const ledger = await reaping(3_600_000);
    await waitFor('the sweep at the start', async () => (await ledger.reaper()).sweeps > 0);
    const { job } = await ledger.hold({ policy: STALE }, LONG_LEASE);
    const { body } = await ledger.get(`/v1/jobs/${job.id}?waitMs=45000`);
    expect(body).toMatchObject({ status: 'failed', error: { code: 'JobTimeout' } });
  });

  it('gives a job whose worker went away to the next one, unasked; nobody else sees it before [B-26]', async () => {
    const ledger = await reaping(3_600_000);
    const lost = await ledger.hold({}, { leaseMs: 60_000 });
    const { id, queue } = lost.job;
    expect(await ledger.claims('w2', { queues: [queue] })).toEqual([]);
    await ledger.worker(lost, 'heartbeat', { leaseMs: 100 });
    const found = await ledger.next(queue, { waitMs: 45_000 }, 'w2');
    expect([found.job.id, found.attempt, found.job.lostLeases]).toEqual([id, 2, 1]);
  });

  it('ends the lease of a held job, which waits then, and is given out when it is resumed', async () => {
    const ledger = await serving();
    const held = await ledger.hold({}, { leaseMs: 100 });
    const { id, queue } = held.job;
    await ledger.command(id, 'hold', { reason: 'audit' });
    expect(await ledger.sweepUntil(id, 'waiting')).toMatchObject({
      ...{ lease: null, lostLeases: 1, deadline: { rule: 'wait_expired' } },
      waiting: { reason: 'paused', detail: 'audit' },
    });
    expect((await ledger.worker(held, 'heartbeat', {})).status).toBe(409);
    expect(await ledger.claims('w2', { queues: [queue] })).toEqual([]);
    await ledger.command(id, 'resume');
    expect((await ledger.next(queue, {}, 'w2')).attempt).toBe(2);
  });

  it('that fails says so, goes on, and reaps when it can again [P-10]', async () => {
    const ledger = await reaping(100);
    const { job } = await ledger.hold({ policy: { maxLostLeases: 0 } }, { leaseMs: 1_000 });
    await damage('alter table jobledger.jobs rename to jobs_away');
    // While a lease has its grace (this file's last reaper is some time ago) its job is read to tell what is overdue.
    const failing = await waitFor('three errors in a row', async () => {
      const answer = await ledger.get('/v1/reaper');
      const reaper = answer.body as ReaperStatus;
      return answer.status === 200 && reaper.consecutiveErrors >= 3 && reaper;
    });
    expect(failing.lastError).toContain('jobledger.jobs');
    const ready = await ledger.get('/health/ready');
    expect([ready.status, ready.body.checks.reaper.status]).toEqual([200, 'degraded']);
    expect(ready.body.checks.reaper.detail).toContain('failed in a row');
    await damage('alter table jobledger.jobs_away rename to jobs');
    const { body } = await ledger.get(`/v1/jobs/${job.id}?waitMs=45000`);
    expect(body).toMatchObject({ status: 'failed', error: { code: 'LeaseExpired' } });
    await waitFor('no error', async () => {
      const { consecutiveErrors, lastError, alive } = await ledger.reaper();
      return consecutiveErrors === 0 && lastError === null && alive;
    });
  });

  it('says, as every call does, that a table is missing, and what to do', async () => {
    const ledger = await serving();
    const [held] = await staleJobs(ledger, 1);
    const { id, queue } = held!.job;
    await ledger.untilDue([id]);
    await damage('alter table jobledger.jobs rename to jobs_away');
    const detail = expect.stringMatching(
      /^a table of the database is missing.*whoever runs the database has to put it back/,
    );
    for (const { status, body, headers } of [
      await ledger.get('/v1/reaper'),
      await ledger.get(`/v1/jobs/${id}`),
      await ledger.get('/v1/jobs'),
      await ledger.post('/v1/claims', { workerId: 'w', queues: [queue] }),
      await ledger.worker(held!, 'complete', {}),
    ])
      expect([status, headers.get('retry-after'), body]).toEqual([
        503,
        '30',
        expect.objectContaining({ code: 'unavailable', detail }),
      ]);
    expect((await ledger.ready()).checks['reaper']).toEqual({ status: 'degraded', detail });
    await damage('alter table jobledger.jobs_away rename to jobs');
    expect(await ledger.reaper()).toMatchObject({ overdue: 1 });
    expect((await ledger.worker(held!, 'complete', {})).status).toBe(200);
  });

  it('that is gone is missed: by its status, by readiness, and by the age of what it left [P-14]', async () => {
    const ledger = await serving();
    const other = await reaping(100);
    const { instanceId } = await other.reaper();
    // It leads before its first sweep is written down: alive is told of both.
    await waitFor('it to lead, and to have swept', async () => {
      const { leader, alive } = await ledger.reaper();
      return leader === instanceId && alive;
    });
    await apps.pop()?.close();
    await ledger.hold({}, { leaseMs: 100 });
    const late = await waitFor('it to be missed', async () => {
      const status = await ledger.reaper();
      return !status.alive && status.overdue === 1 && status;
    });
    expect(late.leader).toBeNull();
    await waitFor('the age to grow', async () => (await ledger.reaper()).mostOverdueMs > late.mostOverdueMs);
    const seconds = await ledger.metric('jobledger_most_overdue_seconds');
    expect(seconds * 1_000).toBeGreaterThan(late.mostOverdueMs);
    expect((await ledger.ready()).checks['reaper']).toMatchObject({ status: 'degraded' });
    await reaping(100);
    await waitFor('another to take over', async () => {
      const { alive, overdue } = await ledger.reaper();
      return alive && overdue === 0;
    });
  });

  it('that swept lately is missed all the same once nobody leads for the length of a lead [P-14]', async () => {
    const ledger = await serving();
    await ledger.hold({}, { leaseMs: 100 });
    await waitFor('it to be overdue', async () => (await ledger.reaper()).overdue === 1);
    // A minute is the interval: as of one that was killed half a minute ago.
    await damage(
      `update jobledger.reaper set leader = 'killed', sweeps = 1, interval_ms = 60000,
         last_sweep_at = jobledger.now_ms() - interval '30 s', led_at = jobledger.now_ms() - interval '30 s',
         leads_until = jobledger.now_ms() - interval '20 s'`,
    );
    expect(await ledger.reaper()).toMatchObject({ alive: false, leader: null, overdue: 1 });
    const { status, checks } = await ledger.ready();
    expect([status, checks['reaper']]).toEqual([
      'degraded',
      { status: 'degraded', detail: expect.stringMatching(/^no reaper leads since .*; 1 job overdue, for \d+ ms$/) },
    ]);
  });

  it('of two processes and by hand, all at the same 50 jobs: each is ended once [P-16]', async () => {
    const ledger = await serving();
    const held = await staleJobs(ledger, 50);
    await ledger.untilDue(idsOf(held));
    const others = [await reaping(100), await reaping(100)];
    const callers = [ledger, ...others, ledger, ...others];
    await waitFor('all to be reaped', async () => {
      const reports = await Promise.all(callers.map((caller) => caller.sweep()));
      expect(reports.map(({ errors }) => errors)).toEqual(callers.map(() => 0));
      return (await ledger.jobs(`queue=${held[0]!.job.queue}&status=failed`)).length === 50;
    });
    for (const id of idsOf(held)) expect(await ledger.eventsOf(id, 'JobTimedOut')).toHaveLength(1);
  });
});

describe('a sweep', () => {
  it('against the last report and the end of each job: one wins, and the counts are exact [Z-03]', async () => {
    const ledger = await serving();
    const other = await serving();
    const held = await staleJobs(ledger, 40);
    await ledger.untilDue(idsOf(held));
    const works = held.map(async (claimed) => {
      const caller = Math.random() < 0.5 ? ledger : other;
      const report = await caller.worker(claimed, 'progress', { batchId: 'last', processed: 1 });
      const end = await caller.worker(claimed, 'complete', { result: 'done' });
      return { id: claimed.job.id, reported: report.status === 200, completed: end.status === 200 };
    });
    const sweeps = [ledger.sweep(), other.sweep(), ledger.sweep()];
    const done = await Promise.all(works);
    expect((await Promise.all(sweeps)).reduce((sum, { errors }) => sum + errors, 0)).toBe(0);
    let position = '0';
    for (const { id, reported, completed } of done) {
      const job = await ledger.job(id);
      if (BigInt(job.position) > BigInt(position)) position = job.position;
      expect([job.status, job.progress.processed]).toEqual([completed ? 'completed' : 'failed', reported ? 1 : 0]);
      // What counts was recorded before the end, and the run ended once.
      const types = (await ledger.events(id)).map(({ type }) => type).filter((type) => type !== 'CommandRefused');
      const recorded = reported ? ['ProgressRecorded'] : [];
      expect(types.slice(4)).toEqual([...recorded, completed ? 'JobCompleted' : 'JobTimedOut']);
      await expectJudgedOnLastReport(ledger, id);
    }
    const completed = done.filter((each) => each.completed).length;
    const { byStatus, total } = await ledger.counters(position);
    expect(byStatus).toMatchObject({ completed, failed: 40 - completed, running: 0 });
    expect(total).toBe(40);
  });

  it('that was judged before the last report or the end of a job, and comes after it, ends nothing [Z-03]', async () => {
    const ledger = await serving();
    const other = await serving();
    for (const [call, body] of [
      ['progress', { batchId: 'last', processed: 1 }],
      ['complete', { result: 'done' }],
    ] as const) {
      for (const isFirst of [true, false]) {
        const [held] = await staleJobs(ledger, 1);
        const { id } = held!.job;
        await ledger.untilDue([id]);
        let status = 0;
        const say = async () => (status = (await ledger.worker(held!, call, body)).status);
        const sweep = async () => expect(await other.sweep()).toMatchObject({ errors: 0 });
        await inTurn<unknown>(isFirst ? [say, sweep] : [sweep, say]);
        const job = await ledger.job(id);
        expect([call, status, job.progress.processed]).toEqual([
          call,
          isFirst ? 200 : 409,
          isFirst && call === 'progress' ? 1 : 0,
        ]);
        if (!isFirst) expect(job.status).toBe('failed');
        else if (call === 'complete') expect(job).toMatchObject({ status: 'completed', result: 'done' });
        await expectJudgedOnLastReport(ledger, id);
        const ends = (await ledger.events(id)).filter(({ to }) => to === 'completed' || to === 'failed');
        expect(ends).toHaveLength(job.status === 'running' ? 0 : 1);
      }
    }
  });

  it('ends nine stale jobs beside one whose history cannot be read, and says that there is one [Z-07]', async () => {
    const ledger = await serving();
    const held = await staleJobs(ledger, 10);
    await ledger.untilDue(idsOf(held));
    const [broken, ...others] = idsOf(held);
    await damage('delete from jobledger.jobs where id = $1', [broken]);
    await damage('alter table jobledger.events disable trigger append_only');
    await damage('update jobledger.events set version = 99 where stream = $1 and revision = 0', [`job-${broken}`]);
    await damage('alter table jobledger.events enable always trigger append_only');
    const report = await ledger.sweep();
    expect(report).toMatchObject({ due: 10, reaped: 9, errors: 1, raced: 0 });
    expect(report.jobs.find(({ verdict }) => verdict === 'error')?.jobId).toBe(broken);
    for (const id of others) expect((await ledger.job(id)).error).toMatchObject({ code: 'JobTimeout' });
    expect(await ledger.sweep()).toMatchObject({ due: 1, errors: 1 });
  });

  it('ends ten of which one has a row that was damaged: the log has it [Z-07]', async () => {
    const ledger = await serving();
    const held = await staleJobs(ledger, 10);
    await ledger.untilDue(idsOf(held));
    const { id, queue } = held[0]!.job;
    await damage(`update jobledger.jobs set doc = '{"status": "nothing that is known"}' where id = $1`, [id]);
    expect((await ledger.job(id)).status).toBe('running');
    expect(await ledger.sweep()).toMatchObject({ due: 10, reaped: 10, errors: 0 });
    expect(await ledger.jobs(`queue=${queue}&status=failed`)).toHaveLength(10);
  });

  it('handles all that is due, however much it is, oldest first [Z-08]', async () => {
    const ledger = await serving();
    // Made in the other order than they fall silent.
    const laterQueue = await createStale(ledger, 1_500);
    const early = idsOf(await staleJobs(ledger, 1_000));
    const late = idsOf(await claimStale(ledger, laterQueue, 1_500));
    await waitFor('all to be due', async () => {
      // A report lists the first thousand only.
      const { due, skippedLive } = await ledger.sweep(true);
      return due - skippedLive === 2_500;
    });
    const report = await ledger.sweep();
    expect(report).toMatchObject({ due: 2_500, reaped: 2_500, raced: 0, errors: 0 });
    expect(report.jobs).toHaveLength(1_000);
    expect(new Set(report.jobs.map(({ jobId }) => jobId))).toEqual(new Set(early));
    expect((await ledger.job(late.at(-1)!)).status).toBe('failed');
    expect((await ledger.reaper()).overdue).toBe(0);
  });
});
