-- What its owner gave up, because the log was away, is nobody's work: whoever looks next takes it.
create function jobledger.intents_leave(p_id uuid[], p_owner uuid[]) returns void language sql volatile
set enable_hashjoin = off set enable_mergejoin = off as $f$
  update jobledger.intents i set backend = null from unnest(p_id, p_owner) as o(id, owner)
  where i.id = o.id and i.owner = o.owner
$f$;
