/** What clients and operators are promised of every job, whatever was done to it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ClaimedJob, Job, JobStatus, LedgerEvent, Queue } from '../../src/api/contract.js';
import { isTerminal, JOB_STATUSES } from '../../src/domain/job-chart.js';
import { startApp, type TestApp } from '../support/app.js';
import { LedgerCaller, LONG_LEASE, newQueue } from '../support/ledger-caller.js';

let app: TestApp;
let ledger: LedgerCaller;
beforeAll(async () => {
  app = await startApp({ policy: { retry: { initialMs: 100, factor: 1, maxMs: 100, jitter: 0 } } });
  ledger = new LedgerCaller(app.url);
});
afterAll(() => app.close());

const FOR_GOOD = { code: 'Broken', message: 'for good', retryable: false };

/** How a job gets into a state. Nothing of this version leads to the states that are missing. */
const WAYS: Partial<Record<JobStatus, (queue: string) => Promise<unknown>>> = {
  created: (queue) => ledger.create({ queue, autostart: false }),
  scheduled: (queue) => ledger.create({ queue, delayMs: 3_600_000 }),
  queued: (queue) => ledger.create({ queue }),
  claimed: async (queue) => {
    await ledger.create({ queue });
    return ledger.next(queue, { start: false });
  },
  running: (queue) => held(queue),
  waiting: async (queue) => ledger.must(await held(queue), 'wait', { reason: 'approval' }),
  cancelling: async (queue) => ledger.command((await held(queue)).job.id, 'cancel'),
  completed: async (queue) => ledger.must(await held(queue), 'complete'),
  failed: async (queue) => ledger.must(await held(queue), 'fail', FOR_GOOD),
  cancelled: async (queue) => ledger.command((await ledger.create({ queue })).jobId, 'cancel'),
};
const held = async (queue: string): Promise<ClaimedJob> => {
  await ledger.create({ queue });
  return ledger.next(queue);
};

describe('a claim hands out', () => {
  it('queued jobs and scheduled ones that are due, and none of any other state [A-06]', async () => {
    expect(JOB_STATUSES.filter((status) => WAYS[status] === undefined)).toEqual(['blocked', 'finalizing']);
    const queues = new Map<JobStatus, string>();
    for (const [status, lead] of Object.entries(WAYS) as [JobStatus, (queue: string) => Promise<unknown>][]) {
      const queue = newQueue();
      await lead(queue);
      expect((await ledger.jobs(`queue=${queue}`)).map((job) => job.status)).toEqual([status]);
      queues.set(status, queue);
    }
    const claimed = await ledger.claims('any', { queues: [...queues.values()], max: 100 });
    expect(claimed.map(({ job }) => job.queue)).toEqual([queues.get('queued')]);
    const due = newQueue();
    await ledger.create({ queue: due, delayMs: 100 });
    expect((await ledger.next(due)).job.status).toBe('running');
  });

  it('no job whose work is done: the ones behind it do not starve [A-05]', async () => {
    const queue = newQueue();
    await ledger.post('/v1/jobs/batch', {
      jobs: Array.from({ length: 20 }, () => ({ type: 'done', queue, total: 2, priority: 10 })),
    });
    const done = await ledger.claims('w', { queues: [queue], max: 20, ...LONG_LEASE });
    for (const claimed of done) {
      await ledger.must(claimed, 'progress', { batchId: 'all', processed: 2 });
      await ledger.must(claimed, 'complete');
      await ledger.worker(claimed, 'heartbeat');
    }
    const { jobId } = await ledger.create({ queue, priority: -10 });
    await ledger.sweep();
    const claimed = await ledger.claims('w', { queues: [queue], max: 100 });
    expect(claimed.map(({ job }) => job.id)).toEqual([jobId]);
    expect(await ledger.jobs(`queue=${queue}&status=completed`)).toHaveLength(20);
  });
});

describe('a list', () => {
  it('has the jobs of a state, in whatever case it is written, and of no other [P-08]', async () => {
    const queue = newQueue();
    await ledger.must(await held(queue), 'complete');
    const old = await held(queue);
    await ledger.create({ queue, priority: -1 });
    const young = (await ledger.next(queue)).job;
    await ledger.create({ queue });
    const running = await ledger.jobs(`queue=${queue}&status=Running&sort=statusSince`);
    expect(running.map(({ id }) => id)).toEqual([old.job.id, young.id]);
    expect(running.map(({ finishedAt }) => finishedAt)).toEqual([null, null]);
    const before = await ledger.jobs(`queue=${queue}&status=RUNNING&startedBefore=${running[1]?.startedAt}`);
    expect(before.map(({ id }) => id)).toEqual([old.job.id]);
    const unknown = await ledger.get('/v1/jobs?status=succeeded');
    expect([unknown.status, unknown.body.code]).toEqual([400, 'validation_failed']);
  });
});

describe('a queued job that nobody claims', () => {
  it('is never ended, is seen as the oldest of its queue, and is claimed when a worker comes [B-01]', async () => {
    const queue = newQueue();
    const { jobId, position } = await ledger.create({ queue, policy: { timeoutMs: 100, stallMs: 100, leaseMs: 100 } });
    // A job made later is stale by now: so would this one be.
    const control = await ledger.hold({ policy: { timeoutMs: 100, stallMs: 100 } }, LONG_LEASE);
    await ledger.sweepUntil(control.job.id, 'failed');
    expect(await ledger.job(jobId)).toMatchObject({ status: 'queued', deadline: null, revision: 1 });
    const { body } = await ledger.get(`/v1/queues/${queue}`, { headers: { 'x-min-position': position } });
    const { oldestJobId, oldestAgeMs, depth } = body as Queue;
    expect([oldestJobId, depth]).toEqual([jobId, 1]);
    expect(oldestAgeMs).toBeGreaterThan(100);
    expect((await ledger.jobs('status=queued&sort=statusSince')).map(({ id }) => id)).toContain(jobId);
    expect((await ledger.next(queue)).job.id).toBe(jobId);
  });
});

describe('a key', () => {
  it('makes one job of ten calls at once, over two processes, and of one later [B-23]', async () => {
    const started = await startApp({ databaseUrl: app.databaseUrl });
    try {
      const other = new LedgerCaller(started.url);
      const queue = newQueue();
      const headers = { 'idempotency-key': queue };
      const post = (caller: LedgerCaller) => caller.post('/v1/jobs', { type: 'report', queue }, { headers });
      const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => post(n % 2 === 0 ? ledger : other)));
      answers.push(await post(ledger), await post(other));
      expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
      const first = answers.filter((answer) => answer.headers.get('idempotent-replayed') === null);
      expect(first).toHaveLength(1);
      const jobs = await ledger.jobs(`queue=${queue}`);
      expect(jobs.map(({ id }) => id)).toEqual([answers[0]?.body.jobId]);
      expect((await ledger.claims('w', { queues: [queue], max: 10 })).length).toBe(1);
    } finally {
      await started.close();
    }
  });
});

/** One step of a walk: whether it was accepted does not matter. */
type Step = (walk: { id: string; queue: string; claimed: ClaimedJob | undefined }) => Promise<unknown>;

const says =
  (call: string, body: object = {}): Step =>
  ({ claimed }) =>
    claimed === undefined ? Promise.resolve() : ledger.worker(claimed, call, body);
const asks =
  (name: string, body: object = {}): Step =>
  ({ id }) =>
    ledger.post(`/v1/jobs/${id}/${name}`, body);
const takes =
  (start: boolean): Step =>
  async (walk) => {
    const [claimed] = await ledger.claims('walker', { queues: [walk.queue], start });
    walk.claimed = claimed ?? walk.claimed;
  };

const STEPS: Readonly<Record<string, Step>> = {
  claim: takes(true),
  'claim only': takes(false),
  begin: says('start'),
  beat: says('heartbeat', { state: 'busy', checkpoint: { at: 1 } }),
  progress: says('progress', { batchId: 'b', processed: 1, total: 7 }),
  complete: says('complete', { result: 1 }),
  fail: says('fail', { code: 'E', message: 'again' }),
  'fail for good': says('fail', FOR_GOOD),
  throttle: says('throttle', { retryAfterMs: 100 }),
  wait: says('wait', { reason: 'approval', detail: { by: 'somebody' } }),
  release: says('release', { reason: 'shutdown' }),
  start: asks('start'),
  cancel: asks('cancel', { reason: 'enough' }),
  'force cancel': asks('cancel', { force: true }),
  retry: asks('retry'),
  resume: asks('resume'),
  'make due': asks('reschedule', { delayMs: 0 }),
  delay: asks('reschedule', { delayMs: 60_000 }),
  prefer: asks('priority', { priority: 7 }),
  sweep: () => ledger.sweep(),
};

/** Claims stand for half of the steps: otherwise most walks end where they began. */
const walks = fc.record({
  autostart: fc.boolean(),
  steps: fc.array(
    fc.oneof(fc.constantFrom('claim', 'claim only', 'begin', 'retry'), fc.constantFrom(...Object.keys(STEPS))),
    { minLength: 3, maxLength: 14 },
  ),
});

/** Walks that go where chance seldom leads: through every way back to the queue, and into a second run. */
const LONG_WALKS = [
  ['claim', 'progress', 'beat', 'progress', 'fail', 'make due', 'claim', 'throttle', 'make due', 'claim', 'complete'],
  ['claim', 'progress', 'release', 'claim', 'wait', 'resume', 'claim only', 'begin', 'progress', 'fail for good'],
  ['claim', 'progress', 'cancel', 'progress', 'release', 'retry', 'prefer', 'claim', 'progress', 'force cancel'],
  ['delay', 'make due', 'claim', 'beat', 'progress', 'fail for good', 'retry', 'claim', 'progress', 'complete'],
].map((steps): [{ autostart: boolean; steps: string[] }] => [{ autostart: true, steps }]);

/** The job after each step. */
const walkOf = async ({ autostart, steps }: { autostart: boolean; steps: readonly string[] }) => {
  const queue = newQueue();
  const { jobId: id } = await ledger.create({ queue, autostart, policy: LONG_LEASE });
  const walk = { id, queue, claimed: undefined };
  const seen = [await ledger.job(id)];
  for (const step of steps) {
    await STEPS[step]!(walk);
    seen.push(await ledger.job(id));
  }
  return seen;
};

const isTransition = ({ from, to }: LedgerEvent) => from !== null || to !== null;

describe('whatever is done to a job', () => {
  it('its times tell its state: running has a start, the end has a finish, a wait has its reason [B-03]', async () => {
    await fc.assert(
      fc.asyncProperty(walks, async (walk) => {
        for (const { status, startedAt, finishedAt, lease, waiting, availableAt, error } of await walkOf(walk)) {
          const says = { status, started: startedAt !== null, held: lease !== null, finished: finishedAt !== null };
          const isHeld = status === 'claimed' || status === 'running' || status === 'cancelling';
          expect(says).toEqual({
            ...says,
            ...(status === 'running' ? { started: true } : {}),
            ...(status === 'queued' || status === 'created' || status === 'claimed' ? { started: false } : {}),
            held: isHeld,
            finished: isTerminal(status),
          });
          if (status === 'failed') expect(error?.message).not.toBe('');
          if (status === 'waiting' || status === 'scheduled') expect(waiting?.reason).toBeTruthy();
          if (status === 'scheduled') expect(availableAt).not.toBeNull();
        }
      }),
      { numRuns: 25, examples: LONG_WALKS },
    );
  });

  it('each change of its state is an event, and its events say all that it shows [C-14]', async () => {
    await fc.assert(
      fc.asyncProperty(walks, async (walk) => {
        const seen = await walkOf(walk);
        const events = await ledger.events(seen[0]!.id);
        const transitions = events.filter(isTransition);
        // From one state to the next, with none left out.
        expect(transitions.map(({ from }) => from)).toEqual([null, ...transitions.slice(0, -1).map(({ to }) => to)]);
        for (const job of seen) {
          const known = transitions.filter(({ position }) => BigInt(position) <= BigInt(job.position));
          const last = known.at(-1);
          expect([job.status, job.revision]).toEqual([last?.to, last?.revision]);
          const changed = known.filter(({ from, to }) => from !== to).at(-1);
          expect(job.statusSince).toBe(changed?.at);
          const { body } = await ledger.get(`/v1/jobs/${job.id}?asOf=${job.position}`);
          expect(body).toEqual({ ...job, lease: null, deadline: null } satisfies Job);
        }
      }),
      { numRuns: 25, examples: LONG_WALKS },
    );
  });

  it('is counted by type of event and by state, exactly, and keeps the trace of its caller [C-14]', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { id } = await ledger.hold().then(async (claimed) => {
      const { status } = await ledger.worker(claimed, 'complete', {}, { headers: { traceparent } });
      expect(status).toBe(200);
      return claimed.job;
    });
    expect((await ledger.events(id)).at(-1)).toMatchObject({ type: 'JobCompleted', traceparent });
    const { position } = await ledger.job(id);
    const inLog = new Map<string, number>();
    for (let after = '0'; ;) {
      const { body } = await ledger.get(`/v1/events?limit=200&after=${after}`);
      const items = body.items as LedgerEvent[];
      for (const { type } of items) inLog.set(type, (inLog.get(type) ?? 0) + 1);
      if (items.length === 0) break;
      after = items.at(-1)!.position;
    }
    for (const [type, n] of inLog) {
      expect([type, await ledger.metric(`jobledger_events_total{type="${type}"}`, position)]).toEqual([type, n]);
    }
    const { byStatus, total } = await ledger.counters(position);
    expect(total).toBe(inLog.get('JobCreated'));
    for (const status of JOB_STATUSES) {
      const listed = await ledger.jobs(`status=${status}`);
      expect(listed.length).toBeLessThan(200);
      expect([status, listed.length]).toEqual([status, byStatus[status] ?? 0]);
    }
  });
});
