-- The append in fewer statements: events and the batch that covers them are written by one, and the streams come in the
-- order in which they were given, each by a probe of its own.
create or replace function jobledger.append(
  r_stream text[], r_expected integer[], p_events jobledger.new_event[], p_notify boolean,
  out accepted boolean, out base bigint, out at timestamptz, out revisions integer[]
) language plpgsql volatile as $$
#variable_conflict use_column
declare
  v_batch bigint;
  v_hash bytea;
  v_last bigint;
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
    array_agg(coalesce(l.revision, -1)),
    bool_and(coalesce(r.expected = coalesce(l.revision, -1) or (r.expected = -2 and l.revision is not null), true))
    into revisions, accepted
    from unnest(r_stream, r_expected) as r(stream, expected)
    left join lateral (
      select e.revision from jobledger.events e where e.stream = r.stream order by e.revision desc limit 1
    ) l on true;
  if not accepted then
    return;
  end if;

  at := greatest(date_trunc('milliseconds', clock_timestamp()), at);
  v_batch := v_batch + 1;
  v_last := base + cardinality(p_events);
  if (v_last - 1 + 1000000) / jobledger.partition_size() > base / jobledger.partition_size() then
    perform jobledger.extend_partitions(base + 1, v_last);
  end if;

  with written as (
    insert into jobledger.events (position, stream, revision, id, type, version, at, data, metadata, leaf)
      select
        base + e.n, e.stream, revisions[e.request] + e.step, e.id, e.type, e.version, at, e.data, e.metadata,
        sha256('\x01'::bytea || int8send(base + e.n) || int4send(revisions[e.request] + e.step) || e.content)
      from unnest(p_events) with ordinality
        as e(request, step, stream, id, type, version, data, metadata, content, n)
      returning position, leaf
  )
  insert into jobledger.batches (batch, first_position, last_position, at, hash)
    select v_batch, base + 1, v_last, at,
      sha256(
        '\x02'::bytea || v_hash || int8send(v_batch) || int8send((extract(epoch from at) * 1000)::bigint)
        || int8send(base + 1) || string_agg(w.leaf, ''::bytea order by w.position)
      )
    from written w;
  if p_notify then
    perform pg_notify('jobledger', '');
  end if;
end $$;
