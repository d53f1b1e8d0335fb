-- As `answers_after` (migration 134): intents are looked up one by one, however many rows wait to be vacuumed.
alter function jobledger.intents_close set enable_hashjoin = off set enable_mergejoin = off;
alter function jobledger.intents_keep set enable_hashjoin = off set enable_mergejoin = off;
