-- As `answers_after` (migration 134): the rows of a call are looked up one by one, however many jobs there are.
alter function jobledger.jobs_insert_after set enable_hashjoin = off set enable_mergejoin = off;
alter function jobledger.jobs_update_after set enable_hashjoin = off set enable_mergejoin = off;
alter function jobledger.jobs_facts_before set enable_hashjoin = off set enable_mergejoin = off;
alter function jobledger.jobs_facts_after set enable_hashjoin = off set enable_mergejoin = off;
