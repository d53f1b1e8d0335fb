-- The reaper is a watched thing itself: its sweeps are recorded, and who leads stands in the database.
create table jobledger.reaper (
  one boolean primary key default true check (one),
  -- The instance that sweeps by itself, while its lease lasts; a frozen one loses it.
  leader text,
  leads_until timestamptz,
  sweeps bigint not null default 0,
  last_sweep_at timestamptz,
  interval_ms bigint,
  last_error text,
  consecutive_errors int not null default 0,
  -- The default policy that deadlines were armed with.
  policy text
);

insert into jobledger.reaper default values;

-- The last hundred sweeps.
create table jobledger.sweeps (
  slot int primary key,
  number bigint not null,
  instance_id text not null,
  at timestamptz not null,
  report json not null
);
