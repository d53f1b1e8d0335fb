-- Where an attempt starts from nothing, on a job that counted nothing, progress stays as it is: putting it together again was
-- most of what a claim cost the row.
create or replace function jobledger.jobs_update(p_base bigint, p_at timestamptz, p_rows jobledger.job_update[])
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
      when 1 then case when j.saved_progress is null
          and j.progress - 'total' = '{"processed": 0, "failed": 0, "skipped": 0, "message": null, "stages": {}}'
        then j.progress else jobledger.progress_restore(j.progress, j.saved_progress) end
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
