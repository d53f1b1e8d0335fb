/** Rebuilds and verifications while everybody else works, dies, and takes over: interleavings that are forced. */
import { randomUUID } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { EventStore, Page, ReadAllOptions } from '../../src/event-store/event-store.js';
import { UpkeepBusy, type UpkeepRun } from '../../src/projections/upkeep/upkeep-runs.js';
import type { Upkeep } from '../../src/projections/upkeep/upkeep.js';
import { claim, create, execute, TestLedger, tokenOf } from '../support/ledger.js';
import { newEvent, request, waitForLockQueue } from '../support/postgres-log.js';
import { ProjectionBench } from '../support/projection-bench.js';
import { recorder, recorderSql } from '../support/recorder.js';

const nobody = new AbortController().signal;
const until = async (holds: () => Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe('while jobs are created, claimed and completed', () => {
  let ledger: TestLedger;
  let owner: pg.Client;
  let stop: boolean;
  let load: Promise<unknown>;
  let completed: number;

  beforeAll(async () => {
    ledger = await TestLedger.open();
    owner = new pg.Client({ connectionString: ledger.url });
    await owner.connect();
    ledger.service.projections.start();
  });
  afterAll(async () => {
    await owner.end();
    await ledger.close();
  });

  const lane = async () => {
    while (!stop) {
      await create(ledger.service, { total: 2 });
      const [claimed] = await claim(ledger.service);
      if (claimed === undefined) continue;
      const token = tokenOf(claimed);
      const { jobId } = claimed.outcome;
      await execute(ledger.service, jobId, 'progress', { token, batchId: randomUUID() });
      await execute(ledger.service, jobId, 'complete', { token });
      completed += 1;
    }
  };
  beforeEach(() => {
    stop = false;
    completed = 0;
    load = Promise.all(Array.from({ length: 4 }, lane));
  });
  afterEach(async () => {
    stop = true;
    await load;
  });

  const step = async (id: string) => (await ledger.service.upkeep.runs.find(id))!.step;
  const ask = (kind: 'rebuild' | 'verify', subject: string, options = {}): Promise<UpkeepRun> =>
    ledger.service.upkeep.ask(kind, subject, options, 'a test');
  const ended = async ({ id }: UpkeepRun): Promise<UpkeepRun> =>
    (await ledger.service.upkeep.waitFor(id, 60_000, nobody))!;
  const progressOfLoad = async (): Promise<void> => {
    const before = completed;
    await until(() => Promise.resolve(completed > before + 3));
  };

  it('leaves nothing behind in the process that worked on it', async () => {
    const { signal } = ledger.service.upkeep['stopping'];
    const before = getEventListeners(signal, 'abort').length;
    await ended(await ask('verify', 'counters'));
    await ended(await ask('rebuild', 'counters'));
    await until(() => Promise.resolve(getEventListeners(signal, 'abort').length <= before));
  });

  it.each(['jobs', 'counters'])('%s are made anew, again and again, and never say anything wrong', async (subject) => {
    for (let round = 0; round < 3; round += 1) {
      await progressOfLoad();
      expect(await ended(await ask('rebuild', subject))).toMatchObject({ state: 'done', error: null });
      await progressOfLoad();
      expect((await ended(await ask('verify', subject))).result).toMatchObject({ ok: true, differences: [] });
    }
  });

  it('a wrong row is named, and no other, though rows move all the time', async () => {
    const { jobId } = await create(ledger.service, { autostart: false });
    await owner.query(`update jobledger.jobs set priority = 77 where id = $1`, [jobId]);
    const run = await ended(await ask('verify', 'jobs', { repair: true }));
    expect(run.result).toMatchObject({
      ...{ ok: false, repaired: true, differing: 1 },
      differences: [{ table: 'jobs', id: jobId, kind: 'differs', fields: ['priority'] }],
    });
    expect((await ended(await ask('verify', 'jobs'))).result).toMatchObject({ ok: true });
  });

  it('the swap waits for who reads the live rows in a transaction, and commands do not', async () => {
    await owner.query('begin; select count(*) from jobledger.jobs');
    const run = await ask('rebuild', 'jobs');
    await until(async () => (await step(run.id)) === 'swapping');
    await progressOfLoad();
    expect(await step(run.id)).toBe('swapping');
    await owner.query('commit');
    expect(await ended(run)).toMatchObject({ state: 'done' });
  });

  it('the swap keeps vacuum away first, while everybody reads and writes', async () => {
    // As a vacuum holds it; one that is automatic gives way to who has waited for a second.
    await owner.query('begin; lock table jobledger.jobs in share update exclusive mode');
    const run = await ask('rebuild', 'jobs');
    await until(async () => (await step(run.id)) === 'swapping');
    await waitForLockQueue(await secondSession(), 1);
    await progressOfLoad();
    expect(await step(run.id)).toBe('swapping');
    await owner.query('commit');
    expect(await ended(run)).toMatchObject({ state: 'done' });
  });

  it('the last page waits for an append that holds the log, and misses none of it', async () => {
    await owner.query('begin; select jobledger.lock_log()');
    const run = await ask('rebuild', 'jobs');
    await until(async () => (await step(run.id)) === 'swapping');
    await waitForLockQueue(await secondSession(), 1);
    expect((await ledger.service.upkeep.runs.find(run.id))?.state).toBe('running');
    await owner.query('commit');
    expect(await ended(run)).toMatchObject({ state: 'done' });
    expect((await ended(await ask('verify', 'jobs'))).result).toMatchObject({ ok: true });
  });

  const secondSession = async (): Promise<pg.Client> => {
    const session = new pg.Client({ connectionString: ledger.url });
    session.on('error', () => undefined);
    await session.connect();
    return session;
  };
});

describe('a run of upkeep', () => {
  let bench: ProjectionBench;
  const projection = recorder();

  beforeEach(async () => {
    bench = await ProjectionBench.create();
    await bench.pool.query(recorderSql);
    for (let n = 0; n < 5; n += 1) {
      await bench.store.append([
        request(
          `job-${n}`,
          'any',
          Array.from({ length: 1_000 }, () => newEvent()),
        ),
      ]);
    }
  });
  afterEach(() => bench.close());

  /** A log of which the pages after the first come when they are let through. Each is as large as a transaction may be. */
  const slowStore = () => {
    let letThrough = (): void => undefined;
    let reached = (): void => undefined;
    const gate = new Promise<void>((resolve) => (letThrough = resolve));
    const arrived = new Promise<void>((resolve) => (reached = resolve));
    const store = Object.create(bench.store) as EventStore;
    store.head = () => bench.store.head();
    store.hashAt = (position) => bench.store.hashAt(position);
    store.readAll = async (options: ReadAllOptions): Promise<Page> => {
      if (Number(options.after) >= 4_000) {
        reached();
        await gate;
      }
      return { ...(await bench.store.readAll(options)), characters: Number.MAX_SAFE_INTEGER };
    };
    return { store, letThrough, arrived };
  };

  const done = async (upkeep: Upkeep, { id }: UpkeepRun): Promise<UpkeepRun> =>
    (await upkeep.waitFor(id, 30_000, nobody))!;
  const built = async () => {
    const { rows } = await bench.pool.query<{ position: string }>(
      `select position::text from jobledger.projections where name = 'recorder~building'`,
    );
    return rows[0]?.position;
  };
  const recorded = async () => {
    const { rows } = await bench.pool.query<{ n: number; distinct: number }>(
      'select count(*)::int as n, count(distinct position)::int as distinct from jobledger.recorded',
    );
    return rows[0]!;
  };

  it('is taken over where it was when its process says nothing any more, and the first one spoils nothing', async () => {
    const slow = slowStore();
    const first = bench.upkeep({ projections: [projection], store: slow.store });
    const run = await first.ask('rebuild', 'recorder', {}, 'a test');
    await slow.arrived;
    await until(async () => (await built()) === '4000');

    // Frozen: what it holds runs out.
    await bench.pool.query(`update jobledger.upkeep set holder = 'frozen', held_until = clock_timestamp()`);
    const second = bench.upkeep({ projections: [projection] });
    second.start();
    const ended = await done(second, run);
    // Not from the start: 1,000 events were left.
    expect(ended).toMatchObject({ state: 'done', position: '5000' });
    slow.letThrough();
    await first.stop();
    expect(await recorded()).toEqual({ n: 5_000, distinct: 5_000 });
    expect((await second.runs.find(run.id))?.state).toBe('done');
  });

  it('begins anew when the schema was migrated under it', async () => {
    const slow = slowStore();
    const first = bench.upkeep({ projections: [projection], store: slow.store });
    const run = await first.ask('rebuild', 'recorder', {}, 'a test');
    await slow.arrived;
    await until(async () => (await built()) === '4000');
    await bench.pool.query(`alter table jobledger.recorded add column later int;
      insert into jobledger.migrations (number, name, checksum) values (999999, 'later', '');
      update jobledger.upkeep set holder = 'dead', held_until = clock_timestamp()`);
    const second = bench.upkeep({ projections: [projection] });
    second.start();
    expect(await done(second, run)).toMatchObject({ state: 'done', events: 5_000 });
    await bench.pool.query('select later from jobledger.recorded limit 1');
    slow.letThrough();
  });

  it('of which two are asked for at once runs once, and both are told of the same; another kind is refused', async () => {
    const slow = slowStore();
    const upkeep = bench.upkeep({ projections: [projection], store: slow.store });
    const other = bench.upkeep({ projections: [projection] });
    const first = await upkeep.ask('rebuild', 'recorder', {}, 'one');
    await slow.arrived;
    const second = await other.ask('rebuild', 'recorder', {}, 'two');
    expect([first.isNew, second.isNew, second.id]).toEqual([true, false, first.id]);
    await expect(other.ask('verify', 'recorder', { repair: false }, 'two')).rejects.toThrow(UpkeepBusy);
    slow.letThrough();
    expect(await done(other, second)).toMatchObject({ state: 'done', requestedBy: 'one' });
    expect(await recorded()).toEqual({ n: 5_000, distinct: 5_000 });
    expect((await other.ask('rebuild', 'recorder', {}, 'two')).isNew).toBe(true);
  });

  it('lets another process go on at once when its own stops', async () => {
    const slow = slowStore();
    const first = bench.upkeep({ projections: [projection], store: slow.store });
    const run = await first.ask('rebuild', 'recorder', {}, 'a test');
    await slow.arrived;
    const stopping = first.stop();
    slow.letThrough();
    await stopping;
    expect(await first.runs.find(run.id)).toMatchObject({ state: 'running', holder: null });
    const second = bench.upkeep({ projections: [projection] });
    second.start();
    expect(await done(second, run)).toMatchObject({ state: 'done' });
  });

  it('fails with its reason when a view shows the live table', async () => {
    await bench.pool.query('create view shown as select * from jobledger.recorded');
    const upkeep = bench.upkeep({ projections: [projection] });
    const run = await done(upkeep, await upkeep.ask('rebuild', 'recorder', {}, 'a test'));
    expect(run).toMatchObject({ state: 'failed', error: expect.stringContaining('view shown depends on') });
    await bench.pool.query('drop view shown');
    expect(await done(upkeep, await upkeep.ask('rebuild', 'recorder', {}, 'a test'))).toMatchObject({ state: 'done' });
  });

  it('puts a projection right that was made from another log, as after a restored backup', async () => {
    const runner = bench.runner({ projections: [projection] });
    runner.start();
    await bench.caughtUp(projection);
    await runner.stop();
    await bench.pool.query(`update jobledger.projections set hash = 'of another log'`);
    runner.start();
    await until(async () => ((await bench.watch(projection).status())[0]?.lastError ?? '').includes('rebuild'));
    const verdict = (await bench.maintain('verify', { projections: [projection] }, { repair: false })).result;
    expect(verdict).toMatchObject({ ok: false, reason: expect.stringContaining('another log'), repaired: false });
    await bench.rebuild(projection);
    await bench.store.append([request('job-1')]);
    await bench.caughtUp(projection);
    expect((await bench.watch(projection).status())[0]).toMatchObject({ lastError: null, position: '5001' });
    expect(await recorded()).toEqual({ n: 5_001, distinct: 5_001 });
  });
});
