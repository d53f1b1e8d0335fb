-- Leases beside a log that is not in this database. What would lose a race in the same transaction is taken before the
-- append; what the events say is written after it, if the job still is where they put it.

-- A reap is on its way to the log: until its fate is known no call renews the lease, and none was accepted since it was
-- judged. On the log in this database it is never set.
alter table jobledger.leases add column fenced boolean not null default false;

create function jobledger.leases_put_after(
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
    update jobledger.leases l set fenced = false from unnest(v_current) r where l.job_id = r.job_id and l.fenced;
  end loop;
end $f$;

-- The call is accepted here: a reap that was judged before it loses, whenever their events reach the log.
create function jobledger.leases_renew_before(p_at timestamptz, p_rows jobledger.lease_renewal[])
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
end $f$;

-- Where the stream is ahead of the clock the recorded time is later, and the answer is made from that.
create function jobledger.leases_renew_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_rows jobledger.lease_renewal[]
) returns void language plpgsql volatile as $f$
begin
  update jobledger.leases l
  set expires_at = greatest(l.expires_at, r.at + coalesce(r.lease_ms, l.lease_ms) * interval '1 ms')
  from (
    select u.job_id, u.run, u.attempt, max(u.at) as at, max(u.lease_ms) as lease_ms
    from (select (p_rows[n]).*, p_at[n] as at from generate_subscripts(p_rows, 1) n) u
    group by u.job_id, u.run, u.attempt
  ) r
  where l.job_id = r.job_id and l.run = r.run and l.attempt = r.attempt;
end $f$;

create function jobledger.leases_direct_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[],
  p_rows jobledger.lease_directive[]
) returns void language plpgsql volatile as $f$
begin
  perform jobledger.leases_direct(p_base, p_at[1], array(
    select p_rows[n] from generate_subscripts(p_rows, 1) n
    join jobledger.jobs j on j.id = p_rows[n].job_id and j.revision = p_revision[n]));
end $f$;

-- Fences the leases whose end was judged, unless they moved.
create function jobledger.leases_end_before(p_at timestamptz, p_rows jobledger.lease_end[])
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
        select from jobledger.leases l where l.job_id = r.job_id and l.beats = r.beats and not l.fenced);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'leases', detail = v_refused::text;
  end if;
  update jobledger.leases l set fenced = true from unnest(p_rows) r
    where r.beats is not null and l.job_id = r.job_id;
end $f$;

-- Of a job that has moved on, the lease is a later one's, but for the one that was fenced.
create function jobledger.leases_end_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_rows jobledger.lease_end[]
) returns void language plpgsql volatile as $f$
begin
  delete from jobledger.leases l using generate_subscripts(p_rows, 1) n
  where l.job_id = p_rows[n].job_id
    and (exists (select from jobledger.jobs j where j.id = l.job_id and j.revision = p_revision[n])
      or (l.fenced and l.beats = p_rows[n].beats));
end $f$;

create function jobledger.leases_end_undo(p_rows jobledger.lease_end[]) returns void language sql volatile as $f$
  update jobledger.leases l set fenced = false from unnest(p_rows) r
  where l.job_id = r.job_id and l.fenced and l.beats = r.beats
$f$;
