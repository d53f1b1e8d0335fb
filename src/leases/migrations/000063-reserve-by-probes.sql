-- The search of a claim: what it found is read by one probe a job. As a plain join it was a merge over the primary key of
-- `jobs`, from its beginning, once the table had statistics. Queues are looked for only when none are asked for.
create or replace function jobledger.reserve(p_queues text[], p_types text[], p_limit int, p_ttl_ms int)
returns setof jobledger.candidate language plpgsql volatile as $f$
declare
  v_now timestamptz;
  v_queues text[] := p_queues;
begin
  -- A lost reservation is a lost hint: here alone a commit does not wait for the disk.
  perform set_config('synchronous_commit', 'off', true);
  perform pg_advisory_xact_lock(7041776901);
  v_now := clock_timestamp();
  if v_queues is null then
    -- Every queue that has a claimable job, by one index probe each.
    v_queues := array(
      with recursive queues as (
        (select j.queue from jobledger.jobs j where j.ready_at is not null order by j.queue limit 1)
        union all
        select (select j.queue from jobledger.jobs j where j.ready_at is not null and j.queue > q.queue
                order by j.queue limit 1)
        from queues q where q.queue is not null
      )
      select q.queue from queues q where q.queue is not null);
  end if;
  return query
    with chosen as (
      select c.id, c.revision from (
        select r.* from (select distinct u.queue from unnest(v_queues) as u(queue)) w cross join lateral (
          select j.id, j.revision, j.priority, j.ready_at as at from jobledger.jobs j
          where j.queue = w.queue and j.ready_at is not null and (p_types is null or j.type = any (p_types))
            and not exists (select from jobledger.reservations r
                            where r.job_id = j.id and r.revision = j.revision and r.expires_at > v_now)
          order by j.priority desc, j.ready_at, j.id limit p_limit
        ) r
        union all
        (select j.id, j.revision, j.priority, j.wake_at from jobledger.jobs j
         where j.wake_at <= v_now and (p_queues is null or j.queue = any (p_queues))
           and (p_types is null or j.type = any (p_types))
           and not exists (select from jobledger.reservations r
                           where r.job_id = j.id and r.revision = j.revision and r.expires_at > v_now)
         order by j.priority desc, j.wake_at, j.id limit p_limit)
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
