-- Candidates of claims are rows of a type of their own. The table of jobs is replaced when it is made anew, and a function
-- that answered rows of the table would hold on to the type of the old one.
create type jobledger.candidate as (
  id uuid, type text, queue text, status text, priority int, tags jsonb, run int, attempt int, leased boolean,
  dead_lettered boolean, revision bigint, position bigint, created_at timestamptz, status_since timestamptz,
  ready_at timestamptz, wake_at timestamptz, last_event_at timestamptz, last_activity_at timestamptz,
  last_activity_position bigint, doc json, payload json, result json, checkpoint json, progress jsonb,
  saved_progress jsonb);

drop function jobledger.reserve(text[], text[], int, int);

-- Holds candidates of a claim for p_ttl_ms, and answers their rows, which saves the claim a trip. One search at a time (its
-- lock is never held with another), so that two processes do not run after the same jobs. Scheduled jobs whose time has
-- come are candidates too: a dead reaper stops no retry.
create function jobledger.reserve(p_queues text[], p_types text[], p_limit int, p_ttl_ms int)
returns setof jobledger.candidate language plpgsql volatile as $f$
declare
  v_now timestamptz;
begin
  -- A lost reservation is a lost hint: here alone a commit does not wait for the disk.
  perform set_config('synchronous_commit', 'off', true);
  perform pg_advisory_xact_lock(7041776901);
  v_now := clock_timestamp();
  return query
    with recursive queues as (
      -- Every queue that has a claimable job, by one index probe each.
      (select j.queue from jobledger.jobs j where p_queues is null and j.ready_at is not null order by j.queue limit 1)
      union all
      select (select j.queue from jobledger.jobs j where j.ready_at is not null and j.queue > q.queue
              order by j.queue limit 1)
      from queues q where q.queue is not null
    ), wanted as (
      select q.queue from queues q where q.queue is not null
      union all
      select distinct u.queue from unnest(p_queues) as u(queue)
    ), ready as (
      select c.* from wanted w cross join lateral (
        select j.id, j.revision, j.priority, j.ready_at as at from jobledger.jobs j
        where j.queue = w.queue and j.ready_at is not null and (p_types is null or j.type = any (p_types))
          and not exists (select from jobledger.reservations r
                          where r.job_id = j.id and r.revision = j.revision and r.expires_at > v_now)
        order by j.priority desc, j.ready_at, j.id limit p_limit
      ) c
    ), woken as (
      select j.id, j.revision, j.priority, j.wake_at as at from jobledger.jobs j
      where j.wake_at <= v_now and (p_queues is null or j.queue = any (p_queues))
        and (p_types is null or j.type = any (p_types))
        and not exists (select from jobledger.reservations r
                          where r.job_id = j.id and r.revision = j.revision and r.expires_at > v_now)
      order by j.priority desc, j.wake_at, j.id limit p_limit
    ), chosen as (
      select c.id, c.revision, c.priority, c.at from (select * from ready union all select * from woken) c
      order by c.priority desc, c.at, c.id limit p_limit
    ), held as (
      insert into jobledger.reservations as r (job_id, revision, expires_at)
      select c.id, c.revision, v_now + p_ttl_ms * interval '1 ms' from chosen c
      on conflict (job_id) do update set revision = excluded.revision, expires_at = excluded.expires_at
        where r.expires_at <= v_now or r.revision <> excluded.revision
      returning r.job_id
    )
    select j.id, j.type, j.queue, j.status, j.priority, j.tags, j.run, j.attempt, j.leased, j.dead_lettered,
      j.revision, j.position, j.created_at, j.status_since, j.ready_at, j.wake_at, j.last_event_at,
      j.last_activity_at, j.last_activity_position, j.doc, j.payload, j.result, j.checkpoint, j.progress,
      j.saved_progress
    from chosen c join held h on h.job_id = c.id join jobledger.jobs j on j.id = c.id
    order by c.priority desc, c.at, c.id;
end $f$;
