/** Processes are killed under load: what was answered is kept, what was not happened once or not at all. */
import { expect } from '@jest/globals';
import { useCluster } from '../support/e2e/cluster.js';
import { Load } from '../support/e2e/load.js';
import { waitFor } from '../support/e2e/wait.js';
import { claim, command, createJobs, drain, Holder, readJob } from '../support/e2e/work.js';
import { WorkerProcess } from '../support/e2e/worker-process.js';

const { scenario } = useCluster({ environment: { JOBLEDGER_REAPER_INTERVAL_MS: '200' } });

const KILLS = 20;

scenario(
  'a process is killed 20 times under load: every answered command is there, once [R-15] [R-16] [C-04] [C-15]',
  async (cluster) => {
    const load = Load.start(cluster, { queue: 'kills', creators: 2, workers: 4 });
    for (let kill = 0; kill < KILLS; kill += 1) {
      const node = cluster.node(kill % 2);
      await load.untilEnded(5);
      await node.kill();
      await node.start();
    }
    await load.untilEnded(5);
    const jobs = await load.finish();
    expect(jobs.filter(({ status }) => status !== 'completed')).toEqual([]);
  },
);

scenario('every process is killed at once, with clients waiting [C-04] [R-15]', async (cluster) => {
  const load = Load.start(cluster, { queue: 'all-killed', creators: 2, workers: 4, meddlers: 2 });
  await load.untilEnded(10);
  await Promise.all(cluster.nodes.map((node) => node.kill()));
  await Promise.all(cluster.nodes.map((node) => node.start()));
  await load.untilEnded(10);
  const jobs = await load.finish();
  expect(jobs.filter(({ status }) => status !== 'completed' && status !== 'cancelled')).toEqual([]);
});

scenario('a process stops on SIGTERM: what is in flight is answered, and it exits 0', async (cluster) => {
  const load = Load.start(cluster, { queue: 'stops', creators: 2, workers: 4 });
  await load.untilEnded(5);
  expect(await cluster.node(0).terminate()).toBe(0);
  await load.untilEnded(5);
  await cluster.node(0).start();
  await load.finish();
});

scenario('jobs that wait are in the database alone: they outlive every process [C-04] [R-14]', async (cluster) => {
  const ids = await createJobs(cluster, 50, { queue: 'patient' });
  const claimed = await claim(cluster, 'throttled', { queues: ['patient'], max: 20 });
  expect(claimed).toHaveLength(20);
  const throttled = claimed.map(({ job }) => job.id);
  await Promise.all(
    claimed.map((one, n) =>
      new Holder(cluster, 'throttled', one).must('throttle', { retryAfterMs: n < 10 ? 100 : 3_600_000 }),
    ),
  );
  await Promise.all(cluster.nodes.map((node) => node.kill()));
  await Promise.all(cluster.nodes.map((node) => node.start()));
  const postponed = throttled.slice(10);
  for (const id of postponed) {
    const { status, waiting, availableAt } = await readJob(cluster, id);
    expect({ status, waiting }).toMatchObject({ status: 'scheduled', waiting: { reason: 'throttled' } });
    expect(waiting?.until).toBe(availableAt);
  }
  const claimable = ids.filter((id) => !postponed.includes(id));
  const found = new Set<string>();
  await waitFor('all that is due to be claimed', async () => {
    for (const { job } of await drain(cluster, 'patient', { queues: ['patient'] })) found.add(job.id);
    return found.size >= claimable.length;
  });
  expect(found).toEqual(new Set(claimable));
  for (const id of postponed) expect((await command(cluster, id, 'reschedule', { delayMs: 0 })).status).toBe(200);
  const rest = await drain(cluster, 'patient', { queues: ['patient'] });
  expect(new Set(rest.map(({ job }) => job.id))).toEqual(new Set(postponed));
});

scenario(
  'a worker process is killed with jobs in its hands: another one completes each, once [C-15]',
  async (cluster) => {
    const { url } = cluster.node(0);
    const ids = await createJobs(cluster, 4, { queue: 'orphans', policy: { leaseMs: 1_000 } });
    const common = { queue: 'orphans', concurrency: 4 };
    const first = new WorkerProcess(url, { ...common, workerId: 'first', hangs: true });
    try {
      await first.holds(ids);
    } finally {
      await first.kill();
    }
    const second = new WorkerProcess(url, { ...common, workerId: 'second', hangs: false });
    try {
      for (const id of ids) {
        await waitFor('the job to be completed', async () => (await readJob(cluster, id)).status === 'completed');
        expect(await readJob(cluster, id)).toMatchObject({ attempt: 2, lostLeases: 1, result: 'by second' });
      }
      await second.holds(ids);
    } finally {
      await second.kill();
    }
  },
);
