-- Keys are almost always new, and `on conflict` looks for each before it inserts it. Here one that is taken fails the call
-- with a unique violation; it is made again with `answers_put`, which says whose key it was.
create function jobledger.answers_add(p_base bigint, p_at timestamptz, p_rows jobledger.answer_put[])
returns void language plpgsql volatile as $f$
begin
  insert into jobledger.answers (key, fingerprint, position, events, body, at)
    select r.key, r.fingerprint, p_base + r.event, r.events, r.body, p_at from unnest(p_rows) r;
end $f$;
