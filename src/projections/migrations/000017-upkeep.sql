-- Projections made anew beside the live ones, and the runs of upkeep that do it.

-- Where the tables of a projection are while it is made anew, and where those that it replaced wait to be dropped.
create schema jobledger_building;
create schema jobledger_retired;

alter table jobledger.projections
  -- live: it answers; building: it is made anew; retired: it was replaced. Only a live one has its own name alone.
  add column state text not null default 'live' check (state in ('building', 'live', 'retired'));

-- Rebuilds and verifications: what was asked, how far it is, and what came of it. Kept: a repair has to be seen later.
create table jobledger.upkeep (
  id uuid primary key,
  -- rebuild, verify, verify-log
  kind text not null,
  -- A projection, or `log`.
  subject text not null,
  options jsonb not null,
  state text not null check (state in ('running', 'done', 'failed')),
  requested_by text not null,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  -- Which process works on it, and until when nobody else may take it over.
  holder text,
  held_until timestamptz,
  -- The last migration when it began: a table that was made beside one that has changed since is made again.
  schema int not null,
  step text not null default 'waiting',
  position bigint not null default 0,
  events bigint not null default 0,
  events_per_second float8,
  result jsonb,
  error text
) with (fillfactor = 50);

-- One at a time on each: the second is told of the first.
create unique index upkeep_running on jobledger.upkeep (subject) where state = 'running';
create index upkeep_by_start on jobledger.upkeep (started_at, id);

-- Makes an empty table beside p_table: the same columns, constraints, indexes by the same names, storage parameters and
-- grants. A view on the live table would go on to show the one that is replaced: it has to go first.
create function jobledger.create_beside(p_table text) returns void language plpgsql as $f$
declare
  v_table constant regclass := format('jobledger.%I', p_table)::regclass;
  v_parameters text[];
  v record;
begin
  for v in
    select distinct r.ev_class::regclass as name from pg_depend d join pg_rewrite r on r.oid = d.objid
    where d.classid = 'pg_rewrite'::regclass and d.refobjid = v_table and r.ev_class <> v_table
  loop
    raise exception 'view % depends on %: drop it, and create it again afterwards', v.name, v_table
      using errcode = 'dependent_objects_still_exist';
  end loop;
  for v in select p.oid::regprocedure as name from pg_proc p join pg_type t on t.oid = p.prorettype
    where t.typrelid = v_table
  loop
    raise exception 'function % answers rows of %: give it a type of its own', v.name, v_table
      using errcode = 'dependent_objects_still_exist';
  end loop;
  execute format('drop table if exists jobledger_building.%I', p_table);
  execute format(
    'create table jobledger_building.%I (like jobledger.%I including all excluding indexes)', p_table, p_table);
  select reloptions into v_parameters from pg_class where oid = v_table;
  if v_parameters is not null then
    execute format('alter table jobledger_building.%I set (%s)', p_table, array_to_string(v_parameters, ', '));
  end if;
  for v in
    select conname as name, pg_get_constraintdef(oid) as definition from pg_constraint
    where conrelid = v_table and contype in ('p', 'u', 'x')
  loop
    execute format('alter table jobledger_building.%I add constraint %I %s', p_table, v.name, v.definition);
  end loop;
  for v in
    select pg_get_indexdef(i.indexrelid) as definition from pg_index i
    where i.indrelid = v_table and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
  loop
    execute regexp_replace(v.definition, ' ON jobledger\.', ' ON jobledger_building.');
  end loop;
  for v in
    select a.privilege_type as privilege, a.grantee from pg_class c, aclexplode(c.relacl) a
    where c.oid = v_table and a.grantee <> c.relowner
  loop
    execute format('grant %s on jobledger_building.%I to %s', v.privilege, p_table,
      case when v.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(v.grantee)) end);
  end loop;
end $f$;

-- Puts the tables that were made beside in the place of the live ones. It waits for readers no longer than
-- `lock_timeout`, and everybody else waits for it: keep that short.
create function jobledger.swap_beside(p_tables text[]) returns void language plpgsql as $f$
declare
  v_table text;
begin
  foreach v_table in array p_tables loop
    execute format('lock table jobledger.%I in access exclusive mode', v_table);
  end loop;
  foreach v_table in array p_tables loop
    execute format('drop table if exists jobledger_retired.%I', v_table);
    execute format('alter table jobledger.%I set schema jobledger_retired', v_table);
    execute format('alter table jobledger_building.%I set schema jobledger', v_table);
  end loop;
end $f$;
