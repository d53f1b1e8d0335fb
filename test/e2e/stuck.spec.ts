/** No state is a place where a job may be forgotten: each is ended, moved on, or told of. */
import { expect } from '@jest/globals';
import type { Job, JobStatus, Page, Ready, ReaperStatus } from '../../src/api/contract.js';
import { isTerminal, JOB_STATUSES } from '../../src/domain/job-chart.js';
import { useCluster } from '../support/e2e/cluster.js';
import type { Cluster } from '../support/e2e/running-cluster.js';
import { waitFor } from '../support/e2e/wait.js';
import { command, createJob, hold, readJob } from '../support/e2e/work.js';

/** One process serves, the other sweeps; the tests start and kill it. */
const { scenario } = useCluster({
  environment: { JOBLEDGER_REAPER_INTERVAL_MS: '500' },
  nodes: [{ JOBLEDGER_RUN: 'api,projections' }, { JOBLEDGER_RUN: 'api,reaper' }],
});

const LIMIT_MS = 300;
/** Every limit that bounds a state, short; no worker, no type that anybody knows. */
const policy = {
  ...{ leaseMs: LIMIT_MS, stallMs: LIMIT_MS, timeoutMs: LIMIT_MS, waitLimitMs: LIMIT_MS, cancelLimitMs: LIMIT_MS },
  maxLostLeases: 0,
};

const made = async (cluster: Cluster, queue: string, over: object = {}): Promise<string> =>
  (await createJob(cluster, { type: 'nobody/knows', queue, policy, ...over })).jobId;

/** How a job gets into a state and is left there. States that nothing of this version leads to have none. */
const WAYS: Partial<Record<JobStatus, (cluster: Cluster, queue: string) => Promise<string>>> = {
  created: (cluster, queue) => made(cluster, queue, { autostart: false }),
  scheduled: (cluster, queue) => made(cluster, queue, { delayMs: LIMIT_MS }),
  queued: (cluster, queue) => made(cluster, queue),
  claimed: async (cluster, queue) => {
    await made(cluster, queue);
    return (await hold(cluster, 'leaver', { queues: [queue], start: false })).jobId;
  },
  running: async (cluster, queue) => {
    await made(cluster, queue);
    return (await hold(cluster, 'leaver', { queues: [queue] })).jobId;
  },
  waiting: async (cluster, queue) => {
    await made(cluster, queue);
    const holder = await hold(cluster, 'leaver', { queues: [queue], leaseMs: 60_000 });
    await holder.must('wait', { reason: 'approval' });
    return holder.jobId;
  },
  cancelling: async (cluster, queue) => {
    await made(cluster, queue);
    const holder = await hold(cluster, 'leaver', { queues: [queue], leaseMs: 60_000 });
    await command(cluster, holder.jobId, 'cancel');
    return holder.jobId;
  },
};

const reaperStatus = async (cluster: Cluster): Promise<ReaperStatus> => {
  const lane = cluster.recorder.lane('operator');
  return (await lane.ask<ReaperStatus>(cluster.node(0), 'GET', '/v1/reaper')).body;
};

const listed = async (cluster: Cluster, query: string): Promise<readonly string[]> => {
  const lane = cluster.recorder.lane('operator');
  const { body } = await lane.ask<Page<Job>>(cluster.node(0), 'GET', `/v1/jobs?limit=200&${query}`);
  return body.items.map(({ id }) => id);
};

/** Where each state is left to when its limit has passed. */
const MOVED_TO: Partial<Record<JobStatus, JobStatus>> = {
  scheduled: 'queued',
  claimed: 'failed',
  running: 'failed',
  waiting: 'failed',
  cancelling: 'cancelled',
};

scenario('a job left in any state that can be reached is ended, moved, or listed as it is [ACC-7]', async (cluster) => {
  const reachable = JOB_STATUSES.filter(
    (status) => !isTerminal(status) && status !== 'blocked' && status !== 'finalizing',
  );
  expect(Object.keys(WAYS).sort()).toEqual([...reachable].sort());
  await cluster.node(1).kill();
  const left = new Map<JobStatus, string>();
  for (const status of reachable) left.set(status, await WAYS[status]!(cluster, `left-${status}`));
  const bounded = reachable.filter((status) => MOVED_TO[status] !== undefined);

  const overdue = await waitFor('all of them to be overdue', async () => {
    const now = await reaperStatus(cluster);
    return now.overdue === bounded.length && !now.alive && now.mostOverdueMs > 2_000 && now;
  });
  await waitFor('the age to grow', async () => (await reaperStatus(cluster)).mostOverdueMs > overdue.mostOverdueMs);
  for (const status of reachable)
    expect(await listed(cluster, `queue=left-${status}&status=${status}`)).toEqual([left.get(status)]);
  const lane = cluster.recorder.lane('operator');
  expect((await lane.ask<Ready>(cluster.node(0), 'GET', '/health/ready')).body).toMatchObject({
    status: 'degraded',
    checks: { reaper: { status: 'degraded' } },
  });
  const { body: metrics } = await lane.ask<string>(cluster.node(0), 'GET', '/metrics');
  expect(Number(/^jobledger_most_overdue_seconds (\S+)$/m.exec(metrics)?.[1])).toBeGreaterThan(2);

  await cluster.node(1).start();
  for (const status of bounded) {
    await waitFor(
      `${status} to be left`,
      async () => (await readJob(cluster, left.get(status)!)).status === MOVED_TO[status],
    );
  }
  const { overdue: rest } = await reaperStatus(cluster);
  expect(rest).toBe(0);
  for (const status of ['created', 'queued'] as const) {
    expect(await readJob(cluster, left.get(status)!)).toMatchObject({ status, deadline: null });
  }
});
