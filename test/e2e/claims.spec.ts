/** Many claimers over two processes: each job has one worker, and every job has one. */
import { expect } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { useCluster } from '../support/e2e/cluster.js';
import { waitFor } from '../support/e2e/wait.js';
import { claim, createJob, createJobs, drain, readJob } from '../support/e2e/work.js';

const { scenario } = useCluster();

scenario('200 jobs and 64 claimers over two processes: 200 distinct claims [R-01] [C-03]', async (cluster) => {
  const created = await createJobs(cluster, 200, { queue: 'claims' });
  const claimed = await Promise.all(
    Array.from({ length: 64 }, (_, index) => drain(cluster, `claimer-${index}`, { queues: ['claims'] })),
  );
  const ids = claimed.flat().map(({ job }) => job.id);
  expect(new Set(ids)).toEqual(new Set(created));
  expect(ids).toHaveLength(200);
  expect(new Set(claimed.flat().map(({ attempt }) => attempt))).toEqual(new Set([1]));
});

scenario('64 claimers of up to 100 jobs each: none goes home while jobs are left [R-01]', async (cluster) => {
  const created = await createJobs(cluster, 1_000, { queue: 'many' });
  const claimed = await Promise.all(
    Array.from({ length: 64 }, (_, index) => drain(cluster, `taker-${index}`, { queues: ['many'], max: 100 })),
  );
  expect(
    claimed
      .flat()
      .map(({ job }) => job.id)
      .sort(),
  ).toEqual([...created].sort());
});

const ROUNDS = 5;
const POLLERS = 8;

scenario('every long poll of two processes wakes for a job of its own, whenever that comes [R-13]', async (cluster) => {
  const poll = (workerId: string, queue: string) => claim(cluster, workerId, { queues: [queue], waitMs: 60_000 });
  // Nothing comes for this one: when it has gone home, no other was woken either, but came to its end.
  let isOver = false;
  const idle = poll('idle', 'idle').finally(() => (isOver = true));
  for (let round = 0; round < ROUNDS; round += 1) {
    const queue = `polled-${round}`;
    const waiting = Array.from({ length: POLLERS }, (_, n) => poll(`poller-${n}`, queue));
    // While they look and find nothing, while they fall asleep, while they sleep.
    await sleep(Math.random() * 40);
    const created = await Promise.all(Array.from({ length: POLLERS }, () => createJob(cluster, { queue })));
    const claimed = (await Promise.all(waiting)).flat();
    expect(claimed.map(({ job }) => job.id).sort()).toEqual(created.map(({ jobId }) => jobId).sort());
    expect(isOver).toBe(false);
  }
  await createJob(cluster, { queue: 'idle' });
  expect(await idle).toHaveLength(1);
});

scenario('a claimer that hung up holds nothing', async (cluster) => {
  const lane = cluster.recorder.lane('hasty');
  const asked = cluster.nodes.map((node) =>
    lane.send(node, 'POST', '/v1/claims', { key: null, body: { workerId: 'hasty', queues: ['left'], waitMs: 30_000 } }),
  );
  await waitFor('both to ask', () => cluster.recorder.calls.filter((call) => call.lane === 'hasty').length === 2);
  cluster.recorder.breakConnections();
  for (const { outcome } of await Promise.all(asked)) expect(outcome?.kind).toBe('unknown');
  const { jobId } = await createJob(cluster, { queue: 'left' });
  const [claimed] = await claim(cluster, 'patient', { queues: ['left'], waitMs: 30_000 });
  expect(claimed?.job.id).toBe(jobId);
  expect((await readJob(cluster, jobId)).lease?.workerId).toBe('patient');
});

scenario('the same claim, repeated on the other process, gives the same leases [R-01] [R-16]', async (cluster) => {
  await createJobs(cluster, 10, { queue: 'again' });
  const lane = cluster.recorder.lane('forgetful');
  const options = { key: 'the key of forgetful', body: { workerId: 'forgetful', queues: ['again'], max: 5 } };
  const asked = await Promise.all(
    [0, 1, 0, 1].map((node) => lane.ask(cluster.node(node), 'POST', '/v1/claims', options)),
  );
  expect(new Set(asked.map(({ status }) => status))).toEqual(new Set([200]));
  expect(await drain(cluster, 'other', { queues: ['again'] })).toHaveLength(5);
});
