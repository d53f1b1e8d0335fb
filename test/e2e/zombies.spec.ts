/** Workers that come back late. Nobody sweeps here but the tests, so every order of things is theirs. */
import { expect } from '@jest/globals';
import type { ClaimedJob, LedgerEvent, Page, SweepReport } from '../../src/api/contract.js';
import { useCluster } from '../support/e2e/cluster.js';
import type { Cluster } from '../support/e2e/running-cluster.js';
import { waitFor } from '../support/e2e/wait.js';
import {
  claim,
  command,
  createJob,
  createJobs,
  drain,
  hold,
  Holder,
  readJob,
  type WorkerCall,
} from '../support/e2e/work.js';

const { scenario } = useCluster({ environment: { JOBLEDGER_RUN: 'api,projections' } });

const sweep = async (cluster: Cluster, node = 0): Promise<SweepReport> => {
  const lane = cluster.recorder.lane('operator');
  const { status, body } = await lane.ask<SweepReport>(cluster.node(node), 'POST', '/v1/admin/reaper/sweep');
  expect(status).toBe(200);
  return body;
};

/** Sweeps until the job stands there: its deadline has to pass first. */
const sweepUntil = (cluster: Cluster, jobId: string, status: string): Promise<true> =>
  waitFor(`the job to be ${status}`, async () => {
    await sweep(cluster);
    return (await readJob(cluster, jobId)).status === status;
  });

const timeline = async (cluster: Cluster, jobId: string): Promise<readonly LedgerEvent[]> => {
  const lane = cluster.recorder.lane('reader');
  const { body } = await lane.ask<Page<LedgerEvent>>(cluster.node(1), 'GET', `/v1/jobs/${jobId}/events?limit=200`);
  return body.items;
};

const TERMINAL = ['JobCompleted', 'JobFailed', 'JobTimedOut', 'JobCancelled'];
const terminals = (events: readonly LedgerEvent[]) => events.filter(({ type }) => TERMINAL.includes(type));
const refusals = (events: readonly LedgerEvent[]) =>
  events.filter(({ type }) => type === 'CommandRefused').map(({ data }) => data['command']);

/** Everything that a worker may say late. Facts first: they are the ones that no revision guards. */
const LATE: readonly (readonly [WorkerCall, object])[] = [
  ['progress', { batchId: 'late', processed: 100 }],
  ['start', {}],
  ['heartbeat', {}],
  ['heartbeat', { checkpoint: { at: 9 }, state: 'late' }],
  ['complete', { result: 'late' }],
  ['fail', { code: 'Late', message: 'too late' }],
  ['throttle', { retryAfterMs: 100 }],
  ['wait', { reason: 'approval' }],
  ['release', { reason: 'late' }],
];
const LATE_COMMANDS = [...new Set(LATE.map(([call]) => call))].sort();

/** Says all of it to both processes. */
const sayLate = async (zombie: Holder): Promise<readonly (readonly [number, string | undefined])[]> => {
  const said: (readonly [number, string | undefined])[] = [];
  for (const [node, calls] of [LATE, [...LATE].reverse()].entries()) {
    zombie.ask(node);
    for (const [call, body] of calls) {
      const answer = await zombie.say(call, body);
      said.push([answer.status, (answer.body as { code?: string }).code]);
    }
  }
  return said;
};

scenario('a worker that lost its job to another changes nothing with any call [ACC-1] [R-09]', async (cluster) => {
  const { jobId } = await createJob(cluster, { queue: 'zombie' });
  const zombie = await hold(cluster, 'worker-a', { queues: ['zombie'], leaseMs: 100 });
  await zombie.must('progress', { batchId: 'early', processed: 5 });
  await sweepUntil(cluster, jobId, 'queued');
  const holder = await hold(cluster, 'worker-b', { queues: ['zombie'], leaseMs: 60_000 });
  await holder.must('progress', { batchId: 'first', processed: 2 });
  const before = await readJob(cluster, jobId);
  const said = await sayLate(zombie);
  expect(new Set(said.map(String))).toEqual(new Set(['409,stale_lease']));
  expect(await readJob(cluster, jobId)).toEqual({ ...before, lease: expect.anything() });
  await holder.must('complete', { result: 'of b' });
  expect(new Set((await sayLate(zombie)).map(String))).toEqual(new Set(['409,stale_lease']));
  const events = await timeline(cluster, jobId);
  expect(terminals(events)).toMatchObject([
    { type: 'JobCompleted', actor: { id: 'worker-b' }, data: { result: 'of b' } },
  ]);
  expect(refusals(events).sort()).toEqual(LATE_COMMANDS);
  expect(await readJob(cluster, jobId)).toMatchObject({ result: 'of b', progress: { processed: 2 }, attempt: 2 });
});

scenario('a worker that lost its job to nobody yet is refused too, once it was reaped [R-09]', async (cluster) => {
  const { jobId } = await createJob(cluster, { queue: 'reaped' });
  const zombie = await hold(cluster, 'worker-a', { queues: ['reaped'], leaseMs: 100 });
  await sweepUntil(cluster, jobId, 'queued');
  expect(await zombie.say('complete')).toMatchObject({
    status: 409,
    body: { code: 'stale_lease', jobStatus: 'queued' },
  });
  expect((await readJob(cluster, jobId)).status).toBe('queued');
});

scenario('a lease that lapsed, and that nobody ended, still completes: once [ACC-1]', async (cluster) => {
  const { jobId } = await createJob(cluster, { queue: 'lapsed' });
  const late = await hold(cluster, 'worker-a', { queues: ['lapsed'], leaseMs: 100 });
  await waitFor('the lease to lapse', async () => {
    const lane = cluster.recorder.lane('operator');
    const { body } = await lane.ask<SweepReport>(cluster.node(1), 'POST', '/v1/admin/reaper/sweep', {
      body: { dryRun: true },
    });
    return body.jobs.some((job) => job.jobId === jobId && job.verdict === 'requeued');
  });
  const answers = await Promise.all(Array.from({ length: 10 }, () => late.must('complete', { result: 1 })));
  expect(answers.map(({ events }) => events).filter(({ length }) => length > 0)).toEqual([['JobCompleted']]);
});

/** How a job ends, and the call of its worker that did it: said again, that one is in effect already. */
const ENDS: readonly {
  readonly status: string;
  readonly by?: WorkerCall;
  readonly end: (cluster: Cluster, holder: Holder) => Promise<unknown>;
}[] = [
  { status: 'completed', by: 'complete', end: (_, holder) => holder.must('complete') },
  {
    status: 'failed',
    by: 'fail',
    end: (_, holder) => holder.must('fail', { code: 'Broken', message: 'for good', retryable: false }),
  },
  { status: 'cancelled', end: (cluster, { jobId }) => command(cluster, jobId, 'cancel', { force: true }) },
  { status: 'failed', end: (cluster, { jobId }) => sweepUntil(cluster, jobId, 'failed') },
];

scenario(
  'late calls after the end raise no job from the dead, whatever ended it [ACC-5] [R-03] [R-05]',
  async (cluster) => {
    for (const { status, by, end } of ENDS) {
      const policy = { stallMs: 100, timeoutMs: 100 };
      const { jobId } = await createJob(cluster, { queue: 'dead', policy });
      const slow = await hold(cluster, 'slow', { queues: ['dead'] });
      await slow.must('progress', { batchId: 'early', processed: 1 });
      await end(cluster, slow);
      const before = await readJob(cluster, jobId);
      const late = LATE.map(([call]) => (call === by ? '200,' : '409,stale_lease'));
      expect((await sayLate(slow)).map(String)).toEqual([...late, ...late.toReversed()]);
      // Said late, and kept: each kind once.
      expect(refusals(await timeline(cluster, jobId)).sort()).toEqual(LATE_COMMANDS.filter((call) => call !== by));
      await sweep(cluster);
      const { body } = await command(cluster, jobId, 'start');
      expect(body).toMatchObject({ code: 'already_terminal' });
      expect(await readJob(cluster, jobId)).toEqual(before);
      expect(before.status).toBe(status);
      expect(terminals(await timeline(cluster, jobId))).toHaveLength(1);
    }
    expect(await drain(cluster, 'hopeful', { queues: ['dead'] })).toEqual([]);
  },
);

scenario('cancelled jobs starve nobody: the fresh one is in the first claim [R-05]', async (cluster) => {
  const ids = await createJobs(cluster, 20, { queue: 'starved', priority: 10 });
  await Promise.all(ids.map((id) => command(cluster, id, 'cancel')));
  const { jobId } = await createJob(cluster, { queue: 'starved' });
  const claimed = await claim(cluster, 'hungry', { queues: ['starved'] });
  expect(claimed.map(({ job }) => job.id)).toEqual([jobId]);
});

scenario('cancel against complete, asked at once: one of them ends the job [R-06]', async (cluster) => {
  await createJobs(cluster, 100, { queue: 'contested' });
  // A claim brings what it finds. One that is leased to nobody would be waited for in vain.
  const claimed: ClaimedJob[] = [];
  while (claimed.length < 100)
    claimed.push(...(await claim(cluster, 'racer', { queues: ['contested'], max: 100, waitMs: 20_000 })));
  const ends = await Promise.all(
    claimed.map(async (one) => {
      const holder = new Holder(cluster, 'racer', one);
      const [completed, cancelled] = await Promise.all([
        holder.say('complete', { result: 1 }),
        command(cluster, holder.jobId, 'cancel'),
      ]);
      const { status } = await readJob(cluster, holder.jobId);
      // Cancel first: the completion ends the attempt, as cancelled. Completion first: cancel is refused.
      return cancelled.status === 200
        ? [status, completed.body.events]
        : [status, completed.body.events, (cancelled.body as { code?: string }).code];
    }),
  );
  for (const end of ends) {
    expect([
      ['completed', ['JobCompleted'], 'already_terminal'],
      ['cancelled', ['JobCancelled']],
    ]).toContainEqual(end);
  }
});

scenario('the first error is kept beside the later ones [ACC-13]', async (cluster) => {
  const policy = { stallMs: 100, timeoutMs: 100, retry: { initialMs: 100 } };
  const { jobId } = await createJob(cluster, { queue: 'errors', policy });
  await (await hold(cluster, 'w1', { queues: ['errors'] })).must('fail', { code: 'E1', message: 'first' });
  const lost = await hold(cluster, 'w2', { queues: ['errors'], leaseMs: 100 });
  await sweepUntil(cluster, jobId, 'failed');
  await lost.say('fail', { code: 'E2', message: 'after the timeout' });
  expect((await command(cluster, jobId, 'retry')).status).toBe(200);
  const last = await hold(cluster, 'w3', { queues: ['errors'] });
  await last.must('fail', { code: 'E3', message: 'third', retryable: false });
  const { failures, error } = await readJob(cluster, jobId);
  expect(failures.map(({ run, attempt, code }) => [run, attempt, code])).toEqual([
    [1, 1, 'E1'],
    [1, 2, 'JobTimeout'],
    [2, 1, 'E3'],
  ]);
  expect(failures.map(({ at }) => at)).toEqual(failures.map(({ at }) => at).sort());
  expect(error).toMatchObject({ code: 'E3' });
  const refused = (await timeline(cluster, jobId)).find(({ type }) => type === 'CommandRefused');
  expect(refused?.data['error']).toMatchObject({ code: 'E2', message: 'after the timeout' });
});

scenario('two reapers, 50 stale jobs: each is timed out once [P-16] [R-10]', async (cluster) => {
  const policy = { stallMs: 100, timeoutMs: 100 };
  await createJobs(cluster, 50, { queue: 'stale', policy });
  const claimed = await claim(cluster, 'silent', { queues: ['stale'], max: 50 });
  expect(claimed).toHaveLength(50);
  const reports: SweepReport[] = [];
  await waitFor('all to be reaped', async () => {
    reports.push(...(await Promise.all([0, 1, 0, 1].map((node) => sweep(cluster, node)))));
    return (await readJob(cluster, claimed.at(-1)!.job.id)).status === 'failed';
  });
  expect(reports.reduce((sum, { reaped }) => sum + reaped, 0)).toBe(50);
  expect(reports.reduce((sum, { errors }) => sum + errors, 0)).toBe(0);
  for (const { job } of claimed)
    expect(await readJob(cluster, job.id)).toMatchObject({ error: { code: 'JobTimeout' } });
});

scenario('two reapers cost a lost lease once [R-10]', async (cluster) => {
  await createJobs(cluster, 50, { queue: 'lost' });
  const claimed = await claim(cluster, 'gone', { queues: ['lost'], max: 50, leaseMs: 100 });
  expect(claimed).toHaveLength(50);
  await waitFor('all to be queued', async () => {
    await Promise.all([0, 1, 0, 1].map((node) => sweep(cluster, node)));
    const jobs = await Promise.all(claimed.map(({ job }) => readJob(cluster, job.id)));
    return jobs.every(({ status }) => status === 'queued');
  });
  for (const { job } of claimed) expect((await readJob(cluster, job.id)).lostLeases).toBe(1);
});
