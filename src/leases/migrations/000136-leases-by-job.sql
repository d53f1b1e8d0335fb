-- As `answers_after` (migration 134): the rows of a call are looked up one by one, however many jobs there are.
alter function jobledger.leases_put_after set enable_hashjoin = off set enable_mergejoin = off;
alter function jobledger.leases_renew_before set enable_hashjoin = off set enable_mergejoin = off;
alter function jobledger.leases_renew_after set enable_hashjoin = off set enable_mergejoin = off;
alter function jobledger.leases_settle set enable_hashjoin = off set enable_mergejoin = off;
alter function jobledger.leases_direct_after set enable_hashjoin = off set enable_mergejoin = off;
alter function jobledger.leases_end_before set enable_hashjoin = off set enable_mergejoin = off;
alter function jobledger.leases_end_undo set enable_hashjoin = off set enable_mergejoin = off;

-- Of a job that has moved on, the lease is a later one's, but for the one that was fenced. The job is joined: asked for by
-- `exists` beside another condition, all jobs are read into memory for it.
create or replace function jobledger.leases_end_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_rows jobledger.lease_end[]
) returns void language plpgsql volatile set enable_hashjoin = off set enable_mergejoin = off as $f$
begin
  delete from jobledger.leases l
  using rows from (unnest(p_rows), unnest(p_revision)) as r(request, event, job_id, beats, revision)
    left join jobledger.jobs j on j.id = r.job_id
  where l.job_id = r.job_id and (j.revision = r.revision or (l.fenced and l.beats = r.beats));
end $f$;
