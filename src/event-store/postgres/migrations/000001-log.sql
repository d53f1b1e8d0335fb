-- The log: events in one total order without gaps, and the chain of batches that proves them.
--
-- Position order is commit order because jobledger.append, the only writer, holds one advisory lock from before it
-- looks at the head until its transaction has ended. The head is the last row of an append-only table: a row that
-- every append updated fell from 1,267 to 252 appends/s under one snapshot held open for 90 s, this one stays flat.

create table jobledger.events (
  position bigint not null,
  stream text collate "C" not null,
  revision integer not null,
  id uuid not null,
  type text collate "C" not null,
  version integer not null,
  at timestamptz not null,
  -- Canonical JSON (RFC 8785) as the writer hashed it: jsonb would write it another way.
  data text not null,
  metadata text not null,
  leaf bytea not null,
  primary key (position)
) partition by range (position);

-- By revision: no other index gives this order, so no estimate can tempt the planner to walk the log for a stream, as
-- (stream, position) would beside the primary key. Position rises with it, so a place by position is found by halving.
-- That (stream, revision) is unique rests on the check under the lock: no index over several partitions can say it.
create index events_stream_revision on jobledger.events (stream, revision);

create table jobledger.batches (
  batch bigint primary key,
  first_position bigint not null,
  last_position bigint not null unique,
  at timestamptz not null,
  hash bytea not null,
  check (last_position >= first_position)
);

comment on column jobledger.events.leaf is
  'sha256 over position, revision, and the writer''s hash of the content: src/event-store/hash-chain.ts';
comment on column jobledger.batches.hash is
  'sha256 over the previous hash, batch, at, first position, and the leaf of each event';

create function jobledger.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only: % is refused', tg_table_name, lower(tg_op)
    using errcode = 'insufficient_privilege';
end $$;

-- Positions of one partition.
create function jobledger.partition_size() returns bigint language sql immutable parallel safe
  return 50000000::bigint;

-- Makes partition p_number, of positions (number × size, (number + 1) × size]. Attaching waits for no reader:
-- `create table … partition of` would wait for the longest transaction that has read the log.
create function jobledger.create_partition(p_number bigint) returns void language plpgsql as $$
declare
  v_name text := 'events_' || lpad(p_number::text, 4, '0');
begin
  execute format('create table jobledger.%I (like jobledger.events including all)', v_name);
  execute format(
    'alter table jobledger.events attach partition jobledger.%I for values from (%s) to (%s)',
    v_name,
    p_number * jobledger.partition_size() + 1,
    (p_number + 1) * jobledger.partition_size() + 1
  );
  perform jobledger.make_append_only(v_name);
end $$;

-- Of statements, so on every partition too; always, so that session_replication_role does not pass it.
create function jobledger.make_append_only(p_table text) returns void language plpgsql as $$
begin
  execute format(
    'create trigger append_only before update or delete or truncate on jobledger.%I
       for each statement execute function jobledger.refuse_change()',
    p_table
  );
  execute format('alter table jobledger.%I enable always trigger append_only', p_table);
end $$;

select jobledger.make_append_only('events');
select jobledger.make_append_only('batches');
select jobledger.create_partition(0);

-- Makes the partition after that of p_last when p_last is within the last million of its own, or crossed into it.
-- Ahead of need it does not wait: somebody who analyses the log holds the lock that attaching takes.
create function jobledger.extend_partitions(p_first bigint, p_last bigint) returns void language plpgsql as $$
declare
  v_current bigint := (p_first - 1) / jobledger.partition_size();
  v_needed bigint := (p_last - 1) / jobledger.partition_size();
  v_ahead bigint := (p_last + 1000000 - 1) / jobledger.partition_size();
begin
  for v_number in v_current..v_ahead loop
    continue when to_regclass('jobledger.events_' || lpad(v_number::text, 4, '0')) is not null;
    if v_number > v_needed then
      begin
        lock table jobledger.events in share update exclusive mode nowait;
      exception when lock_not_available then
        return;
      end;
    end if;
    perform jobledger.create_partition(v_number);
  end loop;
end $$;

-- The first revision of a stream whose event is after a position; past its last one when there is none.
create function jobledger.revision_after(p_stream text, p_position bigint) returns integer
language plpgsql stable as $$
declare
  v_low integer := 0;
  v_high integer := 1 + coalesce(
    (select e.revision from jobledger.events e where e.stream = p_stream order by e.revision desc limit 1), -1);
  v_middle integer;
begin
  while v_low < v_high loop
    v_middle := (v_low + v_high) / 2;
    if p_position < (select e.position from jobledger.events e where e.stream = p_stream and e.revision = v_middle) then
      v_high := v_middle;
    else
      v_low := v_middle + 1;
    end if;
  end loop;
  return v_low;
end $$;

-- Appends a batch, or nothing.
--
-- Per request: r_stream, and r_expected, the revision that the stream must have before the first request of the call
-- for it (-1: no stream, -2: any existing stream, -3: never true, null: whatever it is).
-- Per event, in order of position: e_step, which added to that revision gives the event's, and e_request, the 1-based
-- ordinal of its request; e_content is the hash of its content; the rest is what is stored.
--
-- Answers `revisions`, the last revision of each request's stream before the call (-1: none). When one of them is not
-- as expected, nothing is written and `accepted` is false. Otherwise the events have the positions base + 1, base + 2, …
create function jobledger.append(
  r_stream text[], r_expected integer[],
  e_request integer[], e_step integer[],
  e_stream text[], e_id uuid[], e_type text[], e_version integer[], e_data text[], e_metadata text[], e_content bytea[],
  out accepted boolean, out base bigint, out at timestamptz, out revisions integer[]
) language plpgsql volatile as $$
#variable_conflict use_column
declare
  v_batch bigint;
  v_hash bytea;
  v_last bigint;
  v_leaves bytea;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'jobledger.append needs read committed: it must see what the last holder of the lock committed';
  end if;
  perform pg_advisory_xact_lock(1785686636, 1);

  select b.batch, b.last_position, b.at, b.hash into v_batch, base, at, v_hash
    from jobledger.batches b order by b.batch desc limit 1;
  if not found then
    v_batch := 0;
    base := 0;
    v_hash := decode(repeat('00', 32), 'hex');
  end if;

  select
    array_agg(coalesce(l.revision, -1) order by r.n),
    bool_and(coalesce(r.expected = coalesce(l.revision, -1) or (r.expected = -2 and l.revision is not null), true))
    into revisions, accepted
    from unnest(r_stream, r_expected) with ordinality as r(stream, expected, n)
    left join lateral (
      select e.revision from jobledger.events e where e.stream = r.stream order by e.revision desc limit 1
    ) l on true;
  if not accepted then
    return;
  end if;

  at := greatest(date_trunc('milliseconds', clock_timestamp()), at);
  v_batch := v_batch + 1;
  v_last := base + cardinality(e_id);
  if (v_last - 1 + 1000000) / jobledger.partition_size() > base / jobledger.partition_size() then
    perform jobledger.extend_partitions(base + 1, v_last);
  end if;

  with written as (
    insert into jobledger.events (position, stream, revision, id, type, version, at, data, metadata, leaf)
      select
        base + e.n, e.stream, revisions[e.request] + e.step, e.id, e.type, e.version, at, e.data, e.metadata,
        sha256('\x01'::bytea || int8send(base + e.n) || int4send(revisions[e.request] + e.step) || e.content)
      from unnest(e_request, e_step, e_stream, e_id, e_type, e_version, e_data, e_metadata, e_content)
        with ordinality as e(request, step, stream, id, type, version, data, metadata, content, n)
      returning position, leaf
  )
  select string_agg(w.leaf, ''::bytea order by w.position) into v_leaves from written w;

  insert into jobledger.batches (batch, first_position, last_position, at, hash) values (
    v_batch, base + 1, v_last, at,
    sha256(
      '\x02'::bytea || v_hash || int8send(v_batch) || int8send((extract(epoch from at) * 1000)::bigint)
      || int8send(base + 1) || v_leaves
    )
  );
  perform pg_notify('jobledger', '');
end $$;
