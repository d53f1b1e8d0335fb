-- The read model of jobs: one row a job, written in the same transaction as its events. It is also the snapshot that
-- commands load. Transitions write the row as a whole but for progress; facts change progress by deltas.
-- `doc` is the folded state as the domain has it (plain JSON). Columns beside it are what is searched, sorted, or
-- moved by facts. `ready_at` stands only while the job is claimable, `wake_at` only while it waits for its time.
create table jobledger.jobs (
  id uuid primary key,
  type text not null,
  queue text not null,
  status text not null,
  priority int not null,
  tags jsonb not null,
  run int not null,
  attempt int not null,
  -- An attempt holds the job: its facts count.
  leased boolean not null,
  dead_lettered boolean not null,
  revision bigint not null,
  position bigint not null,
  created_at timestamptz not null,
  status_since timestamptz not null,
  ready_at timestamptz,
  wake_at timestamptz,
  last_event_at timestamptz not null,
  last_activity_at timestamptz,
  last_activity_position bigint,
  doc json not null,
  payload json,
  result json,
  checkpoint json,
  progress jsonb,
  saved_progress jsonb
) with (fillfactor = 80);

create index jobs_claim on jobledger.jobs (queue, priority desc, ready_at, id) where ready_at is not null;
create index jobs_wake on jobledger.jobs (wake_at) where wake_at is not null;
create index jobs_by_status on jobledger.jobs (status, created_at, id);
create index jobs_by_creation on jobledger.jobs (created_at, id);
create index jobs_dead on jobledger.jobs (created_at, id) where dead_lettered;

-- Which facts counted: a repeat changes nothing. One row a fact of the attempts that counted.
create table jobledger.job_facts (
  job_id uuid not null,
  run int not null,
  attempt int not null,
  batch_id text not null,
  primary key (job_id, run, attempt, batch_id)
);

create function jobledger.instant(at timestamptz) returns text language sql stable parallel safe as
  $f$ select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $f$;

-- Times that are only known under the lock stand in a document as chr(1), which JSON text never holds: this goes there.
create function jobledger.quoted_instant(at timestamptz) returns text language sql stable parallel safe as
  $f$ select '"' || jobledger.instant(at) || '"' $f$;

create function jobledger.jobs_insert(
  p_base bigint, p_at timestamptz, p_request int[], p_event int[],
  p_id uuid[], p_type text[], p_queue text[], p_status text[], p_priority int[], p_tags text[],
  p_revision bigint[], p_ready boolean[], p_wakes boolean[], p_available_at timestamptz[],
  p_doc text[], p_payload text[], p_progress text[]
) returns void language plpgsql volatile as $f$
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
  from unnest(p_event, p_id, p_type, p_queue, p_status, p_priority, p_tags, p_revision, p_ready, p_wakes,
    p_available_at, p_doc, p_payload, p_progress)
    as r(event, id, type, queue, status, priority, tags, revision, ready, wakes, available_at, doc, payload, progress);
end $f$;

-- Where an attempt starts: the counts of the checkpoint it is handed, else zero; totals stay.
create function jobledger.progress_restore(progress jsonb, saved jsonb) returns jsonb language plpgsql immutable as $f$
declare
  zero constant jsonb := '{"processed": 0, "failed": 0, "skipped": 0}';
  v_stages jsonb;
begin
  if progress is null then return null; end if;
  select coalesce(jsonb_object_agg(s.key,
      zero || coalesce(saved -> 'stages' -> s.key, '{}') || jsonb_build_object('total', s.value -> 'total')), '{}')
    into v_stages from jsonb_each(progress -> 'stages') s;
  return zero || coalesce(saved - 'stages', '{}')
    || jsonb_build_object('total', progress -> 'total', 'message', null, 'stages', v_stages);
end $f$;

-- The counts that stood when a checkpoint was saved.
create function jobledger.progress_save(progress jsonb) returns jsonb language sql immutable as $f$
  select case when progress is null then null else
    jsonb_build_object('processed', progress -> 'processed', 'failed', progress -> 'failed',
      'skipped', progress -> 'skipped',
      'stages', (select coalesce(jsonb_object_agg(s.key, s.value - 'total'), '{}')
                 from jsonb_each(progress -> 'stages') s)) end
$f$;

-- p_set: which large values are set (1 payload, 2 result, 4 checkpoint).
-- p_progress: what the transition does to progress (0 nothing, 1 restore, 2 save, 3 a new run starts from p_initial).
create function jobledger.jobs_update(
  p_base bigint, p_at timestamptz, p_request int[], p_event int[],
  p_id uuid[], p_status text[], p_priority int[], p_run int[], p_attempt int[], p_leased boolean[],
  p_dead_lettered boolean[], p_revision bigint[], p_ready boolean[], p_wakes boolean[], p_available_at timestamptz[],
  p_activity boolean[], p_doc text[], p_set int[], p_payload text[], p_result text[], p_checkpoint text[],
  p_progress int[], p_initial text[]
) returns void language plpgsql volatile as $f$
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
  from unnest(p_event, p_id, p_status, p_priority, p_run, p_attempt, p_leased, p_dead_lettered, p_revision, p_ready,
    p_wakes, p_available_at, p_activity, p_doc, p_set, p_payload, p_result, p_checkpoint, p_progress, p_initial)
    as r(event, id, status, priority, run, attempt, leased, dead_lettered, revision, ready, wakes, available_at,
      activity, doc, set, payload, result, checkpoint, progress, initial)
  where j.id = r.id and j.revision < r.revision;
  get diagnostics v_rows = row_count;
  if v_rows < cardinality(p_id) then
    -- A row that is not there, or claims to know a later revision, was tampered with: the caller repairs it first.
    select jsonb_agg(distinct r.request) into v_missing
      from unnest(p_request, p_id, p_revision) as r(request, id, revision)
      where not exists (select from jobledger.jobs j where j.id = r.id and j.revision = r.revision);
    if v_missing is not null then
      raise exception using errcode = 'JL001', message = 'jobs', detail = v_missing::text;
    end if;
  end if;
end $f$;

-- One line of counts moved by one delta: processed := max(processed + add, floor).
create function jobledger.progress_line(line jsonb, delta jsonb) returns jsonb language sql immutable as $f$
  select coalesce(line, '{"total": null}') || jsonb_build_object(
    'processed', greatest(coalesce((line ->> 'processed')::bigint, 0) + (delta ->> 'add')::bigint,
                          (delta ->> 'floor')::bigint),
    'failed', coalesce((line ->> 'failed')::bigint, 0) + (delta ->> 'failed')::bigint,
    'skipped', coalesce((line ->> 'skipped')::bigint, 0) + (delta ->> 'skipped')::bigint,
    'total', greatest((line ->> 'total')::bigint, (delta ->> 'total')::bigint))
$f$;

create function jobledger.progress_apply(progress jsonb, delta jsonb) returns jsonb language plpgsql immutable as $f$
declare
  v jsonb := coalesce(progress,
    '{"processed": 0, "failed": 0, "skipped": 0, "total": null, "message": null, "stages": {}}');
  l record;
begin
  for l in select key, value from jsonb_each(delta -> 'lines') loop
    if l.key = '' then
      v := jobledger.progress_line(v, l.value);
    else
      v := jsonb_set(v, array['stages', l.key], jobledger.progress_line(v -> 'stages' -> l.key, l.value));
    end if;
  end loop;
  if delta ->> 'message' is not null then v := v || jsonb_build_object('message', delta -> 'message'); end if;
  return v;
end $f$;

-- Facts of open attempts. Each counts once: a key that stands already refuses its request, a job that the reporter
-- does not hold refuses it as `leases` does.
create function jobledger.jobs_facts(
  p_base bigint, p_at timestamptz, p_request int[], p_event int[],
  p_id uuid[], p_run int[], p_attempt int[], p_batch_id text[], p_delta text[]
) returns void language plpgsql volatile as $f$
declare
  v_rows int;
  v_refused jsonb;
  v jsonb;
  j record;
  d text;
begin
  select jsonb_agg(r.request) into v_refused
    from unnest(p_request, p_id, p_run, p_attempt) as r(request, id, run, attempt)
    where not exists (select from jobledger.jobs k where k.id = r.id and k.leased and k.run = r.run
                      and k.attempt = r.attempt);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'leases', detail = v_refused::text;
  end if;
  insert into jobledger.job_facts (job_id, run, attempt, batch_id)
    select * from unnest(p_id, p_run, p_attempt, p_batch_id) on conflict do nothing;
  get diagnostics v_rows = row_count;
  if v_rows < cardinality(p_id) then
    select jsonb_agg(r.request) into v_refused
      from unnest(p_request, p_id, p_run, p_attempt, p_batch_id) as r(request, id, run, attempt, batch_id)
      where exists (select from jobledger.job_facts f where f.job_id = r.id and f.run = r.run
                    and f.attempt = r.attempt and f.batch_id = r.batch_id and f.xmin <> pg_current_xact_id()::xid);
    raise exception using errcode = 'JL001', message = 'job_facts', detail = v_refused::text;
  end if;
  for j in
    select r.id, max(r.event) as event, array_agg(r.delta order by r.event) as deltas, k.progress
    from unnest(p_event, p_id, p_delta) as r(event, id, delta) join jobledger.jobs k on k.id = r.id
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

-- The lock of `jobledger.append`, for a repair that no append may pass while it reads the log and writes a row.
create function jobledger.lock_log() returns void language sql volatile as
  $f$ select pg_advisory_xact_lock(1785686636, 1) $f$;
