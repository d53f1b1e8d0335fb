/** Reapers in two processes, against workers that come at the same moment, and against those that live. */
import { expect } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { useCluster } from '../support/e2e/cluster.js';
import { waitFor } from '../support/e2e/wait.js';
import { claim, createJob, createJobs, hold, Holder, readJob } from '../support/e2e/work.js';

const { scenario } = useCluster({ environment: { JOBLEDGER_REAPER_INTERVAL_MS: '100' } });

const CHUNKS = 10;
const PER_CHUNK = 100;
/** Completions of a chunk are spread over this time around the end of its leases, ms. */
const SPREAD = { before: 500, after: 600 };

scenario(
  '1,000 leases lapse as their completions arrive: each run ends once [ACC-2] [R-07] [D-01]',
  async (cluster) => {
    const endings: Promise<unknown>[] = [];
    for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
      const queue = `lapsing-${chunk}`;
      await createJobs(cluster, PER_CHUNK, { queue, policy: { maxLostLeases: 0 } });
      const claimed = await claim(cluster, 'late', { queues: [queue], max: PER_CHUNK, leaseMs: 1_500, waitMs: 10_000 });
      for (const one of claimed) {
        const spread = Math.random() * (SPREAD.before + SPREAD.after) - SPREAD.before;
        const left = Date.parse(one.leaseExpiresAt) + spread - Date.now();
        endings.push(sleep(Math.max(0, left)).then(() => new Holder(cluster, 'late', one).say('complete')));
      }
    }
    expect(endings).toHaveLength(CHUNKS * PER_CHUNK);
    await Promise.all(endings);
    const lane = cluster.recorder.lane('reader');
    const statuses = await waitFor('every run to end', async () => {
      const { body } = await lane.insist<{ total: number; byQueue: Record<string, Record<string, number>> }>(
        'GET',
        '/v1/counters',
      );
      const counts = Object.entries(body.byQueue).flatMap(([queue, by]) => (queue.startsWith('lapsing-') ? [by] : []));
      const sum = (status: string) => counts.reduce((total, by) => total + (by[status] ?? 0), 0);
      const [completed, failed] = [sum('completed'), sum('failed')];
      return completed + failed === CHUNKS * PER_CHUNK && { completed, failed };
    });
    // Else the race was none.
    expect(statuses.completed).toBeGreaterThan(0);
    expect(statuses.failed).toBeGreaterThan(0);
  },
);

scenario(
  'beats arrive as their leases are judged: one that was answered is not followed by a reap [R-08]',
  async (cluster) => {
    let answered = 0;
    for (let round = 0; round < 4; round += 1) {
      const queue = `beating-${round}`;
      await createJobs(cluster, PER_CHUNK, { queue, policy: { maxLostLeases: 0 } });
      const claimed = await claim(cluster, 'beater', {
        queues: [queue],
        max: PER_CHUNK,
        leaseMs: 1_000,
        waitMs: 10_000,
      });
      const ends = claimed.map(async (one) => {
        const holder = new Holder(cluster, 'beater', one);
        await sleep(Math.max(0, Date.parse(one.leaseExpiresAt) + Math.random() * 40 - Date.now()));
        // Bare and without a key: the shortest way of a beat.
        const { status } = await holder.say('heartbeat', { leaseMs: 60_000 }, { key: null });
        if (status === 200) answered += 1;
        if (status === 200) await holder.must('complete');
      });
      await Promise.all(ends);
    }
    expect(answered).toBeGreaterThan(0);
  },
);

scenario(
  'a worker that beats and moves is never reaped, through reconnects and a refused beat [ACC-6] [R-08]',
  async (cluster) => {
    const stallMs = 1_500;
    const policy = { stallMs, timeoutMs: stallMs, leaseMs: 1_500, onStale: 'fail' as const };
    const { jobId } = await createJob(cluster, { queue: 'alive', policy });
    const worker = await hold(cluster, 'steady', { queues: ['alive'] });
    const startedAt = Date.parse((await readJob(cluster, jobId)).startedAt ?? '');
    const lane = cluster.recorder.lane('steady');
    for (let beat = 0; ; beat += 1) {
      await worker.must('heartbeat');
      await worker.must('progress', { batchId: `b${beat}`, processed: 1 });
      if (beat === 5) cluster.recorder.breakConnections();
      if (beat === 8) {
        const forged = { body: { leaseToken: 'forged' } };
        expect((await lane.ask(cluster.node(0), 'POST', `/v1/jobs/${jobId}/heartbeat`, forged)).status).toBe(409);
      }
      const { lastEventAt } = await readJob(cluster, jobId);
      if (beat > 10 && Date.parse(lastEventAt) - startedAt > 3 * stallMs) break;
      await sleep(100);
    }
    await worker.must('complete');
    expect(await readJob(cluster, jobId)).toMatchObject({
      status: 'completed',
      attempt: 1,
      lostLeases: 0,
      failures: [],
    });
  },
);

scenario('a worker that beats and never moves is stalled [ACC-6]', async (cluster) => {
  const policy = { stallMs: 1_000, timeoutMs: 0, leaseMs: 60_000 };
  const { jobId } = await createJob(cluster, { queue: 'idle', policy });
  const worker = await hold(cluster, 'idler', { queues: ['idle'] });
  await waitFor('it to be refused', async () => (await worker.say('heartbeat')).status === 409);
  expect(await readJob(cluster, jobId)).toMatchObject({
    status: 'failed',
    error: { code: 'JobTimeout', message: expect.stringContaining('1000 ms') },
    failures: [{ attempt: 1, code: 'JobTimeout' }],
  });
});

scenario('a lease that is lost again and again ends the run beyond its limit [P-25]', async (cluster) => {
  const { jobId } = await createJob(cluster, { queue: 'cursed', policy: { maxLostLeases: 3 } });
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    const worker = await hold(cluster, `w${attempt}`, { queues: ['cursed'], leaseMs: 100 });
    expect(worker.jobId).toBe(jobId);
  }
  await waitFor('the run to end', async () => (await readJob(cluster, jobId)).status === 'failed');
  expect(await readJob(cluster, jobId)).toMatchObject({ lostLeases: 4, attempt: 4, deadLettered: true });
});
