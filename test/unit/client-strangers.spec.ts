/** Whatever stands in front of a ledger, or instead of it: redirects, and 2xx that are no answers of a ledger. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JobledgerClient, OutcomeUnknownError, UnreachableError } from '../../src/client/client.js';
import { FakeClock } from '../support/fake-clock.js';
import { ScriptedLedger, answer, stream, type Reply } from '../support/scripted-ledger.js';

const CREATE = 'POST /v1/jobs';
const LIST = 'GET /v1/jobs';
const EVENTS = 'GET /v1/streams/events';
const ONE = '0198c0de-0000-7000-8000-000000000001';
const TWO = '0198c0de-0000-7000-8000-000000000002';
const created = { jobId: 'j1', events: ['JobCreated', 'JobQueued'] };
const page = { items: [], nextCursor: null };

let ledger: ScriptedLedger;
let clock: FakeClock;
let client: JobledgerClient;
beforeEach(async () => {
  ledger = await ScriptedLedger.start();
  clock = new FakeClock();
  client = new JobledgerClient({ baseUrl: ledger.url, clock });
});
afterEach(() => ledger.close());

const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => new Error('did not fail'),
    (error: unknown) => error,
  );
/** As a proxy that wants another host name or scheme. */
const redirect =
  (status: number, location?: string): Reply =>
  (response, { path }) => {
    response.writeHead(status, { location: location ?? `${ledger.url}${path}` }).end('<h1>moved</h1>');
  };
const movedTo = (status: number, location: string): string =>
  `HTTP ${status} redirects to ${location}, which is not followed: set the URL of the service itself`;

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])('of a command is not followed, and no success: %d', async (status) => {
    ledger.script(CREATE, redirect(status)).script(LIST, answer(page));
    const error = await failure(client.createJob({ type: 'resize' }, { idempotencyKey: 'k1' }));
    expect(error).toBeInstanceOf(OutcomeUnknownError);
    expect(error).toMatchObject({ idempotencyKey: 'k1' });
    expect((error as Error).message).toContain(movedTo(status, `${ledger.url}/v1/jobs`));
    expect(ledger.calls).toEqual([CREATE]);
  });

  it('of a question is not followed, and says what to do', async () => {
    ledger.script(LIST, redirect(302, '/login')).script('GET /login', answer(page));
    const error = await failure(client.listJobs());
    expect(error).toBeInstanceOf(UnreachableError);
    expect((error as Error).message).toBe(`no answer to GET ${ledger.url}/v1/jobs: ${movedTo(302, '/login')}`);
    expect(ledger.calls).toEqual([LIST]);
  });

  it('of commands that go together is not followed', async () => {
    ledger.script('POST /v1/commands', redirect(308));
    const together = new JobledgerClient({ baseUrl: ledger.url, clock, batch: {} });
    const errors = await Promise.all([failure(together.cancel(ONE)), failure(together.cancel(TWO))]);
    for (const error of errors) expect((error as Error).message).toContain(movedTo(308, `${ledger.url}/v1/commands`));
    expect(ledger.calls).toEqual(['POST /v1/commands']);
  });

  it('of a stream is not followed, and ends it', async () => {
    ledger.script(EVENTS, redirect(302, '/other')).script('GET /other', stream(['id: 1\ndata: {}\n\n'], 'open'));
    const error = await failure(client.streamEvents().next());
    expect(error).toBeInstanceOf(UnreachableError);
    expect((error as Error).message).toBe(`no stream from ${ledger.url}/v1/streams/events: ${movedTo(302, '/other')}`);
    expect(ledger.calls).toEqual([EVENTS]);
  });

  it('where the ledger answered before is an outage: the call is repeated, the stream goes on', async () => {
    ledger.script(CREATE, answer(created, 201), redirect(302, '/maintenance'), answer(created, 201));
    await client.createJob({ type: 'resize' });
    const job = client.createJob({ type: 'resize' });
    await clock.elapse(100);
    expect(await job).toEqual(created);
    const frame = (id: number): string => `id: ${id}\ndata: {}\n\n`;
    ledger.script(EVENTS, stream([frame(1)], 'end'), redirect(302, '/maintenance'), stream([frame(2)], 'open'));
    const causes: unknown[] = [];
    const frames = client.streamEvents({}, { onDisconnect: (cause) => causes.push(cause) });
    await frames.next();
    const next = frames.next();
    for (const ms of [500, 1_000]) await clock.elapse(ms);
    expect((await next).value).toMatchObject({ position: '2' });
    expect(String(causes[1])).toContain(movedTo(302, '/maintenance'));
    await frames.return();
  });
});

describe('a success that is none of a ledger', () => {
  const call = { leaseToken: 't' };
  it.each<[string, string, unknown, string, (ledger: JobledgerClient) => Promise<unknown>]>([
    ['a job', CREATE, {}, 'jobId', (one) => one.createJob({ type: 't' })],
    ['a job, in a list', CREATE, [created], 'jobId', (one) => one.createJob({ type: 't' })],
    ['a job, by null', CREATE, null, 'jobId', (one) => one.createJob({ type: 't' })],
    ['jobs', 'POST /v1/jobs/batch', { jobId: 'j1' }, 'items', (one) => one.createJobs({ jobs: [{ type: 't' }] })],
    ['jobs', 'POST /v1/jobs/batch', { items: [{}] }, 'items[0].jobId', (one) => one.createJobs({ jobs: [] })],
    ['a claim', 'POST /v1/claims', {}, 'jobs', (one) => one.claim({ workerId: 'w' })],
    ['a claim', 'POST /v1/claims', { jobs: [{}] }, 'jobs[0].leaseToken', (one) => one.claim({ workerId: 'w' })],
    ['an end', `POST /v1/jobs/${ONE}/complete`, { ok: true }, 'jobId', (one) => one.complete(ONE, call)],
    ['an act', `POST /v1/admin/jobs/${ONE}/requeue`, {}, 'jobId', (one) => one.requeue(ONE)],
    ['a sweep', 'POST /v1/admin/reaper/sweep', {}, 'jobs', (one) => one.sweep()],
    ['a check', 'POST /v1/admin/log/verify', {}, 'id', (one) => one.verifyLog()],
  ])('is a lost answer: of %s, %s %j', async (_what, path, body, lacking, ask) => {
    ledger.script(path, answer(body));
    const once = new JobledgerClient({ baseUrl: ledger.url, clock, retry: { deadlineMs: 0 } });
    const error = await failure(ask(once));
    expect(error).toBeInstanceOf(OutcomeUnknownError);
    expect((error as Error).message).toContain(`an answer without ${lacking}, so not of the service`);
  });

  it('is repeated, as any lost answer is', async () => {
    ledger.script(CREATE, answer({}), answer(created, 201));
    const job = client.createJob({ type: 'resize' });
    await clock.elapse(100);
    expect(await job).toEqual(created);
    const [first, second] = ledger.requests.map(({ headers }) => headers['idempotency-key']);
    expect(first).toBe(second);
  });

  it('is a lost answer of one command among others', async () => {
    ledger.script('POST /v1/commands', answer({ results: [{ status: 200, answer: { jobId: ONE } }, { status: 200 }] }));
    const together = new JobledgerClient({ baseUrl: ledger.url, clock, batch: {}, retry: { deadlineMs: 0 } });
    const [one, two] = [together.cancel(ONE), failure(together.cancel(TWO))];
    expect(await one).toEqual({ jobId: ONE });
    expect(await two).toBeInstanceOf(OutcomeUnknownError);
  });

  it('is no answer to a question either', async () => {
    ledger.script(LIST, answer({})).script('GET /v1/jobs/j1', answer([])).script('GET /health/ready', answer('up'));
    const once = new JobledgerClient({ baseUrl: ledger.url, clock, retry: { deadlineMs: 0 } });
    for (const ask of [once.listJobs(), once.getJob('j1'), once.ready()]) {
      expect(await failure(ask)).toBeInstanceOf(UnreachableError);
    }
    ledger.script('POST /v1/jobs/j1/heartbeat', answer({}));
    expect(await failure(once.heartbeat('j1', { leaseToken: 't' }))).toBeInstanceOf(UnreachableError);
  });
});
