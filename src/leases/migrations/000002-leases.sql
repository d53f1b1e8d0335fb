-- Times of this system have milliseconds: a stored one equals the one that was read.
create function jobledger.now_ms() returns timestamptz language sql volatile as
  $f$ select date_trunc('milliseconds', clock_timestamp()) $f$;

-- Operational state, not history: outside every digest, untouched by a rebuild. It may refuse or delay, and never sets
-- a status. A row a job that is held or has a deadline; a lost row is seeded again with a full lease of grace.
create table jobledger.leases (
  job_id uuid primary key,
  run int not null,
  attempt int not null,
  -- Null: nobody holds the job, it only has a deadline (it is scheduled, or waits).
  worker_id text,
  lease_ms bigint,
  expires_at timestamptz,
  last_beat_at timestamptz,
  -- Rises with each accepted call: a reap judged before a beat loses against it. It starts at a number of the row's
  -- own, so that what was judged on a row that is gone never fits the one that came after it.
  beats bigint not null default 0,
  directive text not null default 'continue',
  -- When a stall rule may be due. Beats do not move it (92 % of them are HOT so): the reaper judges anew when it fires.
  deadline_at timestamptz
) with (fillfactor = 70);

create index leases_deadline on jobledger.leases (deadline_at) where deadline_at is not null;

create sequence jobledger.lease_numbers;

-- Where `beats` of a new row starts: so far from the next one that calls do not get there. Not its time: a row can
-- follow another in the same millisecond.
create function jobledger.first_beat() returns bigint language sql volatile as
  $f$ select nextval('jobledger.lease_numbers') * 1000000 $f$;

-- A claim's hold on candidates while it is being appended: lost ones are lost hints, no more. It holds a job as it was
-- found: one that was claimed and came back is free at once.
create unlogged table jobledger.reservations (
  job_id uuid primary key,
  revision bigint not null,
  expires_at timestamptz not null
) with (fillfactor = 70);

create function jobledger.leases_put(
  p_base bigint, p_at timestamptz, p_request int[], p_event int[],
  p_job_id uuid[], p_run int[], p_attempt int[], p_worker_id text[], p_lease_ms bigint[], p_expires_at timestamptz[],
  p_deadline_at timestamptz[]
) returns void language sql volatile as $f$
  insert into jobledger.leases (job_id, run, attempt, worker_id, lease_ms, expires_at, last_beat_at, beats, deadline_at)
  select r.job_id, r.run, r.attempt, r.worker_id, r.lease_ms,
    -- Never shorter than what the event promises, whose time was an estimate.
    case when r.worker_id is not null then greatest(r.expires_at, p_at + r.lease_ms * interval '1 ms') end,
    case when r.worker_id is not null then p_at end, jobledger.first_beat(), r.deadline_at
  from unnest(p_job_id, p_run, p_attempt, p_worker_id, p_lease_ms, p_expires_at, p_deadline_at)
    as r(job_id, run, attempt, worker_id, lease_ms, expires_at, deadline_at)
  on conflict (job_id) do update set run = excluded.run, attempt = excluded.attempt, worker_id = excluded.worker_id,
    lease_ms = excluded.lease_ms, expires_at = excluded.expires_at, last_beat_at = excluded.last_beat_at,
    beats = excluded.beats, directive = 'continue', deadline_at = excluded.deadline_at
$f$;

-- Every accepted worker call renews the lease; a call whose lease is not the current one is refused.
create function jobledger.leases_renew(
  p_base bigint, p_at timestamptz, p_request int[], p_event int[],
  p_job_id uuid[], p_run int[], p_attempt int[], p_lease_ms bigint[]
) returns void language plpgsql volatile as $f$
declare
  v_refused jsonb;
begin
  select jsonb_agg(r.request) into v_refused
    from unnest(p_request, p_job_id, p_run, p_attempt) as r(request, job_id, run, attempt)
    where not exists (
      select from jobledger.leases l where l.job_id = r.job_id and l.run = r.run and l.attempt = r.attempt
        and l.worker_id is not null);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'leases', detail = v_refused::text;
  end if;
  update jobledger.leases l set beats = l.beats + r.calls, last_beat_at = p_at,
    expires_at = p_at + coalesce(r.lease_ms, l.lease_ms) * interval '1 ms',
    deadline_at = least(l.deadline_at, p_at + coalesce(r.lease_ms, l.lease_ms) * interval '1 ms')
  from (select job_id, count(*) as calls, max(lease_ms) as lease_ms
        from unnest(p_job_id, p_lease_ms) as u(job_id, lease_ms) group by job_id) r
  where l.job_id = r.job_id;
end $f$;

-- The end of a lease or of a deadline. With `beats`: only if no call was accepted since it was judged.
create function jobledger.leases_end(
  p_base bigint, p_at timestamptz, p_request int[], p_event int[],
  p_job_id uuid[], p_beats bigint[]
) returns void language plpgsql volatile as $f$
declare
  v_refused jsonb;
begin
  perform from jobledger.leases l where l.job_id = any (p_job_id) order by l.job_id for update;
  select jsonb_agg(r.request) into v_refused
    from unnest(p_request, p_job_id, p_beats) as r(request, job_id, beats)
    where r.beats is not null
      and not exists (select from jobledger.leases l where l.job_id = r.job_id and l.beats = r.beats);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'leases', detail = v_refused::text;
  end if;
  delete from jobledger.leases where job_id = any (p_job_id);
end $f$;

-- What the next heartbeat tells the worker, and the new deadline when it is nearer.
create function jobledger.leases_direct(
  p_base bigint, p_at timestamptz, p_request int[], p_event int[],
  p_job_id uuid[], p_directive text[], p_deadline_at timestamptz[]
) returns void language sql volatile as $f$
  update jobledger.leases l set directive = r.directive, deadline_at = least(l.deadline_at, r.deadline_at)
  from unnest(p_job_id, p_directive, p_deadline_at) as r(job_id, directive, deadline_at)
  where l.job_id = r.job_id
$f$;

-- Holds candidates of a claim for p_ttl_ms. One search at a time (its lock is never held with another), so that two
-- processes do not run after the same jobs. Scheduled jobs whose time has come are candidates too: a dead reaper stops
-- no retry.
create function jobledger.reserve(p_queues text[], p_types text[], p_limit int, p_ttl_ms int) returns setof uuid
language plpgsql volatile as $f$
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
    select c.id from chosen c join held h on h.job_id = c.id order by c.priority desc, c.at, c.id;
end $f$;
