/**
 * A process is frozen in the middle of a sweep or of a claim, between what it read and what it writes, or between what it
 * wrote and what it is told; another one acts on the same job meanwhile. Nobody sweeps here but the tests.
 */
import { expect } from '@jest/globals';
import type { ClaimAnswer, LedgerEvent, Page, SweepReport } from '../../src/api/contract.js';
import { useCluster } from '../support/e2e/cluster.js';
import { type Freezing, frozenCall } from '../support/e2e/frozen-call.js';
import type { Answer } from '../support/e2e/recorder.js';
import type { Cluster } from '../support/e2e/running-cluster.js';
import { waitFor } from '../support/e2e/wait.js';
import { isElsewhere } from '../support/test-log.js';
import { createJob, hold, Holder, readJob } from '../support/e2e/work.js';

const { scenario } = useCluster({ environment: { JOBLEDGER_RUN: 'api,projections' } });

const FROZEN = 0;
const AWAKE = 1;

const sweep = async (cluster: Cluster, node: number, dryRun = false): Promise<SweepReport> => {
  const lane = cluster.recorder.lane(`operator-${node}`);
  const path = '/v1/admin/reaper/sweep';
  const options = { body: { dryRun }, timeoutMs: 60_000 };
  const { status, body } = await lane.ask<SweepReport>(cluster.node(node), 'POST', path, options);
  expect(status).toBe(200);
  return body;
};

/** Of the process that is awake. */
const claimOf = (cluster: Cluster, node: number, workerId: string, queue: string, leaseMs: number, waitMs = 0) =>
  cluster.recorder.lane(workerId).ask<ClaimAnswer>(cluster.node(node), 'POST', '/v1/claims', {
    body: { workerId, queues: [queue], leaseMs, waitMs },
    timeoutMs: 60_000,
  });

const typesOf = async (cluster: Cluster, jobId: string): Promise<readonly string[]> => {
  const lane = cluster.recorder.lane('reader');
  const { body } = await lane.ask<Page<LedgerEvent>>(cluster.node(AWAKE), 'GET', `/v1/jobs/${jobId}/events?limit=200`);
  return body.items.map(({ type }) => type);
};

/** Everybody asks the process that is awake. */
const stayAwake = ({ recorder }: Cluster): void => {
  for (const name of ['client', 'worker-a', 'worker-b', 'operator', 'reader']) recorder.preferred.set(name, AWAKE);
};

/** A job whose lease has lapsed, unseen by any sweep. */
const lapsed = async (cluster: Cluster, queue: string): Promise<Holder> => {
  const { jobId } = await createJob(cluster, { queue });
  const holder = await hold(cluster, 'worker-a', { queues: [queue], leaseMs: 100 });
  await waitFor('the lease to lapse', async () =>
    (await sweep(cluster, AWAKE, true)).jobs.some((job) => job.jobId === jobId && job.verdict === 'requeued'),
  );
  return holder;
};

/** What worker B has once the job was taken from A. */
const takeOver = async (cluster: Cluster, queue: string): Promise<Holder> => {
  await sweep(cluster, AWAKE);
  const { body } = await claimOf(cluster, AWAKE, 'worker-b', queue, 60_000, 10_000);
  return new Holder(cluster, 'worker-b', body.jobs[0]!);
};

type Between = Pick<Freezing<unknown>, 'lock' | 'statement'>;

/** Before it judges, and with what it judges by read. */
const BEFORE_THE_APPEND: readonly (readonly [string, Between])[] = [
  ['due leases', { lock: { table: 'leases', keeps: 'reads' }, statement: 'order by deadline_at, job_id' }],
  ['their jobs', { lock: { table: 'jobs', keeps: 'reads' }, statement: 'from jobledger.jobs j where j.id = any' }],
];

for (const [read, between] of BEFORE_THE_APPEND) {
  const frozenSweep = (cluster: Cluster, meanwhile: () => Promise<unknown>): Promise<SweepReport> => {
    const node = cluster.node(FROZEN);
    return frozenCall(cluster, { node, ...between, call: () => sweep(cluster, FROZEN), meanwhile });
  };

  scenario(`a sweep that froze having read ${read} reaps nobody who beat meanwhile [R-08]`, async (cluster) => {
    stayAwake(cluster);
    const holder = await lapsed(cluster, `beat ${read}`.replaceAll(' ', '-'));
    const report = await frozenSweep(cluster, () => holder.must('heartbeat', { leaseMs: 60_000 }));
    expect(report).toMatchObject({ requeued: 0, reaped: 0, errors: 0 });
    expect(await readJob(cluster, holder.jobId)).toMatchObject({ status: 'running', attempt: 1, lostLeases: 0 });
    await holder.must('complete');
  });

  scenario(
    `a sweep that froze having read ${read} ends no run that was completed meanwhile [R-07]`,
    async (cluster) => {
      stayAwake(cluster);
      const holder = await lapsed(cluster, `done ${read}`.replaceAll(' ', '-'));
      const report = await frozenSweep(cluster, () => holder.must('complete'));
      expect(report).toMatchObject({ requeued: 0, reaped: 0, errors: 0 });
      expect(await typesOf(cluster, holder.jobId)).toEqual([
        ...['JobCreated', 'JobQueued', 'JobClaimed', 'JobStarted', 'JobCompleted'],
      ]);
    },
  );

  scenario(
    `a sweep that froze having read ${read} takes the job from nobody who has it since [R-10]`,
    async (cluster) => {
      stayAwake(cluster);
      const queue = `taken ${read}`.replaceAll(' ', '-');
      const { jobId } = await lapsed(cluster, queue);
      let holder: Holder | undefined;
      const report = await frozenSweep(cluster, async () => {
        holder = await takeOver(cluster, queue);
      });
      expect(report).toMatchObject({ requeued: 0, reaped: 0, errors: 0 });
      expect(await readJob(cluster, jobId)).toMatchObject({ status: 'running', attempt: 2, lostLeases: 1 });
      await holder!.must('complete');
    },
  );
}

/** The last statement of a command: the append itself, or the rows after one to a log elsewhere. */
const WRITTEN: Between = isElsewhere
  ? { lock: { table: 'jobs', keeps: 'writes' }, statement: '_after(' }
  : { lock: { table: 'leases', keeps: 'writes' }, statement: 'jobledger.append(' };

scenario(
  'a sweep that froze once it had written tells what it did, whatever came of the job since',
  async (cluster) => {
    stayAwake(cluster);
    const queue = 'written';
    const { jobId } = await lapsed(cluster, queue);
    const report = await frozenCall(cluster, {
      ...{ node: cluster.node(FROZEN), ...WRITTEN },
      call: () => sweep(cluster, FROZEN),
      meanwhile: async () => {
        const holder = await takeOver(cluster, queue);
        await holder.must('complete');
      },
    });
    expect(report).toMatchObject({ requeued: 1, errors: 0, jobs: [{ jobId, verdict: 'requeued' }] });
    expect(await readJob(cluster, jobId)).toMatchObject({ status: 'completed', attempt: 2, lostLeases: 1 });
  },
);

const SEARCHED: Between = { lock: { table: 'jobs', keeps: 'reads' }, statement: 'jobledger.reserve(' };

const frozenClaim = (
  cluster: Cluster,
  queue: string,
  between: Between,
  meanwhile: () => Promise<unknown>,
): Promise<Answer<ClaimAnswer>> =>
  frozenCall(cluster, {
    ...{ node: cluster.node(FROZEN), ...between, meanwhile },
    call: () => claimOf(cluster, FROZEN, 'worker-a', queue, 100),
  });

scenario(
  'a claim that froze with a candidate in its hands gets none that another one took meanwhile [R-01]',
  async (cluster) => {
    stayAwake(cluster);
    const { jobId } = await createJob(cluster, { queue: 'one' });
    let taken: Answer<ClaimAnswer> | undefined;
    const { status, body } = await frozenClaim(cluster, 'one', SEARCHED, async () => {
      taken = await claimOf(cluster, AWAKE, 'worker-b', 'one', 60_000, 30_000);
    });
    expect([status, body.jobs]).toEqual([200, []]);
    expect(taken!.body.jobs.map(({ job }) => job.id)).toEqual([jobId]);
  },
);

scenario(
  'a claim that froze with a candidate in its hands takes the next, when that one is gone [R-05]',
  async (cluster) => {
    stayAwake(cluster);
    const { jobId: first } = await createJob(cluster, { queue: 'next', priority: 1 });
    const { jobId: second } = await createJob(cluster, { queue: 'next' });
    const { body } = await frozenClaim(cluster, 'next', SEARCHED, () =>
      cluster.recorder.lane('client').insist('POST', `/v1/jobs/${first}/cancel`, { body: {} }),
    );
    expect(body.jobs.map(({ job }) => job.id)).toEqual([second]);
    expect((await readJob(cluster, first)).status).toBe('cancelled');
  },
);

scenario(
  'a claim that froze once it had written hands out a lease that is refused, when it was lost meanwhile [R-09]',
  async (cluster) => {
    stayAwake(cluster);
    const { jobId } = await createJob(cluster, { queue: 'late' });
    let holder: Holder | undefined;
    const { body } = await frozenClaim(cluster, 'late', WRITTEN, async () => {
      await waitFor('the job to be taken from who has not heard of it', async () => {
        await sweep(cluster, AWAKE);
        return (await readJob(cluster, jobId)).status === 'queued';
      });
      holder = await takeOver(cluster, 'late');
    });
    expect(body.jobs.map(({ job, attempt }) => [job.id, attempt])).toEqual([[jobId, 1]]);
    const zombie = new Holder(cluster, 'worker-a', body.jobs[0]!);
    for (const call of ['heartbeat', 'complete'] as const) expect((await zombie.say(call)).status).toBe(409);
    await holder!.must('complete');
  },
);
