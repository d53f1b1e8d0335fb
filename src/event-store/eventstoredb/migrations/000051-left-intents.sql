-- What a process left that died is known by the connection that recorded it, which is gone: nobody has to wait for that
-- long. One that is there may belong to a process that is frozen, or far away: then so much time has to pass.
alter table jobledger.intents add column backend int;

create or replace function jobledger.intents_open(p_id uuid[], p_owner uuid[], p_body text[]) returns void
language sql volatile as $f$
  insert into jobledger.intents (id, owner, touched_at, backend, body)
  select i.id, i.owner, clock_timestamp(), pg_backend_pid(), i.body
  from unnest(p_id, p_owner, p_body) as i(id, owner, body)
$f$;

-- Takes over intents that nobody took for p_idle_ms, and those whose connection is gone.
create or replace function jobledger.intents_take(p_idle_ms bigint, p_limit int)
returns table (id uuid, owner uuid, body text) language sql volatile as $f$
  update jobledger.intents i
  set touched_at = clock_timestamp(), owner = gen_random_uuid(), backend = pg_backend_pid()
  where i.id in (
    select o.id from jobledger.intents o
    where o.touched_at <= clock_timestamp() - p_idle_ms * interval '1 ms'
      or not exists (select from pg_stat_activity a where a.pid = o.backend)
    order by o.touched_at limit p_limit for update skip locked)
  returning i.id, i.owner, i.body
$f$;
