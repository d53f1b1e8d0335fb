-- Which rows another session holds locked now. Each statement sees what was committed before it, so a row that an append
-- has just written is none of them.
create function jobledger.locked_jobs(p_ids uuid[]) returns uuid[] language plpgsql volatile as $f$
declare
  v_free uuid[];
begin
  with held as (
    select j.id from jobledger.jobs j where j.id = any (p_ids) order by j.id for update skip locked
  )
  select array_agg(h.id) into v_free from held h;
  return array(select j.id from jobledger.jobs j where j.id = any (p_ids) and j.id <> all (coalesce(v_free, '{}')));
end $f$;
