/** Processes are killed under load: what was answered is kept, what was not happened once or not at all. */
import { expect } from '@jest/globals';
import { useCluster } from '../support/e2e/cluster.js';
import { Load } from '../support/e2e/load.js';
import { waitFor } from '../support/e2e/wait.js';
import { createJobs, readJob } from '../support/e2e/work.js';

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
  await Promise.all(cluster.nodes.map((node) => node.kill()));
  await Promise.all(cluster.nodes.map((node) => node.start()));
  for (const id of ids) await waitFor('the job', async () => (await readJob(cluster, id)).status === 'queued');
});
