/** A rolling upgrade: two releases on one log, of which the newer writes what the older cannot read. */
/* eslint-disable @typescript-eslint/no-unsafe-return,
   @typescript-eslint/no-unsafe-argument -- a test looks into answers by name. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Caller } from '../support/app.js';
import { buildService } from '../support/e2e/build.js';
import { type ClusterDatabase, sharedServerDatabase } from '../support/e2e/database.js';
import { type ClusterLog, logOfRun } from '../support/e2e/log.js';
import { makeNextRelease, type NextRelease } from '../support/e2e/next-release.js';
import { ServiceProcess } from '../support/e2e/service-process.js';
import { SseReader } from '../support/e2e/sse.js';
import { waitFor } from '../support/e2e/wait.js';
import { isElsewhere } from '../support/test-log.js';

/** Those that can be: a log elsewhere has no digests of rows. */
const VERIFIED = isElsewhere ? ['counters'] : ['jobs', 'counters'];
const PROJECTIONS = [isElsewhere ? 'job_rows' : 'jobs', 'counters'];

let database: ClusterDatabase | undefined;
let log: ClusterLog | undefined;
let next: NextRelease | undefined;
const started: ServiceProcess[] = [];
let old: ServiceProcess;
let young: ServiceProcess;
let rolled: ServiceProcess;

beforeAll(async () => {
  await buildService();
  next = await makeNextRelease();
  database = await sharedServerDatabase();
  log = await logOfRun();
  const settings = {
    ...{ JOBLEDGER_DATABASE_URL: database.url, JOBLEDGER_REAPER_INTERVAL_MS: '500' },
    ...log.environment,
  };
  old = await ServiceProcess.create('old', settings);
  young = await ServiceProcess.create('young', settings, next.main);
  rolled = await ServiceProcess.create('rolled', settings, next.main);
  started.push(old, young, rolled);
  await old.start();
}, 240_000);
afterAll(async () => {
  for (const process of started) await process.kill();
  await database?.remove();
  await log?.remove();
  await next?.remove();
});

const ready = async (api: Caller) => (await api.get('/health/ready')).body;
const counted = async (api: Caller, position: string) =>
  (await api.get('/v1/counters', { headers: { 'x-min-position': position } })).body;

it('[UP-01, UP-02] a newer release beside an older one: each does what it can, and after the roll nothing is left of it', async () => {
  const [before, after] = [new Caller(old.url), new Caller(young.url)];
  // Of the older release alone.
  const known = await before.create({ queue: 'roll' });
  const first = await before.create({ queue: 'roll' });
  expect((await before.post(`/v1/jobs/${first.jobId}/priority`, { priority: 1 })).status).toBe(200);
  await counted(before, (await before.get('/v1/log/head')).body.position);
  expect((await ready(before)).status).toBe('ok');

  await young.start();
  // One that the older process has in its cache, and one that it never saw, whose last event it could read.
  const changed = await after.post(`/v1/jobs/${known.jobId}/priority`, { priority: 9 });
  expect(changed).toMatchObject({ status: 200, body: { events: ['PriorityChanged'] } });
  const unseen = await after.create({ queue: 'unseen' });
  for (const [call, body] of [
    ['priority', { priority: 5 }],
    ['hold', {}],
    ['resume', {}],
  ] as const) {
    expect((await after.post(`/v1/jobs/${unseen.jobId}/${call}`, body)).status).toBe(200);
  }

  // The older one refuses to decide on them, says why, and shows them as they are.
  for (const { jobId } of [known, unseen]) {
    for (const call of ['cancel', 'hold']) {
      const refused = await before.post(`/v1/jobs/${jobId}/${call}`);
      expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } });
      expect(refused.body.detail).toMatch(
        /^event \d+ of the job is PriorityChanged of version 2, this process knows it up to version 1: a newer jobledger wrote it: upgrade/,
      );
      expect(refused.headers.get('retry-after')).toBe('30');
    }
    expect((await before.get(`/v1/jobs/${jobId}`)).body).toEqual((await after.get(`/v1/jobs/${jobId}`)).body);
    const history = (await before.get(`/v1/jobs/${jobId}/events`)).body.items;
    expect(history).toEqual((await after.get(`/v1/jobs/${jobId}/events`)).body.items);
    expect(history).toContainEqual(
      expect.objectContaining({
        type: 'PriorityChanged',
        version: 2,
        data: expect.objectContaining({ level: expect.any(Number) }),
      }),
    );
  }
  // Of the first, both show version 1 as it is stored.
  expect((await after.get(`/v1/jobs/${first.jobId}/events?order=desc&limit=1`)).body.items).toMatchObject([
    { type: 'PriorityChanged', version: 1, data: { priority: 1 } },
  ]);
  const changes = '/v1/events?types=PriorityChanged';
  expect((await before.get(changes)).body.items).toEqual((await after.get(changes)).body.items);
  const stream = await SseReader.open(old, '/v1/streams/events?after=0&types=PriorityChanged');
  const shown = await waitFor('the changes', () => stream.events.length === 3 && stream.events);
  expect(shown).toMatchObject([{ data: { version: 1 } }, { data: { version: 2 } }, { data: { version: 2 } }]);
  stream.close();
  expect((await before.get('/v1/jobs?queue=unseen')).body.items).toMatchObject([{ id: unseen.jobId, priority: 5 }]);

  // Everything else goes on in both: its claims pass over what it cannot read, and hold nothing back from the newer one.
  const taken = await before.claim('roll', { waitMs: 5_000 });
  expect(taken.job.id).toBe(first.jobId);
  const newest = await after.claim('roll', { waitMs: 10_000, leaseMs: 500 });
  expect(newest.job).toMatchObject({ id: known.jobId, priority: 9 });
  expect((await before.worker(taken, 'complete', { result: 1 })).status).toBe(200);

  // Whoever can read the job ends its lost lease, and counts it.
  await waitFor('the lost lease to be taken back', async () => {
    const { status, lostLeases } = (await after.get(`/v1/jobs/${known.jobId}`)).body;
    return status === 'queued' && lostLeases === 1;
  });
  const { position } = (await after.get('/v1/log/head')).body;
  expect((await counted(before, position)).byQueue).toMatchObject({
    roll: { queued: 1, completed: 1 },
    unseen: { queued: 1 },
  });
  // Nothing was skipped, by nobody.
  for (const name of PROJECTIONS) {
    expect((await before.get(`/v1/admin/projections/${name}`)).body).toMatchObject({ parked: 0, lastError: null });
  }
  const { checks } = await ready(before);
  expect(checks.version).toMatchObject({ status: 'degraded', detail: expect.stringContaining('a newer jobledger') });
  expect((await ready(after)).checks.version).toBeUndefined();

  // The roll goes on.
  expect(await old.terminate()).toBe(0);
  await rolled.start();
  const last = new Caller(rolled.url);
  expect((await last.post(`/v1/jobs/${known.jobId}/cancel`)).status).toBe(200);
  expect((await last.get(`/v1/jobs/${first.jobId}`)).body).toMatchObject({ priority: 1, status: 'completed' });
  for (const name of VERIFIED) {
    expect((await last.post(`/v1/admin/projections/${name}/verify`)).body).toMatchObject({ ok: true, parked: 0 });
  }
  if (!isElsewhere) expect((await last.post('/v1/admin/log/verify')).body).toMatchObject({ ok: true });
  await waitFor(
    'both to be well',
    async () => (await ready(after)).status === 'ok' && (await ready(last)).status === 'ok',
  );
}, 180_000);
