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
