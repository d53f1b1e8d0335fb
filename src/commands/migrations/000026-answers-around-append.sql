-- First answers beside a log that is not in this database. A key is taken before the append; until its events are there
-- it has no position. Where they stand is said by stream, since positions of such a log have gaps.
alter table jobledger.answers add column parts text;

create function jobledger.answers_before(p_at timestamptz, p_rows jobledger.answer_put[])
returns void language plpgsql volatile as $f$
declare
  v_rows int;
  v_taken jsonb;
begin
  insert into jobledger.answers (key, fingerprint, position, events, body, at)
    select r.key, r.fingerprint, null, r.events, r.body, p_at from unnest(p_rows) r
    order by r.key on conflict do nothing;
  get diagnostics v_rows = row_count;
  if v_rows < cardinality(p_rows) then
    select jsonb_agg(r.request) into v_taken from unnest(p_rows) r
      where exists (select from jobledger.answers a where a.key = r.key and a.xmin <> pg_current_xact_id()::xid);
    raise exception using errcode = 'JL001', message = 'answers', detail = v_taken::text;
  end if;
end $f$;

create function jobledger.answers_after(
  p_base bigint, p_at timestamptz[], p_revision int[], p_length int[], p_parts text[], p_rows jobledger.answer_put[]
) returns void language sql volatile as $f$
  update jobledger.answers a set position = p_base + r.event, parts = r.parts
  from (select (p_rows[n]).*, p_parts[n] as parts from generate_subscripts(p_rows, 1) n) r where a.key = r.key
$f$;

create function jobledger.answers_undo(p_rows jobledger.answer_put[]) returns void language sql volatile as $f$
  delete from jobledger.answers a using unnest(p_rows) r where a.key = r.key and a.position is null and a.events > 0
$f$;
