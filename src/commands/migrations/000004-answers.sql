-- First answers by idempotency key. What an answer says is made again from its events; only what events do not say
-- stands in `body`. Kept for JOBLEDGER_IDEMPOTENCY_MS.
create table jobledger.answers (
  key bytea primary key,
  fingerprint bytea not null,
  -- The answer's events end at `position`; null: it had none.
  position bigint,
  events int not null,
  body text,
  at timestamptz not null
);

create index answers_at on jobledger.answers using brin (at);

create function jobledger.answers_put(
  p_base bigint, p_at timestamptz, p_request int[], p_event int[],
  p_key bytea[], p_fingerprint bytea[], p_events int[], p_body text[]
) returns void language plpgsql volatile as $f$
declare
  v_rows int;
  v_taken jsonb;
begin
  insert into jobledger.answers (key, fingerprint, position, events, body, at)
    select r.key, r.fingerprint, p_base + r.event, r.events, r.body, p_at
    from unnest(p_event, p_key, p_fingerprint, p_events, p_body) as r(event, key, fingerprint, events, body)
    on conflict do nothing;
  get diagnostics v_rows = row_count;
  if v_rows < cardinality(p_key) then
    select jsonb_agg(r.request) into v_taken from unnest(p_request, p_key) as r(request, key)
      where exists (select from jobledger.answers a where a.key = r.key and a.xmin <> pg_current_xact_id()::xid);
    raise exception using errcode = 'JL001', message = 'answers', detail = v_taken::text;
  end if;
end $f$;

-- What the installation keeps for itself: the secret of lease tokens when none is configured.
create table jobledger.settings (
  name text primary key,
  value text not null
);

-- Lines that workers write about a job. They never touch state, and are no history of it.
create table jobledger.job_logs (
  line bigint generated always as identity primary key,
  job_id uuid not null,
  run int,
  attempt int,
  worker_id text,
  -- When the ledger took the line.
  at timestamptz not null,
  -- What the worker's clock said; data, never used for a decision.
  worker_at timestamptz,
  level text not null,
  message text not null,
  fields json
);

create index job_logs_job on jobledger.job_logs (job_id, line);
