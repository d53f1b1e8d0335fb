/** Calls that are so large that they are written in parts: one transaction, several batches. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { beside, type BesideTable } from '../../src/event-store/beside-table.js';
import { START, type AppendRequest, type AppendResult } from '../../src/event-store/event-store.js';
import { createLogPool } from '../../src/event-store/postgres/connection.js';
import { PipelinedConnection } from '../../src/event-store/postgres/pipelined-connection.js';
import type { PostgresEventStore } from '../../src/event-store/postgres/postgres-event-store.js';
import { keyTable } from '../support/key-table.js';
import { newEvent, PostgresLog, request, succeeded } from '../support/postgres-log.js';

const MANY = 600;

describe('a large call', () => {
  let log: PostgresLog;
  let store: PostgresEventStore;
  let session: pg.Client;

  beforeEach(async () => {
    log = await PostgresLog.create();
    store = log.store();
    session = await log.session();
  });
  afterEach(() => log.close());

  const creations = (group?: number): AppendRequest[] =>
    Array.from({ length: MANY }, (_, n) => ({
      ...request(`job-${n}`, 'noStream'),
      ...(group === undefined ? {} : { group }),
    }));
  const said = (results: readonly AppendResult[]) =>
    results.map((result) => (result.ok ? 'ok' : result.error.constructor.name));
  const counted = (names: readonly string[]): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  };
  const written = async (): Promise<string[]> =>
    (await store.readAll({ after: START, limit: 10_000 })).events.map(({ stream }) => stream);
  const batches = async (): Promise<unknown> =>
    (
      await session.query(`select count(distinct b.batch)::int as batches, count(distinct e.xmin::text)::int as commits
        from jobledger.events e join jobledger.batches b on e.position between b.first_position and b.last_position`)
    ).rows[0];
  const writers = async (): Promise<unknown> =>
    (
      await session.query(`select pid from pg_stat_activity
        where datname = current_database() and application_name = 'jobledger' order by pid`)
    ).rows;

  it('is several batches and one commit, in order, without a gap', async () => {
    const results = (await store.append(creations(1))).map(succeeded);
    expect(results.map(({ last }) => last)).toEqual(Array.from({ length: MANY }, (_, n) => String(n + 1)));
    expect(await written()).toEqual(Array.from({ length: MANY }, (_, n) => `job-${n}`));
    expect(await batches()).toEqual({ batches: 3, commits: 1 });
    expect(await store.verify()).toMatchObject({ ok: true });
  });

  it('goes on with the streams of the parts before', async () => {
    const one = Array.from({ length: MANY }, (_, n) => request('job-1', n === 0 ? 'noStream' : n - 1));
    const results = (await store.append(one)).map(succeeded);
    expect(results.map(({ revision }) => revision)).toEqual(Array.from({ length: MANY }, (_, n) => n));
    expect(await batches()).toEqual({ batches: 3, commits: 1 });
  });

  it.each([0, MANY - 1])(
    'writes nothing of a group whose request %i conflicts, and all that stand alone',
    async (n) => {
      await store.append([request(`job-${n}`)]);
      const results = await store.append([...creations(1), request('another')]);
      expect(counted(said(results))).toEqual({ GroupAborted: MANY - 1, Conflict: 1, ok: 1 });
      expect(said(results)[n]).toBe('Conflict');
      expect(await written()).toEqual([`job-${n}`, 'another']);
      expect(await store.verify()).toMatchObject({ ok: true });
    },
  );

  it('refuses a key that is taken, and who needs it', async () => {
    const row = { key: 'k' };
    await store.append([{ ...request('first'), beside: [beside(keyTable, row)] }]);
    const [last, ...others] = creations(1).reverse();
    const results = await store.append([...others, { ...last!, beside: [beside(keyTable, row)] }]);
    expect(counted(said(results))).toEqual({ GroupAborted: MANY - 1, BesideRefused: 1 });
    expect(await written()).toEqual(['first']);
  });

  it('with what cannot be stored loses that alone, and no connection', async () => {
    await store.append([request('first')]);
    const before = await writers();
    const bad = { ...request('bad'), events: [{ ...newEvent(), id: 'none' }] };
    expect(counted(said(await store.append([...creations(), bad])))).toEqual({ ok: MANY, InvalidAppend: 1 });
    expect(await writers()).toEqual(before);
  });

  it('that is repeated is a success with the first positions', async () => {
    const requests = creations(1);
    const first = (await store.append(requests)).map(succeeded);
    const again = (await store.append(requests)).map(succeeded);
    expect(again).toEqual(first.map((result) => ({ ...result, replayed: true })));
    expect(await written()).toHaveLength(MANY);
  });

  it.each([2, 3])('that is cut off in part %i is written by the usual call, once', async (part) => {
    await session.query(`
      create sequence jobledger.test_calls;
      create type jobledger.test_cut as (request int, event int);
      create function jobledger.test_cut(bigint, timestamptz, jobledger.test_cut[]) returns void language plpgsql as $$
      begin
        -- A sequence keeps what was rolled back.
        if nextval('jobledger.test_calls') = ${part} then
          perform pg_terminate_backend(pg_backend_pid());
        end if;
      end $$`);
    const table: BesideTable = { name: 'cut', fn: 'jobledger.test_cut', type: 'jobledger.test_cut', columns: [] };
    const cut = log.store({ besideTables: [table] });
    const results = await cut.append(creations(1).map((one) => ({ ...one, beside: [beside(table, {})] })));
    expect(results.map((result) => succeeded(result).last)).toEqual(
      Array.from({ length: MANY }, (_, n) => String(n + 1)),
    );
    expect(await written()).toHaveLength(MANY);
    expect(await batches()).toEqual({ batches: 1, commits: 1 });
  });

  it('leaves nothing when its process dies in between', async () => {
    const pool = createLogPool({ connectionString: log.url });
    const connection = new PipelinedConnection(pool.options);
    const statement = (text: string) => ({ text, rowMode: 'array' as const });
    const cut = function* () {
      yield statement(`insert into jobledger.batches values (1, 1, 1, now(), '${randomUUID()}')`);
      yield statement('select pg_terminate_backend(pg_backend_pid())');
      yield statement(`insert into jobledger.batches values (2, 2, 2, now(), '${randomUUID()}')`);
    };
    await expect(connection.transaction('testing', cut())).rejects.toThrow('testing');
    const bounded = [statement('show idle_in_transaction_session_timeout')];
    expect(await connection.transaction('testing', bounded)).toEqual([[['5s']]]);
    await connection.close();
    await pool.end();
    expect((await session.query('select from jobledger.batches')).rowCount).toBe(0);
  });
});
