-- Which rows another session holds locked now: as `locked_jobs`.
create function jobledger.locked_leases(p_ids uuid[]) returns uuid[] language plpgsql volatile as $f$
declare
  v_free uuid[];
begin
  with held as (
    select l.job_id from jobledger.leases l where l.job_id = any (p_ids) order by l.job_id for update skip locked
  )
  select array_agg(h.job_id) into v_free from held h;
  return array(
    select l.job_id from jobledger.leases l
    where l.job_id = any (p_ids) and l.job_id <> all (coalesce(v_free, '{}')));
end $f$;
