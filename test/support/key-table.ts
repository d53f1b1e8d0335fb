/** The beside table of the conformance suite, in PostgreSQL and in memory. */
import type { BesideTable } from '../../src/event-store/beside-table.js';
import type { BesideApplier } from '../../src/event-store/memory/memory-event-store.js';
import type { KeyRow } from '../conformance/event-store.conformance.js';

export const keyTable: BesideTable<KeyRow> = {
  name: 'keys',
  fn: 'jobledger.test_put_keys',
  type: 'jobledger.test_key',
  columns: [{ type: 'text', value: ({ key }) => key }],
  around: { before: 'jobledger.test_take_keys', after: 'jobledger.test_keep_keys', undo: 'jobledger.test_give_keys' },
};

/** The same table beside a log that is not in its database: a key that is taken has no position yet. */
export const keysAroundSql = `
  create table jobledger.test_keys (key text primary key, position bigint, at timestamptz);
  create type jobledger.test_key as (request int, event int, key text);
  create function jobledger.test_take_keys(at timestamptz, rows jobledger.test_key[]) returns void language plpgsql as $$
  declare
    v_refused int[];
  begin
    select array_agg(distinct r.request) into v_refused
      from unnest(rows) with ordinality as r(request, event, key, n)
      where exists (select from jobledger.test_keys k where k.key = r.key)
        or exists (select from unnest(rows) with ordinality as o(request, event, key, n) where o.key = r.key and o.n < r.n);
    if v_refused is not null then
      raise exception 'keys' using errcode = 'JL001', detail = to_json(v_refused)::text;
    end if;
    insert into jobledger.test_keys select r.key from unnest(rows) r;
  end $$;
  create function jobledger.test_keep_keys(
    p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_rows jobledger.test_key[]
  ) returns void language sql as $$
    update jobledger.test_keys k set position = p_base + r.event, at = r.at
    from (select (p_rows[n]).*, p_at[n] as at from generate_subscripts(p_rows, 1) n) r where k.key = r.key
  $$;
  create function jobledger.test_give_keys(rows jobledger.test_key[]) returns void language sql as $$
    delete from jobledger.test_keys k where k.key in (select r.key from unnest(rows) r)
  $$;`;

/** A key that is taken, by a row before it too, is refused. */
export const keyTableSql = `
  create table jobledger.test_keys (key text primary key, position bigint not null, at timestamptz not null);
  create type jobledger.test_key as (request int, event int, key text);
  create function jobledger.test_put_keys(base bigint, at timestamptz, rows jobledger.test_key[])
  returns void language plpgsql as $$
  declare
    v_refused int[];
  begin
    select array_agg(distinct r.request) into v_refused
      from unnest(rows) with ordinality as r(request, event, key, n)
      where exists (select from jobledger.test_keys k where k.key = r.key)
        or exists (select from unnest(rows) with ordinality as o(request, event, key, n) where o.key = r.key and o.n < r.n);
    if v_refused is not null then
      raise exception 'keys' using errcode = 'JL001', detail = to_json(v_refused)::text;
    end if;
    insert into jobledger.test_keys select r.key, base + r.event, test_put_keys.at from unnest(rows) r;
  end $$;`;

export const memoryKeys = (): { applier: BesideApplier<KeyRow>; keys: ReadonlyMap<string, string> } => {
  const keys = new Map<string, string>();
  return {
    keys,
    applier: {
      check: (rows) => {
        const taken = new Set(keys.keys());
        const refused: number[] = [];
        for (const { request, row } of rows) {
          if (taken.has(row.key)) refused.push(request);
          taken.add(row.key);
        }
        return refused;
      },
      apply: (rows) => rows.forEach(({ row, position }) => keys.set(row.key, position)),
    },
  };
};
