-- What moves progress goes on from what the row has: where somebody edited that into what is no progress, the row is refused as
-- one that is lost, so that it is made again from the log, and the call with it. The same as `isProgress` and
-- `isSavedProgress` in src/domain/progress.ts say, of rows that are read.

-- JSON numbers alone stand between two numbers.
create function jobledger.is_count(v jsonb) returns boolean language sql immutable as $f$
  select case when v between '0' and '9007199254740991' then v::numeric % 1 = 0 else false end
$f$;

create function jobledger.has_counts(line jsonb) returns boolean language sql immutable as $f$
  select jobledger.is_count(line -> 'processed') and jobledger.is_count(line -> 'failed')
    and jobledger.is_count(line -> 'skipped')
$f$;

create function jobledger.has_total(line jsonb) returns boolean language sql immutable as $f$
  select case when line -> 'total' = 'null' then true else jobledger.is_count(line -> 'total') end
$f$;

create function jobledger.has_sound_progress(progress jsonb, saved jsonb) returns boolean language plpgsql immutable
as $f$
begin
  if not (jobledger.has_counts(progress) and jobledger.has_total(progress))
    or coalesce(jsonb_typeof(progress -> 'message'), '') not in ('null', 'string')
    or jsonb_typeof(progress -> 'stages') is distinct from 'object' then
    return false;
  end if;
  if progress -> 'stages' <> '{}' and exists (
    select from jsonb_each(progress -> 'stages') s
    where not (jobledger.has_counts(s.value) and jobledger.has_total(s.value))) then
    return false;
  end if;
  if saved is null then return true; end if;
  if not jobledger.has_counts(saved) or jsonb_typeof(saved -> 'stages') is distinct from 'object' then
    return false;
  end if;
  return saved -> 'stages' = '{}' or not exists (
    select from jsonb_each(saved -> 'stages') s where not jobledger.has_counts(s.value));
end $f$;

create or replace function jobledger.jobs_update(p_base bigint, p_at timestamptz, p_rows jobledger.job_update[])
returns void language plpgsql volatile as $f$
declare
  v_untouched constant jsonb := '{"processed": 0, "failed": 0, "skipped": 0, "message": null, "stages": {}}';
  v_instant constant text := jobledger.quoted_instant(p_at);
  v_rows int;
  v_missing jsonb;
begin
  update jobledger.jobs j set
    status = r.status, priority = r.priority, run = r.run, attempt = r.attempt, leased = r.leased,
    dead_lettered = r.dead_lettered, revision = r.revision, position = p_base + r.event,
    status_since = case when j.status = r.status then j.status_since else p_at end,
    ready_at = case when r.ready then coalesce(r.available_at, j.created_at) end,
    wake_at = case when r.wakes then r.available_at end,
    last_event_at = p_at,
    last_activity_at = case when r.activity then p_at else j.last_activity_at end,
    last_activity_position = case when r.activity then p_base + r.event else j.last_activity_position end,
    doc = replace(r.doc, chr(1), v_instant)::json,
    payload = case when r.set & 1 > 0 then r.payload::json else j.payload end,
    result = case when r.set & 2 > 0 then r.result::json else j.result end,
    checkpoint = case when r.set & 4 > 0 then r.checkpoint::json else j.checkpoint end,
    progress = case r.progress
      when 1 then case when j.saved_progress is null and j.progress - 'total' = v_untouched then j.progress
        else jobledger.progress_restore(j.progress, j.saved_progress) end
      when 3 then r.initial::jsonb
      else j.progress end,
    saved_progress = case r.progress
      when 2 then jobledger.progress_save(j.progress)
      when 3 then null
      else j.saved_progress end
  from unnest(p_rows) r
  where j.id = r.id and j.revision < r.revision
    -- Nobody has reported most of those that are claimed: they are told without a look at each part.
    and (r.progress not in (1, 2) or (j.saved_progress is null and j.progress - 'total' = v_untouched)
      or jobledger.has_sound_progress(j.progress, j.saved_progress));
  get diagnostics v_rows = row_count;
  if v_rows < cardinality(p_rows) then
    -- A row that is not there, claims to know a later revision, or has no progress to go on from was tampered with: the
    -- caller repairs it first.
    select jsonb_agg(distinct r.request) into v_missing
      from unnest(p_rows) r
      where not exists (select from jobledger.jobs j where j.id = r.id and j.revision = r.revision);
    if v_missing is not null then
      raise exception using errcode = 'JL001', message = 'jobs', detail = v_missing::text;
    end if;
  end if;
end $f$;

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
    where not exists (select from jobledger.jobs k where k.id = r.id and k.revision = r.revision
                      and jobledger.has_sound_progress(k.progress, k.saved_progress));
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
returns void language plpgsql volatile
  set enable_hashjoin = off set enable_mergejoin = off as $f$
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
    where not exists (select from jobledger.jobs k where k.id = r.id and k.revision = r.revision
                      and jobledger.has_sound_progress(k.progress, k.saved_progress));
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

create or replace function jobledger.jobs_update_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_watched bigint[],
  p_rows jobledger.job_update[]
) returns void language plpgsql volatile
  set enable_hashjoin = off set enable_mergejoin = off as $f$
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
            and (p_watched[n] is null or p_watched[n] = coalesce(j.work_revision, -1))
            and ((p_rows[n]).progress not in (1, 2)
              or jobledger.has_sound_progress(j.progress, j.saved_progress))))));
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

create or replace function jobledger.jobs_facts_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_watched bigint[],
  p_rows jobledger.job_fact[]
) returns void language plpgsql volatile
  set enable_hashjoin = off set enable_mergejoin = off as $f$
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
    group by f.id, j.id
    having j.id is null or max(f.revision) - coalesce(j.work_revision, -1) <> count(*)
      or min(f.position) <= j.position or max(f.watched) is distinct from j.revision
      or not jobledger.has_sound_progress(j.progress, j.saved_progress));
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
