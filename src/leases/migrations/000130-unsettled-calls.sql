-- Beside a log elsewhere a call of a worker is accepted before its append, and the row of its job knows of it after. In
-- between a verdict would rest on a row without what was just answered, or is about to be: no reap is taken meanwhile.

-- Calls that were accepted and whose fate is not known yet. On the log in this database it is never set.
alter table jobledger.leases add column unsettled int not null default 0;

create or replace function jobledger.leases_renew_before(p_at timestamptz, p_rows jobledger.lease_renewal[])
returns void language plpgsql volatile as $f$
declare
  v_refused jsonb;
begin
  perform from jobledger.leases l where l.job_id in (select r.job_id from unnest(p_rows) r) order by l.job_id for update;
  select jsonb_agg(r.request) into v_refused
    from unnest(p_rows) r
    where not exists (
      select from jobledger.leases l where l.job_id = r.job_id and l.run = r.run and l.attempt = r.attempt
        and l.worker_id is not null and not l.fenced);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'leases', detail = v_refused::text;
  end if;
  perform jobledger.leases_renew(0, p_at, p_rows);
  update jobledger.leases l set unsettled = l.unsettled + r.calls
  from (select u.job_id, count(*) as calls from unnest(p_rows) u group by u.job_id) r
  where l.job_id = r.job_id;
end $f$;

-- The fate of calls is known. What was judged before rests on less, so the row moves.
create function jobledger.leases_settle(p_rows jobledger.lease_renewal[]) returns void language sql volatile as $f$
  update jobledger.leases l set beats = l.beats + r.calls, unsettled = greatest(l.unsettled - r.calls, 0)
  from (
    select u.job_id, u.run, u.attempt, count(*) as calls from unnest(p_rows) u group by u.job_id, u.run, u.attempt
  ) r
  where l.job_id = r.job_id and l.run = r.run and l.attempt = r.attempt and not l.fenced
$f$;

create function jobledger.leases_renew_undo(p_rows jobledger.lease_renewal[]) returns void language sql volatile as $f$
  select jobledger.leases_settle(p_rows)
$f$;

create or replace function jobledger.leases_renew_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_rows jobledger.lease_renewal[]
) returns void language plpgsql volatile as $f$
begin
  -- Where the stream is ahead of the clock the recorded time is later, and the answer is made from that.
  update jobledger.leases l
  set expires_at = greatest(l.expires_at, r.at + coalesce(r.lease_ms, l.lease_ms) * interval '1 ms')
  from (
    select u.job_id, u.run, u.attempt, max(u.at) as at, max(u.lease_ms) as lease_ms
    from (select (p_rows[n]).*, p_at[n] as at from generate_subscripts(p_rows, 1) n) u
    group by u.job_id, u.run, u.attempt
  ) r
  where l.job_id = r.job_id and l.run = r.run and l.attempt = r.attempt;
  perform jobledger.leases_settle(p_rows);
end $f$;

create or replace function jobledger.leases_put_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_rows jobledger.lease_put[]
) returns void language plpgsql volatile as $f$
declare
  v_at timestamptz;
  v_current jobledger.lease_put[];
begin
  for v_at in select distinct a from unnest(p_at) a loop
    v_current := array(
      select p_rows[n] from generate_subscripts(p_rows, 1) n
      join jobledger.jobs j on j.id = p_rows[n].job_id and j.revision = p_revision[n]
      where p_at[n] = v_at order by p_rows[n].job_id);
    continue when cardinality(v_current) = 0;
    perform jobledger.leases_put(p_base, v_at, v_current);
    update jobledger.leases l set fenced = false, unsettled = 0 from unnest(v_current) r
    where l.job_id = r.job_id and (l.fenced or l.unsettled <> 0);
  end loop;
end $f$;

-- Fences the leases whose end was judged, unless they moved, or are about to. A call whose fate nobody said for a quarter of
-- a minute was its process's last word, and recovery has passed it: it holds nothing up.
create or replace function jobledger.leases_end_before(p_at timestamptz, p_rows jobledger.lease_end[])
returns void language plpgsql volatile as $f$
declare
  v_refused jsonb;
begin
  perform from jobledger.leases l
    where l.job_id in (select r.job_id from unnest(p_rows) r where r.beats is not null) order by l.job_id for update;
  select jsonb_agg(r.request) into v_refused
    from unnest(p_rows) r
    where r.beats is not null
      and not exists (
        select from jobledger.leases l where l.job_id = r.job_id and l.beats = r.beats and not l.fenced
          and (l.unsettled = 0 or l.last_beat_at < p_at - interval '15 s'));
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'leases', detail = v_refused::text;
  end if;
  update jobledger.leases l set fenced = true from unnest(p_rows) r
    where r.beats is not null and l.job_id = r.job_id;
end $f$;
