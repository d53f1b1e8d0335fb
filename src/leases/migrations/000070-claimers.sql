-- Who asks for jobs, and for which: what people look at when a queued job does not move. A hint, never a rule, so it
-- needs no log and may be lost with a crash.
create unlogged table jobledger.claimers (
  worker_id text not null,
  -- Of what was asked for: a worker may ask for several kinds.
  filter text not null,
  queues text[],
  types text[],
  asked_at timestamptz not null,
  primary key (worker_id, filter)
);
