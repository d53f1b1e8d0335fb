-- A snapshot that somebody holds open (a dump, a report) keeps every version of every row. A search for candidates began
-- at the head of its queue and visited the rows of all jobs that were claimed since: 0.7 s a claim after 200,000 of
-- them. A search can begin at a time instead; index entries below it are passed over without a look at their rows. With
-- that condition a bitmap of the whole queue, then a sort, looks cheaper than the index in its order up to a limit: it is
-- not, a claim took a second beside 80,000 jobs.
drop function jobledger.ready_types(text);
create function jobledger.ready_types(p_queue text, p_from timestamptz default '-infinity') returns setof text
language plpgsql stable set enable_bitmapscan = off as $f$
declare
  -- A caller's collation comes with the argument, and with another than the column's no index serves.
  v_queue text collate "default" := p_queue;
  v_type text collate "default" := '';
begin
  loop
    select j.type into v_type from jobledger.jobs j
      where j.queue = v_queue and j.ready_at is not null and j.ready_at >= p_from and j.type > v_type
      order by j.type limit 1;
    exit when not found;
    return next v_type;
  end loop;
end $f$;

drop function jobledger.ready_queues();
create function jobledger.ready_queues(p_from timestamptz default '-infinity') returns setof text
language plpgsql stable set enable_bitmapscan = off as $f$
declare
  v_queue text collate "default" := '';
begin
  loop
    select j.queue into v_queue from jobledger.jobs j
      where j.ready_at is not null and j.ready_at >= p_from and j.queue > v_queue order by j.queue limit 1;
    exit when not found;
    return next v_queue;
  end loop;
end $f$;

-- Of what became claimable at `p_from` or later, and of the strays, wherever those are.
create function jobledger.reserve(
  p_queues text[], p_types text[], p_limit int, p_ttl_ms int, p_from timestamptz, p_strays uuid[]
) returns setof jobledger.candidate language plpgsql volatile set enable_bitmapscan = off as $f$
declare
  v_now timestamptz;
  v_queues text[] := p_queues;
begin
  -- A lost reservation is a lost hint: here alone a commit does not wait for the disk.
  perform set_config('synchronous_commit', 'off', true);
  perform pg_advisory_xact_lock(7041776901);
  v_now := clock_timestamp();
  if v_queues is null then
    v_queues := array(select jobledger.ready_queues(p_from));
  end if;
  return query
    with wanted as (
      select distinct u.queue, t.type from unnest(v_queues) as u(queue) cross join lateral (
        select unnest(p_types) where p_types is not null
        union all
        select jobledger.ready_types(u.queue, p_from) where p_types is null
      ) t(type)
    ), chosen as (
      select c.id, c.revision from (
        select r.* from wanted w cross join lateral (
          select j.id, j.revision, j.priority, j.ready_at as at from jobledger.jobs j
          where j.queue = w.queue and j.type = w.type and j.ready_at is not null and j.ready_at >= p_from
            and not exists (select from jobledger.reservations r
                            where r.job_id = j.id and r.revision = j.revision and r.expires_at > v_now)
          order by j.priority desc, j.ready_at, j.id limit p_limit
        ) r
        union all
        (select j.id, j.revision, j.priority, j.wake_at from jobledger.jobs j
         where j.wake_at <= v_now and j.wake_at >= p_from and (p_queues is null or j.queue = any (p_queues))
           and (p_types is null or j.type = any (p_types))
           and not exists (select from jobledger.reservations r
                           where r.job_id = j.id and r.revision = j.revision and r.expires_at > v_now)
         order by j.priority desc, j.wake_at, j.id limit p_limit)
        union
        select s.* from unnest(p_strays) as u(id) cross join lateral (
          select j.id, j.revision, j.priority, coalesce(j.ready_at, j.wake_at) from jobledger.jobs j
          where j.id = u.id and (j.ready_at is not null or j.wake_at <= v_now)
            and (p_queues is null or j.queue = any (p_queues)) and (p_types is null or j.type = any (p_types))
            and not exists (select from jobledger.reservations r
                            where r.job_id = j.id and r.revision = j.revision and r.expires_at > v_now)
          limit 1
        ) s
      ) c
      order by c.priority desc, c.at, c.id limit p_limit
    ), held as (
      insert into jobledger.reservations as r (job_id, revision, expires_at)
      select c.id, c.revision, v_now + p_ttl_ms * interval '1 ms' from chosen c
      on conflict (job_id) do update set revision = excluded.revision, expires_at = excluded.expires_at
        where r.expires_at <= v_now or r.revision <> excluded.revision
      returning r.job_id
    )
    select j.* from held h cross join lateral (
      select j.id, j.type, j.queue, j.status, j.priority, j.tags, j.run, j.attempt, j.leased, j.dead_lettered,
        j.revision, j.position, j.created_at, j.status_since, j.ready_at, j.wake_at, j.last_event_at,
        j.last_activity_at, j.last_activity_position, j.doc, j.payload, j.result, j.checkpoint, j.progress,
        j.saved_progress
      from jobledger.jobs j where j.id = h.job_id limit 1
    ) j
    order by j.priority desc, coalesce(j.ready_at, j.wake_at), j.id;
end $f$;

-- Of a process that is older than this.
create or replace function jobledger.reserve(p_queues text[], p_types text[], p_limit int, p_ttl_ms int)
returns setof jobledger.candidate language sql volatile as $f$
  select * from jobledger.reserve(p_queues, p_types, p_limit, p_ttl_ms, '-infinity', '{}')
$f$;

-- What can be claimed below a mark. In no order, without the lock of the searches, and nobody waits for it: it visits
-- all that searches pass over.
create function jobledger.left_behind(p_queues text[], p_types text[], p_before timestamptz, p_limit int)
returns setof uuid language plpgsql stable set enable_bitmapscan = off as $f$
begin
  if p_queues is null then
    return query
      select j.id from jobledger.jobs j
      where j.ready_at < p_before and (p_types is null or j.type = any (p_types)) limit p_limit;
  else
    return query
      select b.id from unnest(p_queues) as u(queue) cross join lateral (
        select j.id from jobledger.jobs j
        where j.queue = u.queue and j.ready_at < p_before and (p_types is null or j.type = any (p_types)) limit p_limit
      ) b limit p_limit;
  end if;
  return query
    select j.id from jobledger.jobs j
    where j.wake_at < p_before and (p_queues is null or j.queue = any (p_queues))
      and (p_types is null or j.type = any (p_types)) limit p_limit;
end $f$;
