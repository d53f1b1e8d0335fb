-- Rows of an append come as one array of a composite type.
drop function jobledger.answers_put(bigint, timestamptz, int[], int[], bytea[], bytea[], int[], text[]);

create type jobledger.answer_put as (
  request int, event int, key bytea, fingerprint bytea, events int, body text);

create function jobledger.answers_put(p_base bigint, p_at timestamptz, p_rows jobledger.answer_put[])
returns void language plpgsql volatile as $f$
declare
  v_rows int;
  v_taken jsonb;
begin
  insert into jobledger.answers (key, fingerprint, position, events, body, at)
    select r.key, r.fingerprint, p_base + r.event, r.events, r.body, p_at from unnest(p_rows) r
    on conflict do nothing;
  get diagnostics v_rows = row_count;
  if v_rows < cardinality(p_rows) then
    select jsonb_agg(r.request) into v_taken from unnest(p_rows) r
      where exists (select from jobledger.answers a where a.key = r.key and a.xmin <> pg_current_xact_id()::xid);
    raise exception using errcode = 'JL001', message = 'answers', detail = v_taken::text;
  end if;
end $f$;
