/** A newer program migrates the database of an older one that runs: what is only added disturbs nobody. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { migrate, migrationFolders } from '../../src/event-store/postgres/migrate.js';
import { openService } from '../../src/service.js';
import { Caller, startApp, type TestApp } from '../support/app.js';
import { options } from '../support/ledger.js';

/** What a release may add: a column in every table, tables, indexes, functions. */
const EXPAND = `
  do $$
  declare t record;
  begin
    for t in select c.oid::regclass as name from pg_class c
      where c.relnamespace = 'jobledger'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    loop
      execute format('alter table %s add column later text', t.name);
    end loop;
  end $$;
  create table jobledger.of_tomorrow (id uuid primary key, at timestamptz not null default clock_timestamp());
  create index of_tomorrow_at on jobledger.of_tomorrow (at);
  create index jobs_later on jobledger.jobs (later) where later is not null;
  create function jobledger.tomorrow(p_id uuid) returns text language sql as $f$ select 'later' $f$;`;

let app: TestApp;
let api: Caller;
let folder: string;
beforeAll(async () => {
  app = await startApp();
  api = new Caller(app.url);
  folder = await mkdtemp(join(tmpdir(), 'jobledger-tomorrow-'));
});
afterAll(async () => {
  await app.close();
  await rm(folder, { recursive: true });
});

/** A whole life, by every kind of statement that a process prepares. */
const live = async (queue: string): Promise<void> => {
  const made = [await api.create({ queue }), await api.create({ queue, delayMs: 3_600_000 })];
  expect((await api.post(`/v1/jobs/${made[1].jobId}/priority`, { priority: 3 })).status).toBe(200);
  const claimed = await api.claim(queue, { waitMs: 5_000 });
  expect(claimed.job.id).toBe(made[0].jobId);
  const batch = { batchId: 'b-1', processed: 2 };
  expect((await api.worker(claimed, 'progress', batch)).body.events).toEqual(['ProgressRecorded']);
  expect((await api.worker(claimed, 'heartbeat')).status).toBe(200);
  expect((await api.worker(claimed, 'heartbeat', { checkpoint: { row: 2 } })).status).toBe(200);
  const headers = { 'idempotency-key': `end-${queue}` };
  for (const _ of [1, 2]) expect((await api.worker(claimed, 'complete', { result: 1 }, { headers })).status).toBe(200);
  expect((await api.post('/v1/admin/reaper/sweep')).status).toBe(200);
  const { items } = (await api.get(`/v1/jobs?queue=${queue}&sort=createdAt`)).body;
  expect(items).toMatchObject([{ status: 'completed', progress: { processed: 2 } }, { status: 'scheduled' }]);
  const counters = await api.get('/v1/counters', { headers: { 'x-min-position': items[0].position } });
  expect(counters.body.byQueue[queue]).toEqual({ completed: 1, scheduled: 1 });
};

it('[UP-03] a process that runs goes on after a migration that only adds; one that starts then is refused by a line', async () => {
  await live('before');
  await writeFile(join(folder, '000900-tomorrow.sql'), EXPAND);
  const migrated = await migrate(app.databaseUrl, [...migrationFolders(), pathToFileURL(`${folder}/`)]);
  expect(migrated).toEqual(['000900-tomorrow']);

  await live('after');
  for (const name of ['jobs', 'counters']) {
    for (const call of ['verify', 'rebuild']) {
      expect((await api.post(`/v1/admin/projections/${name}/${call}`)).body).toMatchObject({ ok: true });
    }
  }
  expect((await api.post('/v1/admin/log/verify')).body).toMatchObject({ ok: true });
  await live('rebuilt');
  expect((await api.get('/health/ready')).body.checks.projections).toEqual({ status: 'ok', detail: null });

  await expect(openService(options(app.databaseUrl))).rejects.toThrow(
    /^database of a newer schema: it has migration 000900-tomorrow, this program knows them up to \d{6}$/,
  );
});
