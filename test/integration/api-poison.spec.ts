/** Events that cannot be read: one job is held up by one, and everybody is told; nobody else notices. */
/* eslint-disable @typescript-eslint/no-unsafe-return, @typescript-eslint/no-unsafe-argument,
   @typescript-eslint/no-unsafe-call -- a test looks into answers by name. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Caller, startApp, type TestApp } from '../support/app.js';
import { type SseFrame, SseReader } from '../support/sse-reader.js';

let app: TestApp;
let api: Caller;
let owner: pg.Client;

beforeEach(async () => {
  app = await startApp();
  api = new Caller(app.url);
  owner = new pg.Client({ connectionString: app.databaseUrl });
  await owner.connect();
});
afterEach(async () => {
  await owner.end();
  await app.close();
});

/** The log takes no change: for one that an owner of the database made, what keeps it from that is switched off. */
const openLogForChanges = () =>
  owner.query(`alter table jobledger.events disable trigger append_only;
    alter table jobledger.events_0000 disable trigger append_only`);

/** An event that this program never wrote, at the end of a stream, as a newer one or a stranger might. */
const inject = async (
  stream: string,
  type: string,
  over: { version?: number; data?: object } = {},
): Promise<string> => {
  const { version = 1, data = {} } = over;
  const [result] = await app.service.store.append([
    {
      ...{ stream, expected: 'any' },
      events: [{ id: randomUUID(), type, version: Math.max(1, version), data: data as never, metadata: {} }],
    },
  ]);
  if (result?.ok !== true) throw new Error('not appended', { cause: result?.error });
  if (version < 1) {
    // No log takes it: who owns the database may have written it.
    await openLogForChanges();
    await owner.query('update jobledger.events set version = $1 where position = $2', [version, result.last]);
  }
  return result.last;
};

const until = async <T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> => {
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
const ready = async () => (await api.get('/health/ready')).body;
const projection = async (name: string) => (await api.get(`/v1/admin/projections/${name}`)).body;
const maintain = async (path: string, body = {}) => (await api.post(`/v1/admin/projections/${path}`, body)).body;

describe.each([
  ['of a type that nobody knows', 'JobTeleported', 1],
  ['of a version that nobody knows', 'JobStarted', 99],
  ['of a version that never was', 'JobStarted', 0],
])('an event %s', (_, type, version) => {
  it('[Z-05, B-24] parks its job: it is read, not moved, and said; other jobs and projections go on', async () => {
    const { jobId } = await api.create({ queue: 'poisoned' });
    const claimed = await api.claim('poisoned');
    const before = (await api.get(`/v1/jobs/${jobId}`)).body;
    const position = await inject(`job-${jobId}`, type, { version });
    const other = await api.create({ queue: 'sound' });

    expect((await api.get(`/v1/jobs/${jobId}`)).body).toEqual(before);
    expect((await api.get('/v1/jobs?queue=poisoned')).body.items).toEqual([before]);
    expect((await api.get('/v1/jobs?sort=createdAt')).body.items).toMatchObject([{ id: jobId }, { id: other.jobId }]);
    expect((await api.get(`/v1/jobs/${jobId}/events?order=desc&limit=1`)).body.items).toMatchObject([
      { type, version, position },
    ]);
    expect((await api.get(`/v1/jobs/${jobId}?asOf=${position}`)).body).toMatchObject({ id: jobId, status: 'running' });
    const refused = await api.worker(claimed, 'complete', { result: null });
    expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } });

    const parked = await until(
      () => projection('jobs'),
      (found) => found.parkedStreams.length > 0,
    );
    expect(parked.parkedStreams).toMatchObject([
      { stream: `job-${jobId}`, position, error: expect.stringContaining(type) },
    ]);
    expect(
      (
        await until(
          () => projection('counters'),
          (found) => found.parkedStreams.length > 0,
        )
      ).parkedStreams,
    ).toMatchObject([{ stream: `job-${jobId}`, position }]);
    const health = await ready();
    expect([health.status, health.checks.projections]).toEqual([
      'degraded',
      {
        status: 'degraded',
        detail: expect.stringMatching(`skips the stream job-${jobId}: GET /v1/admin/projections/\\w+ says why`),
      },
    ]);
    expect((await api.get('/metrics').catch(() => undefined)) ?? 'text').toBeDefined();

    const taken = await api.claim('sound');
    expect(taken.job.id).toBe(other.jobId);
    expect((await api.worker(taken, 'complete', { result: 1 })).status).toBe(200);
    const { position: last } = (await api.get(`/v1/jobs/${other.jobId}`)).body;
    const counters = await api.get('/v1/counters', { headers: { 'x-min-position': last } });
    expect(counters.body.byQueue.sound).toMatchObject({ completed: 1 });

    // Made anew, the job is what could be read of it, and is still parked.
    expect(await maintain('jobs/rebuild')).toMatchObject({ ok: true });
    expect((await projection('jobs')).parkedStreams).toMatchObject([{ stream: `job-${jobId}`, position }]);
    expect((await api.get(`/v1/jobs/${jobId}`)).body).toEqual(before);
    expect(await maintain('jobs/verify')).toMatchObject({ ok: true, parked: 1 });
  });
});

/** Who owns the database wrote over what stands in the log. */
const writeOver = async (position: string, part: string, text: string): Promise<void> => {
  await openLogForChanges();
  await owner.query(`update jobledger.events set ${part} = $1 where position = $2`, [text, position]);
};

const framesUntilCaughtUp = async (path: string): Promise<readonly SseFrame[]> => {
  const reader = await SseReader.open(`${app.url}${path}`);
  try {
    await reader.until((frames) => frames.some(({ event }) => event === 'caught-up'));
    return reader.frames.filter(({ id }) => id !== null);
  } finally {
    reader.close();
  }
};

describe.each([
  ['data', 'garbage{'],
  ['metadata', 'garbage{'],
  ['data', '[1]'],
  ['metadata', 'null'],
])('an event whose %s is %s, no JSON object', (part, text) => {
  it('parks its job as any other that cannot be read, and is shown as what stands there', async () => {
    const { jobId } = await api.create({ queue: 'poisoned' });
    const before = (await api.get(`/v1/jobs/${jobId}`)).body;
    const claimed = await api.claim('poisoned');
    const other = await api.create({ queue: 'sound' });
    const { items } = (await api.get('/v1/events')).body;
    const at = items.findIndex(({ type }: { type: string }) => type === 'JobClaimed');
    const { position } = items[at];
    await writeOver(position, part, text);

    // Those who read the log read past it.
    const shown = {
      ...{ position, type: 'JobClaimed', jobId },
      ...{ data: { unreadable: `its ${part} is no JSON object`, [part]: text } },
    };
    const known =
      part === 'data' ? { run: 1, to: 'claimed', actor: { type: 'worker', id: 'w1' } } : { run: null, to: null };
    const list = await api.get(`/v1/events?after=${items[at - 1].position}`);
    expect(list.status).toBe(200);
    expect(list.body.items[0]).toMatchObject({ ...shown, ...known });
    expect(list.body.items).toHaveLength(items.length - at);
    const whole = await framesUntilCaughtUp('/v1/streams/events?after=0');
    expect(whole.map(({ id }) => id)).toEqual(items.map((event: { position: string }) => event.position));
    expect(whole[at]?.data).toEqual(list.body.items[0]);
    const history = (await api.get(`/v1/jobs/${jobId}/events`)).body.items;
    expect(history[at]).toEqual(list.body.items[0]);
    const ofJob = await framesUntilCaughtUp(`/v1/jobs/${jobId}/stream?after=0`);
    expect(ofJob.map(({ data }) => data)).toEqual(history);
    const ofJobs = await framesUntilCaughtUp('/v1/streams/jobs?after=0');
    expect(ofJobs.map(({ data }) => (data as { id: string }).id)).toContain(other.jobId);

    expect(await maintain('jobs/rebuild')).toMatchObject({ ok: true, parked: 1 });
    expect((await projection('jobs')).parkedStreams).toMatchObject([
      { stream: `job-${jobId}`, position, error: expect.stringContaining(`its ${part} is no JSON object`) },
    ]);
    expect(await maintain('jobs/verify')).toMatchObject({ ok: true, parked: 1 });
    // Followed before it was written over, it was counted; made anew, it is not.
    expect(await maintain('counters/rebuild')).toMatchObject({ ok: true, parked: 1 });
    expect(await api.post('/v1/admin/log/verify')).toMatchObject({ body: { ok: false, firstBad: position } });

    const read = await api.get(`/v1/jobs/${jobId}`);
    expect(read).toMatchObject({ status: 200, body: { status: 'queued', revision: before.revision } });
    expect((await api.get('/v1/jobs?sort=createdAt')).body.items).toMatchObject([{ id: jobId }, { id: other.jobId }]);
    // Who knew the job before that knows it still.
    const another = await startApp({ databaseUrl: app.databaseUrl });
    const refused = await new Caller(another.url).worker(claimed, 'complete', { result: null });
    await another.close();
    expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect(refused.body.detail).toMatch(
      new RegExp(`^event ${position} of the job cannot be read: its ${part} is no JSON object.*/v1/admin/log/verify`),
    );
    const taken = await api.claim('sound');
    expect((await api.worker(taken, 'complete', { result: 1 })).status).toBe(200);
  });
});

it('a job of which not even the first event can be read is not said to be missing', async () => {
  const { jobId, position } = await api.create({ queue: 'poisoned' });
  const { items } = (await api.get(`/v1/jobs/${jobId}/events`)).body;
  await writeOver(items[0].position, 'data', 'garbage{');
  expect(await maintain('jobs/rebuild')).toMatchObject({ ok: true, parked: 1 });
  const said = { status: 503, body: { detail: expect.stringMatching(/^event 1 of the job cannot be read: its data/) } };
  expect(await api.get(`/v1/jobs/${jobId}`)).toMatchObject(said);
  expect(await api.get(`/v1/jobs/${jobId}?asOf=${position}`)).toMatchObject(said);
  expect(await api.post(`/v1/jobs/${jobId}/cancel`)).toMatchObject(said);
  expect(await api.get('/v1/jobs')).toMatchObject({ status: 200, body: { items: [] } });
});

it('a job whose first event has not the shape of its type stands still alone', async () => {
  const { jobId } = await api.create({ queue: 'poisoned', priority: 5 });
  const other = await api.create({ queue: 'poisoned' });
  const { items } = (await api.get(`/v1/jobs/${jobId}/events`)).body;
  await writeOver(items[0].position, 'data', '{}');
  await app.service.pool.query('delete from jobledger.jobs where id = $1', [jobId]);
  const another = await startApp({ databaseUrl: app.databaseUrl });
  const fresh = new Caller(another.url);
  try {
    const said = { status: 503, body: { detail: expect.stringMatching(/^event 1 of the job cannot be read/) } };
    expect(await fresh.get(`/v1/jobs/${jobId}`)).toMatchObject(said);
    expect(await fresh.post(`/v1/jobs/${jobId}/cancel`)).toMatchObject(said);
    expect((await fresh.claim('poisoned')).job.id).toBe(other.jobId);
  } finally {
    await another.close();
  }
  expect(await maintain('jobs/rebuild')).toMatchObject({ ok: true, parked: 1 });
});

it('a refusal that cannot be read keeps no other from being recorded', async () => {
  const { jobId } = await api.create({ queue: 'poisoned' });
  const claimed = await api.claim('poisoned');
  expect((await api.worker(claimed, 'complete', { result: null })).status).toBe(200);
  expect((await api.post(`/v1/jobs/${jobId}/cancel`)).status).toBe(409);
  const [refusal] = (await api.get(`/v1/jobs/${jobId}/events?order=desc&limit=1`)).body.items;
  expect(refusal.type).toBe('CommandRefused');
  await writeOver(refusal.position, 'data', 'garbage{');
  expect(await api.worker(claimed, 'fail', { code: 'X', message: 'x' })).toMatchObject({ status: 409 });
  expect((await api.get(`/v1/jobs/${jobId}/events?order=desc&limit=2`)).body.items).toMatchObject([
    { type: 'CommandRefused', data: { command: 'fail' } },
    { type: 'CommandRefused', data: { unreadable: 'its data is no JSON object' } },
  ]);
});

it('a queued job whose history cannot be read is passed over: it starves nobody, alone or first of its queue', async () => {
  const { jobId } = await api.create({ queue: 'shared', priority: 9 });
  await inject(`job-${jobId}`, 'JobTeleported');
  expect(await api.post('/v1/claims', { workerId: 'w', queues: ['shared'] })).toMatchObject({
    status: 200,
    body: { jobs: [] },
  });
  // A newer process, which may read it, finds it free.
  expect((await owner.query('select from jobledger.reservations where job_id = $1', [jobId])).rowCount).toBe(0);
  const sound = [await api.create({ queue: 'shared' }), await api.create({ queue: 'shared' })];
  const both = await api.post('/v1/claims', { workerId: 'w', queues: ['shared'], max: 5, waitMs: 5_000 });
  expect(both.body.jobs.map(({ job }: { job: { id: string } }) => job.id)).toEqual(sound.map((made) => made.jobId));
  const later = await api.create({ queue: 'shared' });
  expect((await api.claim('shared', { waitMs: 5_000 })).job.id).toBe(later.jobId);
  expect(
    (
      await until(
        () => projection('jobs'),
        (found) => found.parkedStreams.length > 0,
      )
    ).parked,
  ).toBe(1);
});

it('a verification finds a stream that cannot be read before any command does, and a repair reads it again', async () => {
  const { jobId } = await api.create({ queue: 'poisoned' });
  await inject(`job-${jobId}`, 'JobTeleported');
  expect(await maintain('jobs/verify')).toMatchObject({ ok: true, parked: 1 });
  expect((await projection('jobs')).parkedStreams).toMatchObject([{ stream: `job-${jobId}` }]);
  await until(
    () => projection('counters'),
    (found) => found.parkedStreams.length > 0,
  );

  // As if a program came that can read it: here the event becomes one that this one can.
  const metadata = { command: 'priority', from: 'queued', to: 'queued', run: 1, attempt: 0 };
  await openLogForChanges();
  await owner.query(
    `update jobledger.events set type = 'PriorityChanged', data = '{"priority":9}', metadata = $1 where type = 'JobTeleported'`,
    [JSON.stringify(metadata)],
  );
  expect(await maintain('jobs/verify', { repair: true })).toMatchObject({
    ...{ ok: false, repaired: true, parked: 0 },
    differences: [{ id: jobId, kind: 'differs' }],
  });
  expect(await maintain('counters/rebuild')).toMatchObject({ ok: true });
  expect((await ready()).checks.projections).toEqual({ status: 'ok', detail: null });
  expect((await api.get(`/v1/jobs/${jobId}`)).body).toMatchObject({ priority: 9, revision: 2 });
  expect((await api.claim('poisoned')).job.id).toBe(jobId);
});

it('what cannot be read where a newer jobledger writes is left to it: nothing is parked, and everybody is told', async () => {
  await owner.query('insert into jobledger.formats (format) values (1000)');
  const { jobId } = await api.create({ queue: 'newer' });
  await inject(`job-${jobId}`, 'JobTeleported');
  const refused = await api.post(`/v1/jobs/${jobId}/cancel`);
  expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  expect(refused.body.detail).toMatch(
    /^event \d+ of the job is JobTeleported of version 1, a type that this process does/,
  );
  const waiting = await until(
    () => projection('counters'),
    // It says why before it lets go of the lead.
    ({ lastError, leader }) => lastError !== null && leader === null,
  );
  expect(waiting).toMatchObject({
    ...{ parked: 0, leader: null },
    lastError: expect.stringMatching(
      /^counters waits for a process of the newer jobledger .* \(JobTeleported v1\) cannot be/,
    ),
  });
  const { status, checks } = await ready();
  expect({ status, checks }).toMatchObject({
    status: 'degraded',
    checks: {
      version: { status: 'degraded' },
      projections: { status: 'degraded', detail: `counters: ${waiting.lastError}` },
    },
  });
  // Made anew by this one, it would say less than the newer one has said.
  expect(await maintain('jobs/rebuild')).toMatchObject({ ok: false });
  expect((await projection('jobs')).parked).toBe(0);
  // Jobs that it can read go on.
  const other = await api.create({ queue: 'everybody' });
  const taken = await api.claim('everybody');
  expect(taken.job.id).toBe(other.jobId);
  expect((await api.worker(taken, 'complete', { result: 1 })).status).toBe(200);
});
