-- Plans of these statements are made while tables are small, and kept: a merge with the whole index of `answers`, which
-- costs nothing then, cost as much as all keys later. Each row is looked up by its key instead, however many there are.
create or replace function jobledger.answers_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_rows jobledger.answer_put[]
) returns void language sql volatile set enable_hashjoin = off set enable_mergejoin = off as $f$
  update jobledger.answers a set position = p_base + r.event, parts = r.parts
  from rows from (unnest(p_rows), unnest(p_parts)) as r(request, event, key, fingerprint, events, body, parts)
  where a.key = r.key
$f$;

alter function jobledger.answers_undo set enable_hashjoin = off set enable_mergejoin = off;
