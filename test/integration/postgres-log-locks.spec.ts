/** Appends beside rows that another session holds locked for as long as the test wants. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { beside, ROW_WAIT_MS, type BesideTable } from '../../src/event-store/beside-table.js';
import { GroupAborted, RowLocked, START, type AppendResult } from '../../src/event-store/event-store.js';
import type { PostgresEventStore } from '../../src/event-store/postgres/postgres-event-store.js';
import { PostgresLog, request } from '../support/postgres-log.js';

interface Row {
  readonly id: string;
}

const ROWS: BesideTable<Row> = {
  name: 'rows',
  fn: 'jobledger.test_change',
  type: 'jobledger.test_row',
  changes: { lockedFn: 'jobledger.test_locked', id: ({ id }) => id },
  columns: [{ type: 'uuid', value: ({ id }) => id }],
};

const ROWS_SQL = `
  create table jobledger.test_rows (id uuid primary key, changes int not null default 0);
  create type jobledger.test_row as (request int, event int, id uuid);
  create sequence jobledger.test_tries;
  create function jobledger.test_change(bigint, timestamptz, rows jobledger.test_row[]) returns void language plpgsql as $$
  begin
    -- A sequence keeps what was rolled back.
    perform nextval('jobledger.test_tries');
    update jobledger.test_rows t set changes = changes + 1 from unnest(rows) r where t.id = r.id;
  end $$;
  create function jobledger.test_locked(ids uuid[]) returns uuid[] language plpgsql as $$
  begin
    return array(
      select i from unnest(ids) i except select id from (
        select id from jobledger.test_rows where id = any (ids) for update skip locked) free);
  end $$;`;

describe('an append that would change a locked row', () => {
  const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()];
  let log: PostgresLog;
  let store: PostgresEventStore;
  let stranger: pg.Client;

  beforeEach(async () => {
    log = await PostgresLog.create();
    store = log.store({ besideTables: [ROWS as BesideTable] });
    stranger = await log.session();
    await stranger.query(ROWS_SQL);
    await stranger.query('insert into jobledger.test_rows select unnest($1::uuid[])', [[a, b, c]]);
    await stranger.query('begin');
  });
  afterEach(() => log.close());

  const changing = (stream: string, id: string, group?: number) => ({
    ...request(stream),
    beside: [beside(ROWS, { id })],
    ...(group === undefined ? {} : { group }),
  });
  const lock = (id: string) => stranger.query('select from jobledger.test_rows where id = $1 for update', [id]);
  const said = (results: readonly AppendResult[]) =>
    results.map((result) => (result.ok ? 'ok' : result.error.constructor.name));
  const streams = async (): Promise<string[]> =>
    (await store.readAll({ after: START, limit: 100 })).events.map(({ stream }) => stream);
  const changes = async (): Promise<number[]> => {
    const { rows } = await (
      await log.session()
    ).query<{ changes: number }>(
      'select changes from unnest($1::uuid[]) with ordinality i(id, n) join jobledger.test_rows using (id) order by n',
      [[a, b, c]],
    );
    return rows.map((row) => row.changes);
  };

  it('is refused, each of the same row; the others of its call are written, and appends behind it', async () => {
    await lock(a);
    const first = store.append([changing('a', a), changing('b', b), changing('a', a), request('d')]);
    const behind = store.append([changing('c', c)]);
    expect(said(await first)).toEqual([RowLocked.name, 'ok', RowLocked.name, 'ok']);
    expect(said(await behind)).toEqual(['ok']);
    expect(said(await store.append([changing('a', a), changing('b', b)]))).toEqual([RowLocked.name, 'ok']);
    await stranger.query('rollback');
    expect(said(await store.append([changing('a', a)]))).toEqual(['ok']);
    expect(await streams()).toEqual(['b', 'd', 'c', 'b', 'a']);
    expect(await changes()).toEqual([1, 2, 1]);
  });

  it('is not tried again before the row is free', async () => {
    const tries = async () =>
      (await stranger.query<{ tries: string }>('select last_value as tries from jobledger.test_tries')).rows[0]?.tries;
    await lock(a);
    await store.append([changing('a', a)]);
    const before = await tries();
    expect(said(await store.append([changing('a', a)]))).toEqual([RowLocked.name]);
    expect(await tries()).toBe(before);
    await stranger.query('rollback');
    expect(said(await store.append([changing('a', a)]))).toEqual(['ok']);
    expect(await tries()).not.toBe(before);
  });

  it('takes its group with it: all or none', async () => {
    await lock(a);
    const results = await store.append([changing('b', b, 1), changing('a', a, 1), changing('c', c, 2)]);
    expect(said(results)).toEqual([GroupAborted.name, RowLocked.name, 'ok']);
    expect(await streams()).toEqual(['c']);
    expect(await changes()).toEqual([0, 0, 1]);
  });

  it('keeps its connection, and what was sent on it', async () => {
    // Not in a transaction, in which the server says the same each time.
    const watcher = await log.session();
    const pids = async (): Promise<number[]> => {
      const { rows } = await watcher.query<{ pid: number }>(
        `select pid from pg_stat_activity where datname = current_database() and application_name = 'jobledger' order by 1`,
      );
      return rows.map((row) => row.pid);
    };
    await store.append([changing('a', a)]);
    const before = await pids();
    await lock(a);
    expect(said(await store.append([changing('a', a)]))).toEqual([RowLocked.name]);
    expect(await pids()).toEqual(before);
  });

  it('waits for whoever holds the whole table', async () => {
    await stranger.query('lock table jobledger.test_rows in share mode');
    const appended = store.append([changing('a', a)]);
    const watcher = await log.session();
    const append = { isSettled: false };
    const settle = () => (append.isSettled = true);
    appended.then(settle, settle);
    // Longer than it waits for a row.
    for (let isWaiting = false; !isWaiting && !append.isSettled;) {
      const { rowCount } = await watcher.query(
        `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
         and wait_event_type = 'Lock' and query like '%jobledger.append(%'
         and clock_timestamp() - query_start > $1 * interval '1 ms'`,
        [2 * ROW_WAIT_MS],
      );
      isWaiting = rowCount === 1;
    }
    await stranger.query('rollback');
    expect(said(await appended)).toEqual(['ok']);
  });
});
