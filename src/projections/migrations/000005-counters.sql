-- Projections that run beside the log: how far each one is, and what it could not read.
create table jobledger.projections (
  name text primary key,
  version int not null,
  -- Everything up to here is in the projection's tables: it moves in the transaction that writes them.
  position bigint not null default 0,
  -- Of the log at the position; null at the start. A log that was restored from a backup has another one.
  hash text,
  -- Recorded time of the last event that was applied.
  at timestamptz,
  -- Who applied last, and until when it leads; a frozen one loses the lead.
  leader text,
  leads_until timestamptz,
  last_error text
) with (fillfactor = 50);

-- Streams with an event that a projection could not read: it skips their later events until they are repaired.
create table jobledger.parked (
  projection text not null,
  stream text collate "C" not null,
  position bigint not null,
  error text not null,
  at timestamptz not null,
  primary key (projection, stream)
);

-- What never changes of a job, from its first event.
create table jobledger.counters_jobs (
  job_id uuid primary key,
  queue text collate "C" not null,
  type text collate "C" not null
);

create table jobledger.counters_by_status (
  queue text collate "C" not null,
  type text collate "C" not null,
  status text collate "C" not null,
  n bigint not null,
  primary key (queue, type, status)
) with (fillfactor = 50);

-- Counts that only rise: `events` by type, `reaped` by rule.
create table jobledger.counters_totals (
  name text collate "C" not null,
  label text collate "C" not null,
  n bigint not null,
  primary key (name, label)
) with (fillfactor = 50);

-- The job that has been ready the longest. A job is never ready before its `ready_at`, so along the claim index the
-- search stops at the first that cannot have been ready longer than the best so far. It looks at a thousand jobs of a
-- priority at most: jobs that went back to their queue stand there by their first time.
create function jobledger.oldest_ready(p_queue text, out id uuid, out since timestamptz) language plpgsql stable as $f$
declare
  -- A caller's collation comes with the argument, and with another than the column's no index serves.
  v_queue text collate "default" := p_queue;
  v_priority int := 2147483647;
  v_job record;
begin
  loop
    select j.priority into v_priority from jobledger.jobs j
      where j.queue = v_queue and j.ready_at is not null and j.priority < v_priority
      order by j.priority desc limit 1;
    exit when not found;
    for v_job in
      select j.id, j.ready_at, j.status_since from jobledger.jobs j
        where j.queue = v_queue and j.ready_at is not null and j.priority = v_priority
        order by j.ready_at, j.id limit 1000
    loop
      exit when v_job.ready_at > since;
      if since is null or (v_job.status_since, v_job.id) < (since, oldest_ready.id) then
        since := v_job.status_since;
        id := v_job.id;
      end if;
    end loop;
  end loop;
end $f$;
