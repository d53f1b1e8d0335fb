-- Rows of an append come as one array of a composite type.
drop function jobledger.jobs_insert(
  bigint, timestamptz, int[], int[], uuid[], text[], text[], text[], int[], text[], bigint[], boolean[], boolean[],
  timestamptz[], text[], text[], text[]);
drop function jobledger.jobs_update(
  bigint, timestamptz, int[], int[], uuid[], text[], int[], int[], int[], boolean[], boolean[], bigint[], boolean[],
  boolean[], timestamptz[], boolean[], text[], int[], text[], text[], text[], int[], text[]);
drop function jobledger.jobs_facts(
  bigint, timestamptz, int[], int[], uuid[], int[], int[], text[], text[]);

create type jobledger.job_insert as (
  request int, event int, id uuid, type text, queue text, status text, priority int, tags text, revision bigint,
  ready boolean, wakes boolean, available_at timestamptz, doc text, payload text, progress text);

create type jobledger.job_update as (
  request int, event int, id uuid, status text, priority int, run int, attempt int, leased boolean,
  dead_lettered boolean, revision bigint, ready boolean, wakes boolean, available_at timestamptz, activity boolean,
  doc text,
  -- Which large values are set (1 payload, 2 result, 4 checkpoint).
  set int, payload text, result text, checkpoint text,
  -- What the transition does to progress (0 nothing, 1 restore, 2 save, 3 a new run starts from `initial`).
  progress int, initial text);

create type jobledger.job_fact as (
  request int, event int, id uuid, run int, attempt int, revision bigint, batch_id text, delta text);

create function jobledger.jobs_insert(p_base bigint, p_at timestamptz, p_rows jobledger.job_insert[])
returns void language plpgsql volatile as $f$
declare
  v_instant constant text := jobledger.quoted_instant(p_at);
begin
  insert into jobledger.jobs (
    id, type, queue, status, priority, tags, run, attempt, leased, dead_lettered, revision, position, created_at,
    status_since, ready_at, wake_at, last_event_at, doc, payload, progress)
  select r.id, r.type, r.queue, r.status, r.priority, r.tags::jsonb, 1, 0, false, false, r.revision,
    p_base + r.event, p_at, p_at,
    case when r.ready then coalesce(r.available_at, p_at) end,
    case when r.wakes then r.available_at end,
    p_at, replace(r.doc, chr(1), v_instant)::json, r.payload::json, r.progress::jsonb
  from unnest(p_rows) r;
end $f$;

create function jobledger.jobs_update(p_base bigint, p_at timestamptz, p_rows jobledger.job_update[])
returns void language plpgsql volatile as $f$
declare
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
      when 1 then jobledger.progress_restore(j.progress, j.saved_progress)
      when 3 then r.initial::jsonb
      else j.progress end,
    saved_progress = case r.progress
      when 2 then jobledger.progress_save(j.progress)
      when 3 then null
      else j.saved_progress end
  from unnest(p_rows) r
  where j.id = r.id and j.revision < r.revision;
  get diagnostics v_rows = row_count;
  if v_rows < cardinality(p_rows) then
    -- A row that is not there, or claims to know a later revision, was tampered with: the caller repairs it first.
    select jsonb_agg(distinct r.request) into v_missing
      from unnest(p_rows) r
      where not exists (select from jobledger.jobs j where j.id = r.id and j.revision = r.revision);
    if v_missing is not null then
      raise exception using errcode = 'JL001', message = 'jobs', detail = v_missing::text;
    end if;
  end if;
end $f$;

-- Facts of open attempts. Each counts once: a key that stands already refuses its request, a job that the reporter
-- does not hold refuses it as `leases` does. A fact changes no status, but its answer says one: a job that moved since
-- the caller knew it refuses it as `jobs` does, so that no answer is older than another that was given before it.
create function jobledger.jobs_facts(p_base bigint, p_at timestamptz, p_rows jobledger.job_fact[])
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
