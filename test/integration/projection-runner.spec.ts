/** What a projection is promised: each event once and in order, whatever breaks, and whoever else runs it. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type AppendRequest, Unavailable } from '../../src/event-store/event-store.js';
import { createLedgerPool } from '../../src/event-store/postgres/ledger-pool.js';
import { LogDiverged } from '../../src/projections/checkpoint.js';
import { listParked } from '../../src/projections/parked.js';
import type { Projection } from '../../src/projections/projection.js';
import { ProjectionWatch } from '../../src/projections/projection-watch.js';
import { newEvent, request } from '../support/postgres-log.js';
import { ProjectionBench } from '../support/projection-bench.js';
import { recorder, recorderSql } from '../support/recorder.js';

let bench: ProjectionBench;

beforeEach(async () => {
  bench = await ProjectionBench.create();
  await bench.pool.query(recorderSql);
});
afterEach(() => bench.close());

const append = async (...requests: readonly AppendRequest[]): Promise<void> => {
  for (const result of await bench.store.append(requests)) if (!result.ok) throw result.error;
};

/** Batches of three events, in streams that take turns. */
const appendSome = async (batches: number): Promise<void> => {
  for (let n = 0; n < batches; n += 1)
    await append(request(`job-${n % 4}`, 'any', [newEvent(), newEvent(), newEvent()]));
};

const recorded = async (): Promise<readonly number[]> => {
  const { rows } = await bench.pool.query<{ position: string }>('select position from jobledger.recorded order by n');
  return rows.map(({ position }) => Number(position));
};

const upTo = (last: number): readonly number[] => Array.from({ length: last }, (_, index) => index + 1);

const status = async (projection: Projection) => (await bench.watch(projection).status())[0]!;

const until = async (holds: () => Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
};

const setRow = (assignments: string) => bench.pool.query(`update jobledger.projections set ${assignments}`);

describe('a projection that runs', () => {
  it('applies every event once and in order, in pages that end anywhere, and follows the log', async () => {
    const projection = recorder();
    await appendSome(5);
    const runner = bench.runner({ projections: [projection], pageSize: 4 });
    runner.start();
    runner.start();
    await bench.caughtUp(projection);
    await appendSome(20);
    await bench.caughtUp(projection);
    await runner.stop();
    await runner.stop();
    expect(await recorded()).toEqual(upTo(75));
    const { position, hash, at } = await bench.store.head();
    const { rows } = await bench.pool.query(
      'select position::text, hash, at, leader, last_error from jobledger.projections',
    );
    expect(rows).toEqual([{ position, hash, at: new Date(at!), leader: null, last_error: null }]);
    expect(bench.failures).toEqual([]);
  });

  it('goes on after stop where it was', async () => {
    const projection = recorder();
    for (const instanceId of ['first', 'second', 'first']) {
      const runner = bench.runner({ projections: [projection], instanceId });
      await appendSome(3);
      runner.start();
      await bench.caughtUp(projection);
      expect(runner.leads('recorder')).toBe(true);
      await runner.stop();
      expect(runner.leads('recorder')).toBe(false);
    }
    expect(await recorded()).toEqual(upTo(27));
  });

  it('starts again on the same runner', async () => {
    const projection = recorder();
    const runner = bench.runner({ projections: [projection] });
    for (let n = 0; n < 3; n += 1) {
      await appendSome(1);
      runner.start();
      await bench.caughtUp(projection);
      const stopping = runner.stop();
      if (n === 1) runner.start();
      await stopping;
      await runner.stop();
    }
    expect(await recorded()).toEqual(upTo(9));
  });

  it('gets only the types it handles, and its checkpoint passes the others', async () => {
    const projection = recorder({ types: ['Wanted'] });
    await append(request('job-1', 'any', [newEvent('Other'), newEvent('Wanted'), newEvent('Other')]));
    bench.runner({ projections: [projection] }).start();
    await bench.caughtUp(projection);
    expect(await recorded()).toEqual([2]);
    expect(await status(projection)).toMatchObject({ position: '3', lagEvents: 0, lagMs: 0 });
  });

  it('shares the work with other processes: each page is applied by one', async () => {
    const projection = recorder();
    // A lead of a millisecond: all of them lead all the time, and only the checkpoint keeps order.
    for (const instanceId of ['a', 'b', 'c']) {
      bench.runner({ projections: [projection], instanceId, leadMs: 1, pageSize: 5 }).start();
    }
    await appendSome(60);
    await bench.caughtUp(projection);
    expect(await recorded()).toEqual(upTo(180));
    expect(bench.failures).toEqual([]);
  });
});

describe('a runner whose connection breaks', () => {
  it('loses no page and repeats none, when it breaks between the page and the checkpoint', async () => {
    let pages = 0;
    const projection = recorder({
      after: async (_, tx) => {
        pages += 1;
        if (pages % 3 === 1) await tx.query({ text: 'select pg_terminate_backend(pg_backend_pid())' });
      },
    });
    await appendSome(10);
    bench.runner({ projections: [projection], pageSize: 7 }).start();
    await bench.caughtUp(projection);
    expect(bench.failures.length).toBeGreaterThan(1);
    expect(await recorded()).toEqual(upTo(30));
  });

  it('repeats no page whose commit was done but not answered', async () => {
    const pool = bench.ownPool();
    let commits = 0;
    pool.on('connect', (client) => {
      const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
      const losing = async (...args: unknown[]): Promise<unknown> => {
        const answer = await query(...args);
        if (args[0] === 'commit' && (commits += 1) % 2 === 1) throw new Error('the answer is lost');
        return answer;
      };
      client.query = losing as typeof client.query;
    });
    const projection = recorder();
    await appendSome(10);
    bench.runner({ projections: [projection], pageSize: 7, pool }).start();
    await bench.caughtUp(projection);
    expect(bench.failures.map(String)).toContain('Error: the answer is lost');
    expect(await recorded()).toEqual(upTo(30));
  });

  it('recovers by itself, however often all its connections are cut', async () => {
    const projection = recorder();
    bench.runner({ projections: [projection], pageSize: 3 }).start();
    for (let n = 0; n < 6; n += 1) {
      await appendSome(4);
      await bench.pool.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'runner'`,
      );
    }
    await bench.caughtUp(projection);
    expect(await recorded()).toEqual(upTo(72));
  });
});

describe('a leader that freezes', () => {
  it('in a transaction loses its locks and the lead, and does no harm when it thaws', async () => {
    let thaw = (): void => undefined;
    const frozen = new Promise<void>((resolve) => (thaw = resolve));
    let isFrozen = false;
    const freezing = recorder({
      before: async () => {
        isFrozen = true;
        await frozen;
      },
    });
    await appendSome(4);
    bench.runner({ projections: [freezing], instanceId: 'frozen', leadMs: 300 }).start();
    await until(() => Promise.resolve(isFrozen));
    bench.runner({ projections: [recorder()], instanceId: 'other', leadMs: 300 }).start();
    await bench.caughtUp(freezing);
    expect(await status(freezing)).toMatchObject({ leader: 'other', lagEvents: 0 });
    thaw();
    await until(() => Promise.resolve(bench.failures.length > 0));
    await appendSome(1);
    await bench.caughtUp(freezing);
    expect(await recorded()).toEqual(upTo(15));
  });

  it('while it was idle is replaced as soon as there is something to do', async () => {
    const projection = recorder();
    await appendSome(1);
    const first = bench.runner({ projections: [projection], instanceId: 'first' });
    first.start();
    await bench.caughtUp(projection);
    await first.stop();
    // As if it had not stopped, but frozen.
    await setRow(`leader = 'first', leads_until = clock_timestamp() + interval '1 s'`);
    bench.runner({ projections: [projection], instanceId: 'second', leadMs: 200 }).start();
    await appendSome(1);
    await bench.caughtUp(projection);
    expect(await status(projection)).toMatchObject({ leader: 'second' });
    expect(await recorded()).toEqual(upTo(6));
  });

  it('leaves the lead to who started anew in its place, before there is news', async () => {
    const projection = recorder();
    await bench.pool.query(`insert into jobledger.projections (name, version, leader, leads_until)
      values ('recorder', 1, 'killed', clock_timestamp() + interval '100 ms')`);
    const runner = bench.runner({ projections: [projection], leadMs: 200 });
    runner.start();
    await until(() => Promise.resolve(runner.leads('recorder')));
  });
});

describe('an event that cannot be applied', () => {
  const poisoned = (): Projection =>
    recorder({
      before: async (events, tx) => {
        for (const { type } of events) {
          if (type === 'Unreadable') throw new Error('unreadable');
          if (type === 'Division') await tx.query({ text: 'select 1 / 0' });
        }
      },
    });

  it('parks its stream for this projection, and everything else goes on', async () => {
    const projection = poisoned();
    const sound = { ...recorder(), name: 'sound', apply: () => Promise.resolve() };
    await appendSome(4);
    await append(
      request('job-bad', 'any', [newEvent(), newEvent('Unreadable'), newEvent()]),
      request('job-0', 'any', [newEvent()]),
      request('job-zero', 'any', [newEvent('Division'), newEvent('Unreadable')]),
      request('job-bad', 'any', [newEvent()]),
      request('job-1', 'any', [newEvent()]),
    );
    bench.runner({ projections: [projection, sound] }).start();
    await bench.caughtUp(projection);
    await bench.caughtUp(sound);
    const withoutParked = [...upTo(13), 16, 20];
    expect(await recorded()).toEqual(withoutParked);

    await append(request('job-bad', 'any', [newEvent()]), request('job-2', 'any', [newEvent()]));
    await bench.caughtUp(projection);
    await bench.caughtUp(sound);
    expect(await recorded()).toEqual([...withoutParked, 22]);
    expect(await listParked(bench.pool, 10)).toEqual([
      { projection: 'recorder', stream: 'job-bad', position: '14', error: 'unreadable', at: expect.any(String) },
      { projection: 'recorder', stream: 'job-zero', position: '17', error: 'division by zero', at: expect.any(String) },
    ]);
    expect(await bench.watch(projection, sound).status()).toMatchObject([
      { name: 'recorder', parked: 2, lastError: null, position: '22' },
      { name: 'sound', parked: 0, lastError: null, position: '22' },
    ]);
    expect(bench.failures).toEqual([]);
  });

  it('is not blamed for what is wrong with the database', async () => {
    const projection = recorder();
    await bench.pool.query('alter table jobledger.recorded rename to hidden');
    await appendSome(2);
    bench.runner({ projections: [projection] }).start();
    await until(async () => (await bench.watch(projection).status())[0]?.lastError != null);
    expect(await status(projection)).toMatchObject({
      position: '0',
      lagEvents: 6,
      parked: 0,
      lastError: 'relation "jobledger.recorded" does not exist',
    });
    await bench.pool.query('alter table jobledger.hidden rename to recorded');
    await bench.caughtUp(projection);
    expect(await recorded()).toEqual(upTo(6));
    expect(await status(projection)).toMatchObject({ lastError: null });
  });
});

describe('a checkpoint', () => {
  const caughtUpAndStopped = async (projection: Projection): Promise<void> => {
    await appendSome(2);
    const runner = bench.runner({ projections: [projection] });
    runner.start();
    await bench.caughtUp(projection);
    await runner.stop();
  };

  const standsStill = async (projection: Projection, reason: RegExp): Promise<void> => {
    await until(async () => (await status(projection)).lastError !== null);
    await appendSome(1);
    expect((await status(projection)).lastError).toMatch(reason);
    expect(await recorded()).toEqual(upTo(6));
  };

  it('of another log stops the projection, until the log is the same again', async () => {
    const projection = recorder();
    await caughtUpAndStopped(projection);
    const { hash } = await bench.store.head();
    await setRow(`hash = 'other'`);
    bench.runner({ projections: [projection] }).start();
    await standsStill(projection, /made from another log \(position 6/);
    await setRow(`hash = '${hash}'`);
    await bench.caughtUp(projection);
    expect(await recorded()).toEqual(upTo(9));
    expect(await status(projection)).toMatchObject({ lastError: null });
  });

  it('of another log is told once, until it changes or was the same again', async () => {
    const projection = recorder();
    await caughtUpAndStopped(projection);
    const { hash } = await bench.store.head();
    const verified = jest.spyOn(bench.store, 'hashAt');
    /** It was told so often in all, and no more often when it was looked at again and again. */
    const toldOnly = async (times: number) => {
      await until(() => Promise.resolve(bench.failures.length === times));
      const enough = verified.mock.calls.length + 2;
      await until(() => Promise.resolve(verified.mock.calls.length >= enough));
      expect(bench.failures).toHaveLength(times);
    };
    await setRow(`hash = 'other'`);
    bench.runner({ projections: [projection] }).start();
    await toldOnly(1);
    await setRow(`position = 60`);
    await toldOnly(2);
    await setRow(`position = 6, hash = '${hash}'`);
    await appendSome(1);
    await bench.caughtUp(projection);
    await setRow(`position = 60`);
    await appendSome(1);
    await toldOnly(3);
    expect(bench.failures).toEqual(['6', '60', '60'].map((position) => new LogDiverged('recorder', position)));
  });

  it('beyond the end of the log stops the projection, also while it runs', async () => {
    const projection = recorder();
    await appendSome(2);
    bench.runner({ projections: [projection] }).start();
    await bench.caughtUp(projection);
    // As if the log had been restored without its tail, and had grown since.
    await setRow(`position = 60`);
    await appendSome(1);
    await standsStill(projection, /position 60/);
  });

  it('of another version stops the projection', async () => {
    await caughtUpAndStopped(recorder());
    const next = recorder({ version: 2 });
    bench.runner({ projections: [next] }).start();
    await standsStill(next, /stored in version 1, this program has 2/);
  });
});

describe('who waits for a position', () => {
  it('is told when it is reached, in a process that runs no projection', async () => {
    const projection = recorder();
    const watch = bench.watch(projection);
    await appendSome(1);
    const waiting = [watch.waitFor('recorder', '2', 30_000), watch.waitFor('recorder', '6', 30_000)];
    bench.runner({ projections: [projection] }).start();
    expect(await waiting[0]).toBe(true);
    await appendSome(1);
    expect(await waiting[1]).toBe(true);
    expect(await watch.waitFor('recorder', '6', 1_000)).toBe(true);
  });

  it('is told that it was not, when the time is over', async () => {
    const projection = recorder();
    const watch = bench.watch(projection);
    expect(await watch.waitFor('recorder', '1', 1)).toBe(false);
    bench.runner({ projections: [projection] }).start();
    await appendSome(1);
    await bench.caughtUp(projection);
    expect(await watch.waitFor('recorder', '4', 60)).toBe(false);
  });
});

describe('who waits for a position while the database is away', () => {
  it('is told so, whoever else waits: that it was not reached is not known', async () => {
    const pool = createLedgerPool({ connectionString: 'postgres://nobody@127.0.0.1:1/nowhere' });
    const watch = new ProjectionWatch(bench.store, pool, [recorder()]);
    const waiting = [watch.waitFor('recorder', '2', 30_000), watch.waitFor('recorder', '6', 30_000)];
    for (const one of await Promise.allSettled(waiting)) {
      expect(one).toMatchObject({ status: 'rejected', reason: expect.any(Unavailable) });
    }
    await pool.end();
  });
});

describe('lag', () => {
  it('is counted in events, and in the age of the first that was not applied', async () => {
    const projection = recorder();
    expect(await bench.watch(projection).status()).toMatchObject([{ position: '0', lagEvents: 0, leader: null }]);
    const runner = bench.runner({ projections: [projection] });
    await appendSome(1);
    runner.start();
    await bench.caughtUp(projection);
    await runner.stop();
    await appendSome(2);
    const { rows } = await bench.pool.query<{ age: number }>(
      'select extract(epoch from clock_timestamp() - at)::float8 * 1000 as age from jobledger.events where position = 4',
    );
    const { lagEvents, lagMs, leader } = await status(projection);
    expect({ lagEvents, leader }).toEqual({ lagEvents: 6, leader: null });
    expect(lagMs).toBeGreaterThanOrEqual(Math.floor(rows[0]!.age));
  });
});
