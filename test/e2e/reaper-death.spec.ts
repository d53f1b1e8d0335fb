/** The reaper dies, freezes, or loses its database in the middle of a sweep: others say so, and each job is timed out once. */
import { expect } from '@jest/globals';
import type { Job, Page, ReaperStatus } from '../../src/api/contract.js';
import { useStoppableCluster } from '../support/e2e/cluster.js';
import type { Cluster } from '../support/e2e/running-cluster.js';
import { waitFor } from '../support/e2e/wait.js';
import { claim, createJobs } from '../support/e2e/work.js';

const { scenario } = useStoppableCluster({
  environment: { JOBLEDGER_REAPER_INTERVAL_MS: '500' },
  nodes: [{ JOBLEDGER_RUN: 'api,projections' }, { JOBLEDGER_RUN: 'api,reaper' }],
});

const JOBS = 400;
/** What "late" means at this interval: two of them, at least 2 s. */
const LATE_MS = 2_000;

const status = async (cluster: Cluster): Promise<ReaperStatus> => {
  const lane = cluster.recorder.lane('operator');
  return (await lane.insist<ReaperStatus>('GET', '/v1/reaper')).body;
};

/** Of the process that does not sweep: the other may be frozen. */
const statusElsewhere = async (cluster: Cluster): Promise<ReaperStatus> => {
  const lane = cluster.recorder.lane('operator');
  return (await lane.ask<ReaperStatus>(cluster.node(0), 'GET', '/v1/reaper')).body;
};

const failedOf = async (cluster: Cluster, queue: string): Promise<number> => {
  const lane = cluster.recorder.lane('operator');
  const path = `/v1/jobs?limit=200&queue=${queue}&status=failed`;
  let count = 0;
  let cursor: string | null = '';
  while (cursor !== null) {
    const next: string = cursor === '' ? path : `${path}&cursor=${encodeURIComponent(cursor)}`;
    const { body }: { body: Page<Job> } = await lane.ask<Page<Job>>(cluster.node(0), 'GET', next);
    count += body.items.length;
    cursor = body.nextCursor;
  }
  return count;
};

/** Many jobs whose work falls silent at once. */
const fallSilent = async (cluster: Cluster, queue: string): Promise<void> => {
  await createJobs(cluster, JOBS, { queue, policy: { stallMs: 1_000, timeoutMs: 1_000 } });
  expect(await claim(cluster, 'silent', { queues: [queue], max: JOBS, leaseMs: 60_000 })).toHaveLength(JOBS);
};

const sweepHasBegun = (cluster: Cluster, queue: string): Promise<unknown> =>
  waitFor('the sweep to begin', async () => (await failedOf(cluster, queue)) > 0);

/** Another process tells that nobody sweeps, and how late the latest job is, more and more. */
const isTold = async (cluster: Cluster): Promise<void> => {
  const late = await waitFor('the overdue age to be told', async () => {
    const now = await statusElsewhere(cluster);
    return !now.alive && now.mostOverdueMs > LATE_MS && now;
  });
  await waitFor('the age to grow', async () => (await statusElsewhere(cluster)).mostOverdueMs > late.mostOverdueMs);
  const lane = cluster.recorder.lane('operator');
  const ready = await lane.ask<{ status: string }>(cluster.node(0), 'GET', '/health/ready');
  expect(ready).toMatchObject({
    status: 200,
    body: { status: 'degraded', checks: { reaper: { status: 'degraded' } } },
  });
};

/** Once each: that no run ends twice is the judge's to say. */
const allTimedOut = async (cluster: Cluster, queue: string): Promise<void> => {
  await waitFor('every job to time out', async () => (await failedOf(cluster, queue)) === JOBS);
  await waitFor('the reaper to be well', async () => {
    const { alive, overdue } = await status(cluster);
    return alive && overdue === 0;
  });
};

scenario(
  'it is killed: another process tells, and on its return each job is timed out once [ACC-8] [P-14]',
  async (cluster) => {
    await cluster.node(1).kill();
    await fallSilent(cluster, 'killed');
    await isTold(cluster);
    await cluster.node(1).start();
    await allTimedOut(cluster, 'killed');
  },
);

scenario('it is killed in the middle of a sweep [ACC-8] [P-16]', async (cluster) => {
  await fallSilent(cluster, 'mid-sweep');
  await sweepHasBegun(cluster, 'mid-sweep');
  await cluster.node(1).kill();
  await cluster.node(1).start();
  await allTimedOut(cluster, 'mid-sweep');
});

scenario(
  'it is frozen: another process tells, and when it wakes each job is timed out once [ACC-8]',
  async (cluster) => {
    cluster.node(1).signal('SIGSTOP');
    try {
      await fallSilent(cluster, 'frozen');
      await isTold(cluster);
    } finally {
      cluster.node(1).signal('SIGCONT');
    }
    await allTimedOut(cluster, 'frozen');
  },
);

scenario('its database goes away in the middle of a sweep, and comes back [ACC-8] [P-10]', async (cluster) => {
  await fallSilent(cluster, 'no-database');
  await sweepHasBegun(cluster, 'no-database');
  await cluster.database.stop();
  await waitFor('both to be unready', async () => {
    const ready = await Promise.all(cluster.nodes.map((node) => node.ready()));
    return ready.every((code) => code === 503);
  });
  await cluster.database.start();
  await allTimedOut(cluster, 'no-database');
});
