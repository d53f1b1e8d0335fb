-- The row of a job is what a replay of its events is, to the byte: progress is never null, what is saved of it neither,
-- and counts stop at 2^53 - 1, beyond which the numbers of JSON are not exact.

create function jobledger.count_sum(a bigint, b bigint) returns bigint language sql immutable as
  $f$ select least(a + b, 9007199254740991) $f$;

create or replace function jobledger.progress_line(line jsonb, delta jsonb) returns jsonb language sql immutable as $f$
  select coalesce(line, '{"total": null}') || jsonb_build_object(
    'processed', greatest(
      jobledger.count_sum(coalesce((line ->> 'processed')::bigint, 0), (delta ->> 'add')::bigint),
      (delta ->> 'floor')::bigint),
    'failed', jobledger.count_sum(coalesce((line ->> 'failed')::bigint, 0), (delta ->> 'failed')::bigint),
    'skipped', jobledger.count_sum(coalesce((line ->> 'skipped')::bigint, 0), (delta ->> 'skipped')::bigint),
    'total', greatest((line ->> 'total')::bigint, (delta ->> 'total')::bigint))
$f$;

update jobledger.jobs
  set progress = '{"processed": 0, "failed": 0, "skipped": 0, "total": null, "message": null, "stages": {}}'
  where progress is null;
update jobledger.jobs set saved_progress = '{"processed": 0, "failed": 0, "skipped": 0, "stages": {}}'
  where saved_progress is null and checkpoint is not null;
alter table jobledger.jobs alter progress set not null;
