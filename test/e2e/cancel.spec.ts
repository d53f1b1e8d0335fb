/** A cancelled job stays cancelled, whatever its worker does about it. */
import { expect } from '@jest/globals';
import { useCluster } from '../support/e2e/cluster.js';
import { waitFor } from '../support/e2e/wait.js';
import { claim, command, createJob, createJobs, drain, hold, Holder, readJob } from '../support/e2e/work.js';

const { scenario } = useCluster({ environment: { JOBLEDGER_REAPER_INTERVAL_MS: '100' } });

scenario(
  'a worker that ignores it is cut off after the limit, and the job is given to nobody [ACC-10]',
  async (cluster) => {
    const policy = { cancelLimitMs: 1_000, leaseMs: 30_000 };
    const { jobId } = await createJob(cluster, { queue: 'ignored', policy });
    const worker = await hold(cluster, 'stubborn', { queues: ['ignored'] });
    expect((await command(cluster, jobId, 'cancel', { reason: 'changed my mind' })).body.status).toBe('cancelling');
    const directives = new Set<unknown>();
    await waitFor('the cancellation to be forced', async () => {
      const { status, body } = await worker.say('heartbeat');
      if (status === 200) directives.add((body as unknown as { directive: string }).directive);
      await worker.progress(1);
      return (await readJob(cluster, jobId)).status === 'cancelled';
    });
    expect([...directives]).toEqual(['cancel']);
    expect(await worker.say('complete')).toMatchObject({ status: 409, body: { code: 'stale_lease' } });
    expect(await drain(cluster, 'hopeful', { queues: ['ignored'] })).toEqual([]);
    expect(await readJob(cluster, jobId)).toMatchObject({ status: 'cancelled', run: 1, attempt: 1 });
  },
);

scenario(
  'success or failure that is reported after it ends the job as cancelled, never retried [ACC-10]',
  async (cluster) => {
    await createJobs(cluster, 4, { queue: 'after' });
    const claimed = await claim(cluster, 'late', { queues: ['after'], max: 4 });
    const endings = ['complete', 'fail', 'release', 'throttle'] as const;
    const bodies = {
      complete: {},
      fail: { code: 'E', message: 'e' },
      release: { reason: 'r' },
      throttle: { retryAfterMs: 100 },
    };
    for (const [n, ending] of endings.entries()) {
      const holder = new Holder(cluster, 'late', claimed[n]!);
      await command(cluster, holder.jobId, 'cancel');
      expect((await holder.must(ending, bodies[ending])).events).toEqual(['JobCancelled']);
      expect(await readJob(cluster, holder.jobId)).toMatchObject({ status: 'cancelled', availableAt: null });
    }
    expect(await drain(cluster, 'hopeful', { queues: ['after'] })).toEqual([]);
  },
);

scenario('a worker that died with it: the job is cancelled when its lease lapses [ACC-10]', async (cluster) => {
  const { jobId } = await createJob(cluster, { queue: 'died' });
  await hold(cluster, 'dying', { queues: ['died'], leaseMs: 500 });
  await command(cluster, jobId, 'cancel');
  await waitFor('it to be cancelled', async () => (await readJob(cluster, jobId)).status === 'cancelled');
  expect(await drain(cluster, 'restarted', { queues: ['died'] })).toEqual([]);
});

scenario('cancel and start, asked at once of both processes: it ends cancelled [ACC-10]', async (cluster) => {
  const ids = await createJobs(cluster, 50, { queue: 'drafts', autostart: false });
  const claiming = { done: false };
  const workers = ['w1', 'w2'].map(async (workerId) => {
    while (!claiming.done) {
      for (const one of await claim(cluster, workerId, { queues: ['drafts'], waitMs: 100 })) {
        await new Holder(cluster, workerId, one).must('complete').catch(() => undefined);
      }
    }
  });
  await Promise.all(ids.flatMap((id) => [command(cluster, id, 'start'), command(cluster, id, 'cancel')]));
  const jobs = await waitFor('all to end', async () => {
    const now = await Promise.all(ids.map((id) => readJob(cluster, id)));
    return now.every(({ status }) => status === 'cancelled' || status === 'completed') && now;
  });
  claiming.done = true;
  await Promise.all(workers);
  const cancels = cluster.recorder.calls.filter(
    ({ path }) => path.endsWith('/cancel') && ids.some((id) => path.includes(id)),
  );
  const wasRefused = (id: string) =>
    cancels.some(({ path, outcome }) => path.includes(id) && outcome?.kind === 'answered' && outcome.status === 409);
  for (const { id, status } of jobs) expect([id, status]).toEqual([id, wasRefused(id) ? 'completed' : 'cancelled']);
  expect(jobs.filter(({ status }) => status === 'cancelled').length).toBeGreaterThan(0);
});
