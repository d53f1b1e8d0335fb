-- While no reaper had contact with this database, nobody could be told of a heartbeat: a lease that lapsed then says
-- nothing about its worker. Null: no reaper of this release has led yet.
alter table jobledger.reaper
  -- When a leader last renewed its lead.
  add column led_at timestamptz,
  -- The last time that nobody led, or that the leader could not say so.
  add column away_from timestamptz,
  add column back_at timestamptz;
