-- Rows of an append come as one array of a composite type.
drop function jobledger.leases_put(
  bigint, timestamptz, int[], int[], uuid[], int[], int[], text[], bigint[], timestamptz[], timestamptz[]);
drop function jobledger.leases_renew(bigint, timestamptz, int[], int[], uuid[], int[], int[], bigint[]);
drop function jobledger.leases_end(bigint, timestamptz, int[], int[], uuid[], bigint[]);
drop function jobledger.leases_direct(bigint, timestamptz, int[], int[], uuid[], text[], timestamptz[]);

create type jobledger.lease_put as (
  request int, event int, job_id uuid, run int, attempt int, worker_id text, lease_ms bigint, expires_at timestamptz,
  deadline_at timestamptz);
create type jobledger.lease_renewal as (
  request int, event int, job_id uuid, run int, attempt int, lease_ms bigint);
create type jobledger.lease_end as (request int, event int, job_id uuid, beats bigint);
create type jobledger.lease_directive as (
  request int, event int, job_id uuid, directive text, deadline_at timestamptz);

create function jobledger.leases_put(p_base bigint, p_at timestamptz, p_rows jobledger.lease_put[])
returns void language plpgsql volatile as $f$
begin
  insert into jobledger.leases (job_id, run, attempt, worker_id, lease_ms, expires_at, last_beat_at, beats, deadline_at)
  select r.job_id, r.run, r.attempt, r.worker_id, r.lease_ms,
    -- Never shorter than what the event promises, whose time was an estimate.
    case when r.worker_id is not null then greatest(r.expires_at, p_at + r.lease_ms * interval '1 ms') end,
    case when r.worker_id is not null then p_at end, jobledger.first_beat(), r.deadline_at
  from unnest(p_rows) r
  on conflict (job_id) do update set run = excluded.run, attempt = excluded.attempt, worker_id = excluded.worker_id,
    lease_ms = excluded.lease_ms, expires_at = excluded.expires_at, last_beat_at = excluded.last_beat_at,
    beats = excluded.beats, directive = 'continue', deadline_at = excluded.deadline_at;
end $f$;

-- Every accepted worker call renews the lease; a call whose lease is not the current one is refused.
create function jobledger.leases_renew(p_base bigint, p_at timestamptz, p_rows jobledger.lease_renewal[])
returns void language plpgsql volatile as $f$
declare
  v_refused jsonb;
begin
  select jsonb_agg(r.request) into v_refused
    from unnest(p_rows) r
    where not exists (
      select from jobledger.leases l where l.job_id = r.job_id and l.run = r.run and l.attempt = r.attempt
        and l.worker_id is not null);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'leases', detail = v_refused::text;
  end if;
  update jobledger.leases l set beats = l.beats + r.calls, last_beat_at = p_at,
    expires_at = p_at + coalesce(r.lease_ms, l.lease_ms) * interval '1 ms',
    deadline_at = least(l.deadline_at, p_at + coalesce(r.lease_ms, l.lease_ms) * interval '1 ms')
  from (select u.job_id, count(*) as calls, max(u.lease_ms) as lease_ms from unnest(p_rows) u group by u.job_id) r
  where l.job_id = r.job_id;
end $f$;

-- The end of a lease or of a deadline. With `beats`: only if no call was accepted since it was judged.
create function jobledger.leases_end(p_base bigint, p_at timestamptz, p_rows jobledger.lease_end[])
returns void language plpgsql volatile as $f$
declare
  v_fenced boolean;
  v_refused jsonb;
begin
  select bool_or(r.beats is not null) into v_fenced from unnest(p_rows) r;
  if v_fenced then
    perform from jobledger.leases l where l.job_id in (select r.job_id from unnest(p_rows) r)
      order by l.job_id for update;
    select jsonb_agg(r.request) into v_refused
      from unnest(p_rows) r
      where r.beats is not null
        and not exists (select from jobledger.leases l where l.job_id = r.job_id and l.beats = r.beats);
    if v_refused is not null then
      raise exception using errcode = 'JL001', message = 'leases', detail = v_refused::text;
    end if;
  end if;
  -- Who waits for a row of this table holds no other: no order is needed.
  delete from jobledger.leases l using unnest(p_rows) r where l.job_id = r.job_id;
end $f$;

-- What the next heartbeat tells the worker, and the new deadline when it is nearer.
create function jobledger.leases_direct(p_base bigint, p_at timestamptz, p_rows jobledger.lease_directive[])
returns void language plpgsql volatile as $f$
begin
  update jobledger.leases l set directive = r.directive, deadline_at = least(l.deadline_at, r.deadline_at)
  from unnest(p_rows) r
  where l.job_id = r.job_id;
end $f$;

-- Holds candidates of a claim for p_ttl_ms, and answers their rows. One search at a time (its lock is never held with
-- another), so that two processes do not run after the same jobs. Scheduled jobs whose time has come are candidates too:
-- a dead reaper stops no retry.
drop function jobledger.reserve(text[], text[], int, int);

create function jobledger.reserve(p_queues text[], p_types text[], p_limit int, p_ttl_ms int)
returns setof jobledger.jobs language plpgsql volatile as $f$
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
    select j.* from chosen c join held h on h.job_id = c.id join jobledger.jobs j on j.id = c.id
    order by c.priority desc, c.at, c.id;
end $f$;
