-- Beside a log elsewhere a row of `jobs` is at every instant what the job's events up to the row's position say, whoever
-- appended them: it is moved only by the events that follow it in the log, once it was seen that nothing else of the
-- job stands between. What does not follow is refused with JL003, and the row is first brought there from the log.

-- Of the last fact that the row knows, in `work-<id>`; null: of none. Always null where the log is in this database, where
-- a row is written in the transaction that appends.
alter table jobledger.jobs add column work_revision bigint;

-- Facts that stand in the log after the end of the attempt that they name, by their revisions: they were on their way when
-- it ended by another stream. They count for nothing, and who sent them is told that they were refused.
create table jobledger.late_facts (
  job_id uuid not null,
  revision bigint not null,
  primary key (job_id, revision)
);

create function jobledger.jobs_behind(p_ids uuid[]) returns void language plpgsql volatile as $f$
begin
  raise exception 'jobs' using errcode = 'JL003',
    detail = (select jsonb_agg(distinct 'job-' || i) from unnest(p_ids) i)::text;
end $f$;

create or replace function jobledger.jobs_insert_after(
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
      perform jobledger.jobs_behind(array(select r.id from unnest(v_new) r));
    end;
  end loop;
end $f$;

drop function jobledger.jobs_update_after(
  bigint, timestamptz[], int[], int[], text[], jobledger.job_update[]);

-- p_watched: the last fact in the log, once the transition was there; null: no fact can stand before it.
create function jobledger.jobs_update_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_watched bigint[],
  p_rows jobledger.job_update[]
) returns void language plpgsql volatile as $f$
declare
  v_at timestamptz;
  v_next jobledger.job_update[];
  v_behind uuid[];
begin
  perform from jobledger.jobs j where j.id in (select r.id from unnest(p_rows) r) order by j.id for update;
  v_behind := array(
    select p_rows[n].id from generate_subscripts(p_rows, 1) n
    where not exists (
      select from jobledger.jobs j where j.id = p_rows[n].id
        and (j.revision >= p_revision[n]
          or (j.revision = p_revision[n] - p_length[n] and j.position < p_base + p_rows[n].event
            and (p_watched[n] is null or p_watched[n] = coalesce(j.work_revision, -1))))));
  if cardinality(v_behind) > 0 then
    perform jobledger.jobs_behind(v_behind);
  end if;
  for v_at in select distinct a from unnest(p_at) a loop
    v_next := array(
      select p_rows[n] from generate_subscripts(p_rows, 1) n join jobledger.jobs j on j.id = p_rows[n].id
      where p_at[n] = v_at and j.revision < p_revision[n]);
    continue when cardinality(v_next) = 0;
    perform jobledger.jobs_update(p_base, v_at, v_next);
  end loop;
end $f$;

drop function jobledger.jobs_facts_after(bigint, timestamptz[], int[], int[], text[], jobledger.job_fact[]);

-- Refuses those that are late, with JL004. p_watched: the last transition in the log, once the facts were there.
create function jobledger.jobs_facts_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_watched bigint[],
  p_rows jobledger.job_fact[]
) returns void language plpgsql volatile as $f$
declare
  v_fact record;
  v_behind uuid[];
  v_late bigint[];
  v_position bigint;
begin
  perform from jobledger.jobs j where j.id in (select r.id from unnest(p_rows) r) order by j.id for update;
  v_behind := array(
    select f.id
    from (
      select (p_rows[n]).id as id, p_revision[n] as revision, p_base + (p_rows[n]).event as position,
        p_watched[n] as watched
      from generate_subscripts(p_rows, 1) n
    ) f left join jobledger.jobs j on j.id = f.id
    where j.id is null or f.revision > coalesce(j.work_revision, -1)
    group by f.id, j.id, j.revision, j.position, j.work_revision
    having j.id is null or max(f.revision) - coalesce(j.work_revision, -1) <> count(*)
      or min(f.position) <= j.position or max(f.watched) is distinct from j.revision);
  if cardinality(v_behind) > 0 then
    perform jobledger.jobs_behind(v_behind);
  end if;
  v_late := array(
    select p_base + (p_rows[n]).event from generate_subscripts(p_rows, 1) n
      join jobledger.jobs j on j.id = (p_rows[n]).id
    where case when p_revision[n] <= coalesce(j.work_revision, -1)
      then exists (select from jobledger.late_facts f where f.job_id = j.id and f.revision = p_revision[n])
      else not (j.leased and j.run = (p_rows[n]).run and j.attempt = (p_rows[n]).attempt) end);
  if cardinality(v_late) > 0 then
    raise exception 'leases' using errcode = 'JL004', detail = to_json(v_late::text[])::text;
  end if;
  for v_fact in
    select (p_rows[n]).*, p_revision[n] as place, p_at[n] as at from generate_subscripts(p_rows, 1) n
      join jobledger.jobs j on j.id = (p_rows[n]).id
    where p_revision[n] > coalesce(j.work_revision, -1)
    order by (p_rows[n]).event
  loop
    v_position := p_base + v_fact.event;
    insert into jobledger.job_facts (job_id, run, attempt, batch_id)
      values (v_fact.id, v_fact.run, v_fact.attempt, v_fact.batch_id) on conflict do nothing;
    if found then
      update jobledger.jobs set progress = jobledger.progress_apply(progress, v_fact.delta::jsonb),
        position = v_position, work_revision = v_fact.place, last_event_at = v_fact.at,
        last_activity_at = v_fact.at, last_activity_position = v_position
        where id = v_fact.id;
    else
      -- A repeat of one that counted: something was heard of the job, and nothing else.
      update jobledger.jobs set position = v_position, work_revision = v_fact.place, last_event_at = v_fact.at
        where id = v_fact.id;
    end if;
  end loop;
end $f$;

drop function jobledger.repair_jobs(uuid[]);
drop table jobledger.jobs_to_repair;
