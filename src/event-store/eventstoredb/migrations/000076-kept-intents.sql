-- Whoever works on intents says so from time to time, so that one who is slow is not taken for dead: what two do at once
-- costs twice as much, and would make a slow one slower. Of one that was taken over nothing is changed.
create function jobledger.intents_keep(p_id uuid[], p_owner uuid[]) returns void language sql volatile as $f$
  update jobledger.intents i set touched_at = clock_timestamp() from unnest(p_id, p_owner) as o(id, owner)
  where i.id = o.id and i.owner = o.owner
$f$;
