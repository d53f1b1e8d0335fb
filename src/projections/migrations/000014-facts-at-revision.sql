-- Facts of open attempts. Each counts once: a key that stands already refuses its request, a job that the reporter
-- does not hold refuses it as `leases` does. A fact changes no status, but its answer says one: a job that moved since
-- the caller knew it refuses it as `jobs` does, so that no answer is older than another that was given before it.
drop function jobledger.jobs_facts(bigint, timestamptz, int[], int[], uuid[], int[], int[], text[], text[]);

create function jobledger.jobs_facts(
  p_base bigint, p_at timestamptz, p_request int[], p_event int[],
  p_id uuid[], p_run int[], p_attempt int[], p_revision bigint[], p_batch_id text[], p_delta text[]
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
  select jsonb_agg(r.request) into v_refused
    from unnest(p_request, p_id, p_revision) as r(request, id, revision)
    where not exists (select from jobledger.jobs k where k.id = r.id and k.revision = r.revision);
  if v_refused is not null then
    raise exception using errcode = 'JL001', message = 'jobs', detail = v_refused::text;
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
