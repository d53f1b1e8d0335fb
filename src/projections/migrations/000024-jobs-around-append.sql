-- Rows of jobs beside a log that is not in this database: written once the events are there, each only on top of the
-- state that its events follow. What does not fit is not forced: the job is listed, and replayed from the log.
create table jobledger.jobs_to_repair (
  job_id uuid primary key,
  since timestamptz not null default clock_timestamp()
);

create function jobledger.repair_jobs(p_ids uuid[]) returns void language sql volatile as $f$
  insert into jobledger.jobs_to_repair (job_id) select i from unnest(p_ids) i order by i
  on conflict (job_id) do update set since = excluded.since
$f$;

create function jobledger.jobs_insert_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_rows jobledger.job_insert[]
) returns void language plpgsql volatile as $f$
declare
  v_at timestamptz;
  v_new jobledger.job_insert[];
begin
  for v_at in select distinct a from unnest(p_at) a loop
    v_new := array(
      select p_rows[n] from generate_subscripts(p_rows, 1) n
      where p_at[n] = v_at and not exists (select from jobledger.jobs j where j.id = p_rows[n].id));
    continue when cardinality(v_new) = 0;
    begin
      perform jobledger.jobs_insert(p_base, v_at, v_new);
    exception when unique_violation then
      -- Whoever read the log was faster with one of them.
      perform jobledger.repair_jobs(array(select r.id from unnest(v_new) r));
    end;
  end loop;
end $f$;

create function jobledger.jobs_update_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_rows jobledger.job_update[]
) returns void language plpgsql volatile as $f$
declare
  v_at timestamptz;
  v_next jobledger.job_update[];
begin
  perform from jobledger.jobs j where j.id in (select r.id from unnest(p_rows) r) order by j.id for update;
  for v_at in select distinct a from unnest(p_at) a loop
    v_next := array(
      select p_rows[n] from generate_subscripts(p_rows, 1) n join jobledger.jobs j on j.id = p_rows[n].id
      -- A fact that stands behind the transition in the log, and was applied before it, may have counted wrongly.
      where p_at[n] = v_at and j.revision = p_revision[n] - p_length[n] and j.position < p_base + p_rows[n].event);
    continue when cardinality(v_next) = 0;
    perform jobledger.jobs_update(p_base, v_at, v_next);
  end loop;
  perform jobledger.repair_jobs(array(
    select distinct p_rows[n].id from generate_subscripts(p_rows, 1) n
    where not exists (select from jobledger.jobs j where j.id = p_rows[n].id and j.revision >= p_revision[n])));
end $f$;

-- What `jobs_facts` refuses, before the facts are in the log.
create function jobledger.jobs_facts_before(p_at timestamptz, p_rows jobledger.job_fact[])
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
end $f$;

-- Facts of a job that has not moved since they were decided on stand in the log before whatever moves it next. Of one
-- that has, only the log says which came first.
create function jobledger.jobs_facts_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_rows jobledger.job_fact[]
) returns void language plpgsql volatile as $f$
declare
  v_fact record;
  v_job jobledger.jobs;
  v_position bigint;
begin
  perform from jobledger.jobs j where j.id in (select r.id from unnest(p_rows) r) order by j.id for update;
  for v_fact in
    select (p_rows[n]).*, p_at[n] as at from generate_subscripts(p_rows, 1) n order by (p_rows[n]).event
  loop
    select * into v_job from jobledger.jobs j where j.id = v_fact.id;
    if not found or not v_job.leased or v_job.run <> v_fact.run or v_job.attempt <> v_fact.attempt
      or v_job.revision <> v_fact.revision then
      perform jobledger.repair_jobs(array[v_fact.id]);
      continue;
    end if;
    insert into jobledger.job_facts (job_id, run, attempt, batch_id)
      values (v_fact.id, v_fact.run, v_fact.attempt, v_fact.batch_id) on conflict do nothing;
    v_position := p_base + v_fact.event;
    if not found then
      -- A repeat of one that counted: it changes when something was last heard of the job, and nothing else.
      update jobledger.jobs set position = v_position, last_event_at = v_fact.at
        where id = v_fact.id and position < v_position;
    elsif v_job.position < v_position then
      update jobledger.jobs set progress = jobledger.progress_apply(progress, v_fact.delta::jsonb),
        position = v_position, last_event_at = v_fact.at, last_activity_at = v_fact.at,
        last_activity_position = v_position
        where id = v_fact.id;
    else
      -- Another process's fact stands behind it and was applied before: its message is the later one.
      update jobledger.jobs set progress = jobledger.progress_apply(progress, v_fact.delta::jsonb - 'message'),
        last_activity_at = case when last_activity_position < v_position then v_fact.at else last_activity_at end,
        last_activity_position = greatest(last_activity_position, v_position)
        where id = v_fact.id;
    end if;
  end loop;
end $f$;
