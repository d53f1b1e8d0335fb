-- A held job is looked at by the end of its lease at the latest, whoever edits the row: a deadline after it would hide a
-- dead worker from every sweep.
update jobledger.leases set deadline_at = least(deadline_at, expires_at)
where worker_id is not null and (deadline_at is null or deadline_at > expires_at);

alter table jobledger.leases add constraint held_is_bounded
  check (worker_id is null or (expires_at is not null and deadline_at is not null and deadline_at <= expires_at));
