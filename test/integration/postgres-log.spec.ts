import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import type { EventStore, RecordedEvent } from '../../src/event-store/event-store.js';
import { beside } from '../../src/event-store/beside-table.js';
import { BesideRefused, START, Unavailable, Unsupported } from '../../src/event-store/event-store.js';
import type { PostgresEventStore } from '../../src/event-store/postgres/postgres-event-store.js';
import { keyTable } from '../support/key-table.js';
import { appendOne, newEvent, PostgresLog, request, succeeded, waitForLockQueue } from '../support/postgres-log.js';

const LOCK = 'select pg_advisory_xact_lock(1785686636, 1)';

/** jobledger.append of one event, as another writer's session calls it. */
const rawAppend = (stream: string, id: string) => ({
  text: `select * from jobledger.append(array[$1], array[null::int],
           array[row(1, 1, $1, $2::uuid, 'Raw', 1, '{}', '{}', sha256(''))::jobledger.new_event], true)`,
  values: [stream, id],
});

describe('the log in PostgreSQL', () => {
  let log: PostgresLog;
  let store: PostgresEventStore;
  let session: pg.Client;

  beforeEach(async () => {
    log = await PostgresLog.create();
    store = log.store();
    session = await log.session();
  });
  afterEach(() => log.close());

  const positions = async (): Promise<string[]> =>
    (await store.readAll({ after: START, limit: 10_000 })).events.map(({ position }) => position);
  const upTo = (last: number): string[] => Array.from({ length: last }, (_, n) => String(n + 1));

  describe('one writer at a time', () => {
    it('lets the next writer see what the one before it committed', async () => {
      await session.query('begin');
      await session.query(rawAppend('job-1', newEvent().id));
      const waiting = [store.append([request('job-1')]), log.store().append([request('job-1')])];
      await waitForLockQueue(await log.session(), 2);
      expect(await positions()).toEqual([]);
      await session.query('commit');
      const results = (await Promise.all(waiting)).flat().map(succeeded);
      expect(results.map(({ first }) => first).sort()).toEqual(['2', '3']);
      expect(results.map(({ revision }) => revision).sort()).toEqual([1, 2]);
    });

    it('leaves no gap after a writer that rolls back', async () => {
      await appendOne(store, request('job-1'));
      await session.query('begin');
      await session.query(rawAppend('job-1', newEvent().id));
      const waiting = store.append([request('job-1', 0)]);
      await waitForLockQueue(await log.session(), 1);
      await session.query('rollback');
      expect((await waiting).map(succeeded)).toMatchObject([{ first: '2', revision: 1 }]);
      expect(await positions()).toEqual(['1', '2']);
    });

    it('leaves no gap after a writer whose connection was lost', async () => {
      await session.query('begin');
      await session.query(rawAppend('job-1', newEvent().id));
      const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid');
      const waiting = store.append([request('job-1')]);
      const admin = await log.session();
      await waitForLockQueue(admin, 1);
      await admin.query('select pg_terminate_backend($1)', [rows[0]!.pid]);
      expect((await waiting).map(succeeded)).toMatchObject([{ first: '1', revision: 0 }]);
    });

    it.each(['repeatable read', 'serializable'])('refuses to append in %s', async (level) => {
      await session.query(`begin isolation level ${level}`);
      await expect(session.query(rawAppend('job-1', newEvent().id))).rejects.toThrow('needs read committed');
    });

    it('never sets the recorded time back', async () => {
      const future = new Date('2100-01-01T00:00:00.500Z');
      await session.query(`insert into jobledger.batches values (1, 1, 1, $1, sha256(''))`, [future]);
      expect((await appendOne(store, request('job-1'))).at).toBe('2100-01-01T00:00:00.500Z');
    });

    it('writes one of two appends of the same ids that arrive at once, and answers both', async () => {
      for (let round = 0; round < 20; round += 1) {
        const same = request(`job-${round}`, 'noStream', [newEvent(), newEvent()]);
        const stores = [store, log.store(), store];
        const results = (await Promise.all(stores.map((one) => one.append([same])))).flat().map(succeeded);
        expect(new Set(results.map(({ positions: at }) => at.join()))).toHaveProperty('size', 1);
        expect(results.filter(({ replayed }) => !replayed)).toHaveLength(1);
      }
      expect(await positions()).toEqual(upTo(40));
    });
  });

  describe('order', () => {
    /** Follows the log without a filter and checks what it is given against what it expects next. */
    const follow = async (source: EventStore, last: number): Promise<RecordedEvent[]> => {
      const stop = new AbortController();
      const seen: RecordedEvent[] = [];
      for await (const item of source.subscribe({ after: START, signal: stop.signal, pageSize: 50 })) {
        if ('caughtUp' in item) continue;
        seen.push(...item);
        if (seen.length >= last) stop.abort();
      }
      return seen;
    };

    /** Appends to hot streams until each worker has made its rounds; an unknown outcome is repeated with the same ids. */
    const write = async (writer: EventStore, name: string, rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round += 1) {
        const batch = [request('hot'), request(`own-${name}`), request('hot', 'any', [newEvent(), newEvent()])];
        (await writer.append(batch)).forEach(succeeded);
      }
    };

    it('is dense, and a tailing reader loses nothing of three writers at hot streams', async () => {
      const stores = [log.store(), log.store(), log.store()];
      const reading = follow(store, 3 * 40 * 4);
      await Promise.all(stores.map((writer, n) => write(writer, String(n), 40)));
      const seen = await reading;
      expect(seen.map(({ position }) => position)).toEqual(upTo(480));
      const revisions = new Map<string, number>();
      for (const { stream, revision } of seen) {
        expect(revision).toBe((revisions.get(stream) ?? -1) + 1);
        revisions.set(stream, revision);
      }
      const times = seen.map(({ at }) => at);
      expect([...times].sort()).toEqual(times);
      expect(await store.verify()).toEqual({ ok: true, firstBad: null, ...(await headOf(store)) });
    });

    it('lets appends go on while a snapshot is held open', async () => {
      await appendOne(store, request('job-1'));
      await session.query('begin isolation level repeatable read');
      const count = 'select count(*)::int as n from jobledger.events';
      expect((await session.query<{ n: number }>(count)).rows[0]!.n).toBe(1);
      await write(store, 'a', 20);
      expect((await session.query<{ n: number }>(count)).rows[0]!.n).toBe(1);
      await session.query('commit');
      expect(await positions()).toEqual(upTo(81));
    });

    it('goes on in a new partition, which a held snapshot does not delay', async () => {
      await session.query(`insert into jobledger.batches values (1, 1, 49999998, now(), sha256(''))`);
      await session.query('begin isolation level repeatable read');
      await session.query('select count(*) from jobledger.events');
      await appendOne(store, request('job-1', 'noStream', [newEvent(), newEvent(), newEvent(), newEvent()]));
      await appendOne(store, request('job-1', 3));
      await session.query('commit');
      const { rows } = await session.query<{ part: string; position: string }>(
        `select c.relname as part, position from jobledger.events e join pg_class c on c.oid = e.tableoid order by 2`,
      );
      expect(rows.map(({ part, position }) => `${part} ${position}`)).toEqual([
        'events_0000 49999999',
        'events_0000 50000000',
        'events_0001 50000001',
        'events_0001 50000002',
        'events_0001 50000003',
      ]);
      expect((await store.readStream('job-1')).map(({ revision }) => revision)).toEqual([0, 1, 2, 3, 4]);
      await expect(session.query('truncate jobledger.events_0001')).rejects.toThrow('append-only');
    });

    it('does not wait for who analyses the log when the next partition is not needed yet', async () => {
      await session.query(`insert into jobledger.batches values (1, 1, 49900000, now(), sha256(''))`);
      await session.query('begin');
      await session.query('lock table jobledger.events in share update exclusive mode');
      await appendOne(store, request('job-1'));
      await session.query('commit');
      await appendOne(store, request('job-1'));
      const { rows } = await session.query(`select to_regclass('jobledger.events_0001') is not null as made`);
      expect(rows).toEqual([{ made: true }]);
    });

    it('reads on when a filter drops more than a page looks at', async () => {
      await session.query(
        `insert into jobledger.events
         select n, 's', n - 1, gen_random_uuid(), case n when 25000 then 'Rare' else 'Usual' end, 1, now(), '{}', '{}', ''
         from generate_series(1, 30000) n`,
      );
      await session.query(`insert into jobledger.batches values (1, 1, 30000, now(), sha256(''))`);
      const filter = { types: ['Rare'] };
      const pages = [];
      for (let after = START, end = false; !end;) {
        const page = await store.readAll({ after, limit: 10, filter });
        pages.push(`${page.events.length} ${page.next}`);
        end = page.next === after;
        after = page.next;
      }
      expect(pages).toEqual(['0 10000', '0 20000', '1 30000', '0 30000']);
      const back = await store.readAll({ limit: 10, filter, direction: 'backwards' });
      expect([back.events.length, back.next]).toEqual([1, '20001']);
      expect(await follow(store, 30_000)).toHaveLength(30_000);
    });
  });

  describe('rows beside the events', () => {
    const keyed = (stream: string, key: string, events = [newEvent()], event?: number) => ({
      ...request(stream, 'noStream', events),
      beside: [beside(keyTable, { key }, event)],
    });
    const keys = async () =>
      (
        await session.query<{ key: string; position: string }>(
          'select key, position from jobledger.test_keys order by 1',
        )
      ).rows;

    it('know the position of their event', async () => {
      await appendOne(store, request('job-0'));
      await store.append([
        keyed('job-1', 'a', [newEvent(), newEvent(), newEvent()], 0),
        request('job-2'),
        keyed('job-3', 'b', [newEvent(), newEvent()]),
      ]);
      expect(await keys()).toEqual([
        { key: 'a', position: '2' },
        { key: 'b', position: '7' },
      ]);
    });

    it('are written in one transaction with them', async () => {
      await store.append([keyed('job-1', 'a')]);
      const { rows } = await session.query<{ same: boolean }>(
        'select e.xmin = k.xmin and e.xmin = b.xmin as same from jobledger.events e, jobledger.test_keys k, jobledger.batches b',
      );
      expect(rows).toEqual([{ same: true }]);
    });

    it('that are refused leave no event, no gap and no other row', async () => {
      await store.append([keyed('job-1', 'a')]);
      const results = await store.append([keyed('job-2', 'b'), keyed('job-3', 'a'), keyed('job-4', 'c')]);
      expect(results[1]).toEqual({ ok: false, error: expect.any(BesideRefused) });
      expect(await keys()).toEqual(['1', '2', '3'].map((position, n) => ({ key: 'abc'[n], position })));
      expect(await positions()).toEqual(upTo(3));
    });

    it('fail the call when their function fails, and nothing is written', async () => {
      await session.query('drop table jobledger.test_keys');
      await expect(store.append([request('job-1'), keyed('job-2', 'a')])).rejects.toMatchObject({ code: '42P01' });
      expect(await positions()).toEqual([]);
      await appendOne(store, request('job-1', 'noStream'));
    });

    it('of a function that does not say whom it refuses fail the call', async () => {
      await session.query(`
        drop function jobledger.test_put_keys;
        create function jobledger.test_put_keys(bigint, timestamptz, jobledger.test_key[])
        returns void language plpgsql as $$ begin raise exception 'keys' using errcode = 'JL001'; end $$`);
      await expect(store.append([keyed('job-1', 'a')])).rejects.toThrow('without saying which');
    });

    it('of a table that the store does not know fail the call', async () => {
      const bare = log.store({ besideTables: [] });
      await expect(bare.append([keyed('job-1', 'a')])).rejects.toThrow('unknown beside table among keys');
    });

    it('are written table by table in the order that the store was given', async () => {
      await session.query(`
        create table jobledger.test_order (n serial, name text);
        create type jobledger.test_row as (request int, event int);
        create function jobledger.test_first(bigint, timestamptz, jobledger.test_row[]) returns void language sql
          begin atomic insert into jobledger.test_order (name) values ('first'); end;
        create function jobledger.test_second(bigint, timestamptz, jobledger.test_row[]) returns void language sql
          begin atomic insert into jobledger.test_order (name) values ('second'); end;`);
      const [first, second] = ['first', 'second'].map((name) => {
        const fn = `jobledger.test_${name}`;
        return { name, fn, type: 'jobledger.test_row', columns: [] };
      });
      const ordered = log.store({ besideTables: [first!, second!] });
      const rows = [beside(second!, {}), beside(first!, {})];
      await appendOne(ordered, { ...request('job-1'), beside: rows });
      await appendOne(ordered, { ...request('job-1'), beside: rows.slice(0, 1) });
      const written = await session.query('select name from jobledger.test_order order by n');
      expect(written.rows).toEqual([{ name: 'first' }, { name: 'second' }, { name: 'second' }]);
    });
  });

  describe('that cannot be reached', () => {
    it('is Unavailable, with the cause', async () => {
      const nowhere = log.store({ connectionString: 'postgres://nobody:x@127.0.0.1:1/none' });
      const failed = await nowhere.append([request('job-1')]).catch((error: unknown) => error);
      expect(failed).toBeInstanceOf(Unavailable);
      expect((failed as Error).cause).toMatchObject({ code: 'ECONNREFUSED' });
      await expect(nowhere.readAll({ after: START, limit: 1 })).rejects.toBeInstanceOf(Unavailable);
    });

    it('is Unavailable when it does not answer in time, and nothing is written', async () => {
      const hasty = log.store({ statementTimeoutMs: 50 });
      await session.query('begin');
      await session.query(LOCK);
      await expect(hasty.append([request('job-1')])).rejects.toBeInstanceOf(Unavailable);
      await session.query('commit');
      expect(await positions()).toEqual([]);
      await appendOne(hasty, request('job-1'));
    });

    it('has no position of another log', async () => {
      await expect(store.readAll({ after: '99999999999999999999', limit: 1 })).rejects.toBeInstanceOf(Unsupported);
    });
  });
});

describe('the tables of the log', () => {
  let log: PostgresLog;
  let session: pg.Client;
  beforeAll(async () => {
    log = await PostgresLog.create();
    session = await log.session();
    await appendOne(log.store(), request('job-1'));
  });
  afterAll(() => log.close());

  it.each([
    'update jobledger.events set data = data',
    'delete from jobledger.events',
    'truncate jobledger.events',
    'update jobledger.events_0000 set type = type',
    'delete from jobledger.events_0000',
    'truncate jobledger.events_0000',
    'update jobledger.batches set hash = hash',
    'delete from jobledger.batches where false',
    'truncate jobledger.batches',
  ])('refuses: %s', async (statement) => {
    await expect(session.query(statement)).rejects.toMatchObject({ code: '42501' });
    await session.query('set session_replication_role = replica');
    await expect(session.query(statement)).rejects.toMatchObject({ code: '42501' });
    await session.query('reset session_replication_role');
  });
});

const headOf = async (store: EventStore) => {
  const { position, hash } = await store.head();
  return { position, hash };
};
