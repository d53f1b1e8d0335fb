-- Formats of the log that were written here: how many shapes of events (types and their versions) a program knows.
-- A program that knows fewer than the most leaves what it cannot read to one that does.
create table jobledger.formats (
  format int primary key,
  at timestamptz not null default clock_timestamp()
);
