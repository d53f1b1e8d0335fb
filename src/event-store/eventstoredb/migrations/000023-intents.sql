-- Appends to a log elsewhere that have begun: what must be there entirely or not at all, or took something here before.
-- A row goes in the statement that writes what the append left behind. One that stays was left by a process that died
-- or lost the log; whoever finds it finishes it: its events are appended at the revisions that it names, or cannot be.
create table jobledger.intents (
  id uuid primary key,
  -- Who settles it: the process that recorded it, then each one that took it over. A former owner writes nothing more.
  owner uuid not null,
  -- When an owner took it.
  touched_at timestamptz not null,
  body text not null
);

create index intents_touched on jobledger.intents (touched_at);

create function jobledger.intents_open(p_id uuid[], p_owner uuid[], p_body text[]) returns void
language sql volatile as $f$
  insert into jobledger.intents (id, owner, touched_at, body)
  select i.id, i.owner, clock_timestamp(), i.body from unnest(p_id, p_owner, p_body) as i(id, owner, body)
$f$;

-- Removes what its owner settles in the same statement; raises JL002 with the places of those that are no longer its own.
create function jobledger.intents_close(p_id uuid[], p_owner uuid[]) returns void language plpgsql volatile as $f$
declare
  v_lost jsonb;
begin
  with gone as (
    delete from jobledger.intents i using unnest(p_id, p_owner) as o(id, owner)
    where i.id = o.id and i.owner = o.owner returning i.id
  )
  select jsonb_agg(o.place - 1) into v_lost from unnest(p_id) with ordinality as o(id, place)
    where not exists (select from gone g where g.id = o.id);
  if v_lost is not null then
    raise exception 'intents' using errcode = 'JL002', detail = v_lost::text;
  end if;
end $f$;

-- Takes over intents that nobody took for p_idle_ms.
create function jobledger.intents_take(p_idle_ms bigint, p_limit int) returns table (id uuid, owner uuid, body text)
language sql volatile as $f$
  update jobledger.intents i set touched_at = clock_timestamp(), owner = gen_random_uuid()
  where i.id in (
    select o.id from jobledger.intents o
    where o.touched_at <= clock_timestamp() - p_idle_ms * interval '1 ms'
    order by o.touched_at limit p_limit for update skip locked)
  returning i.id, i.owner, i.body
$f$;
