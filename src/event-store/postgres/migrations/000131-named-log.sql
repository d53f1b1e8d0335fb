-- Which log elsewhere the rows are of: the name that stands in that log. Null until one was met.
alter table jobledger.place_of_log add column log uuid;

-- Answers the name that is bound; binds this one when none is. Null asks, and binds nothing.
create function jobledger.bind_named_log(p_log uuid) returns uuid language sql volatile as $f$
  update jobledger.place_of_log set log = p_log where log is null and p_log is not null;
  select log from jobledger.place_of_log
$f$;
