-- A run has at most 100 stages of progress: each costs whoever reads or moves the job. A row that has more keeps them.

-- Requests of facts that would add a stage beyond that, among others of the call too.
create function jobledger.facts_beyond_stages(p_rows jobledger.job_fact[]) returns jsonb language sql stable as $f$
  with added as (
    select r.request, r.id, s.name, min(r.event) over (partition by r.id, s.name) as first,
      100 - (select count(*) from jsonb_object_keys(k.progress -> 'stages')) as room
    from unnest(p_rows) r
      cross join lateral jsonb_object_keys(r.delta::jsonb -> 'lines') s(name)
      join jobledger.jobs k on k.id = r.id
    -- Most facts are of the job's own line, and are not taken apart to find that out.
    where r.delta not like '{"lines":{"":%' and s.name <> '' and not k.progress -> 'stages' ? s.name
  ), ranked as (
    select a.request, a.room, dense_rank() over (partition by a.id order by a.first, a.name) as place from added a
  )
  select jsonb_agg(distinct request) from ranked where place > room
$f$;

create or replace function jobledger.jobs_facts(p_base bigint, p_at timestamptz, p_rows jobledger.job_fact[])
returns void language plpgsql volatile as $f$
declare
  v_rows int;
  v_refused jsonb;
  v jsonb;
  j record;
  d text;
begin
  select jsonb_agg(r.request) into v_refused
    from unnest(p_rows) r
    where not exists (select from jobledger.jobs k where k.id = r.id and k.leased and k.run = r.run
                      and k.attempt = r.attempt);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'leases', detail = v_refused::text;
  end if;
  select jsonb_agg(r.request) into v_refused
    from unnest(p_rows) r
    where not exists (select from jobledger.jobs k where k.id = r.id and k.revision = r.revision);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'jobs', detail = v_refused::text;
  end if;
  insert into jobledger.job_facts (job_id, run, attempt, batch_id)
    select r.id, r.run, r.attempt, r.batch_id from unnest(p_rows) r on conflict do nothing;
  get diagnostics v_rows = row_count;
  if v_rows < cardinality(p_rows) then
    select jsonb_agg(r.request) into v_refused
      from unnest(p_rows) r
      where exists (select from jobledger.job_facts f where f.job_id = r.id and f.run = r.run
                    and f.attempt = r.attempt and f.batch_id = r.batch_id and f.xmin <> pg_current_xact_id()::xid);
    raise exception using errcode = 'JL001', message = 'job_facts', detail = v_refused::text;
  end if;
  v_refused := jobledger.facts_beyond_stages(p_rows);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'stages', detail = v_refused::text;
  end if;
  for j in
    select r.id, max(r.event) as event, array_agg(r.delta order by r.event) as deltas, k.progress
    from unnest(p_rows) r join jobledger.jobs k on k.id = r.id
    group by r.id, k.progress
  loop
    v := j.progress;
    foreach d in array j.deltas loop
      v := jobledger.progress_apply(v, d::jsonb);
    end loop;
    update jobledger.jobs set progress = v, position = p_base + j.event, last_event_at = p_at,
      last_activity_at = p_at, last_activity_position = p_base + j.event
      where id = j.id;
  end loop;
end $f$;

create or replace function jobledger.jobs_facts_before(p_at timestamptz, p_rows jobledger.job_fact[])
returns void language plpgsql volatile as $f$
declare
  v_refused jsonb;
begin
  select jsonb_agg(r.request) into v_refused
    from unnest(p_rows) r
    where not exists (select from jobledger.jobs k where k.id = r.id and k.leased and k.run = r.run
                      and k.attempt = r.attempt);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'leases', detail = v_refused::text;
  end if;
  select jsonb_agg(r.request) into v_refused
    from unnest(p_rows) r
    where not exists (select from jobledger.jobs k where k.id = r.id and k.revision = r.revision);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'jobs', detail = v_refused::text;
  end if;
  select jsonb_agg(r.request) into v_refused
    from unnest(p_rows) r
    where exists (select from jobledger.job_facts f where f.job_id = r.id and f.run = r.run and f.attempt = r.attempt
                  and f.batch_id = r.batch_id);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'job_facts', detail = v_refused::text;
  end if;
  v_refused := jobledger.facts_beyond_stages(p_rows);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'stages', detail = v_refused::text;
  end if;
end $f$;
