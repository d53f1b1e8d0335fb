-- Where the log is whose jobs have their rows here: `here`, or `elsewhere`, in EventStoreDB or KurrentDB. Said once, by
-- the first process: with another log the rows would be of jobs that it does not have.
create table jobledger.place_of_log (
  single boolean primary key default true check (single),
  place text not null check (place in ('here', 'elsewhere'))
);

-- Answers the place that is bound; binds this one when none is, and the log here is empty or this place.
create function jobledger.bind_log(p_place text) returns text language sql volatile as $f$
  insert into jobledger.place_of_log (place)
  select case when exists (select from jobledger.batches) then 'here' else p_place end
  on conflict do nothing;
  select place from jobledger.place_of_log
$f$;
