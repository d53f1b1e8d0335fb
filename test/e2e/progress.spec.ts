/** Fifty writers count on one job, over two processes, with repeats: nothing is lost, nothing counted twice. */
import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import type { Job, Upkeep } from '../../src/api/contract.js';
import { useCluster } from '../support/e2e/cluster.js';
import { waitFor } from '../support/e2e/wait.js';
import { createJob, hold, type Holder, readJob } from '../support/e2e/work.js';

const { scenario } = useCluster();

const WRITERS = 50;
const BATCHES = 20;
const PER_BATCH = 3;

const shuffled = <Item>(items: readonly Item[]): Item[] =>
  items
    .map((item) => ({ item, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);

/** Sends the batches of one writer, each one to three times, some of them at the same time. */
const write = async (worker: Holder, writer: number): Promise<readonly number[]> => {
  const holder = worker.thread(`${writer}`);
  holder.ask(writer % 2);
  const batches = Array.from({ length: BATCHES }, (_, n) => `writer-${writer}-${n}`);
  const repeats = batches.filter(() => Math.random() < 0.15);
  const statuses: number[] = [];
  const order = shuffled([...batches, ...repeats, ...repeats.filter(() => Math.random() < 0.3)]);
  for (let at = 0; at < order.length; at += 2) {
    const sent = order.slice(at, at + 2).map((batchId) => holder.progress(PER_BATCH, batchId));
    statuses.push(...(await Promise.all(sent)).map(({ status }) => status));
  }
  return statuses;
};

scenario(
  '1,000 reports of 50 writers with repeats, lost answers and a kill are exact, and never fall [R-02] [ACC-4]',
  async (cluster) => {
    const total = WRITERS * BATCHES * PER_BATCH;
    const { jobId } = await createJob(cluster, { queue: 'counted', total });
    const holder = await hold(cluster, 'counter', { queues: ['counted'] });
    const polls: number[] = [];
    const done = new AbortController();
    const failed = cluster.recorder.signal;
    const polling = (async () => {
      while (!done.signal.aborted && !failed.aborted) polls.push((await readJob(cluster, jobId)).progress.processed);
    })();
    const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(holder, writer)));
    for (const share of [0.2, 0.4, 0.6]) {
      await waitFor('more to be counted', () => (polls.at(-1) ?? 0) > share * total);
      cluster.recorder.breakConnections();
    }
    await cluster.node(1).kill();
    await cluster.node(1).start();
    const statuses = await writing;
    done.abort();
    await polling;
    expect(new Set(statuses.flat())).toEqual(new Set([200]));
    expect(polls).toEqual([...polls].sort((a, b) => a - b));
    expect((await readJob(cluster, jobId)).progress).toMatchObject({ processed: total, total, percent: 100 });
    await holder.must('complete');
    const completed = await readJob(cluster, jobId);
    expect(completed.progress.processed).toBe(total);
    const lane = cluster.recorder.lane('operator');
    const rebuild = { body: { waitMs: 60_000 } };
    const rows = cluster.log.place === 'database' ? 'jobs' : 'job_rows';
    const path = `/v1/admin/projections/${rows}/rebuild`;
    const { body } = await lane.ask<Upkeep>(cluster.node(0), 'POST', path, rebuild);
    expect(body).toMatchObject({ state: 'done', ok: true });
    expect(await readJob(cluster, jobId)).toEqual(completed);
  },
);

scenario(
  'the job completes amid its writers: what came before counts, what came after is refused [R-03] [R-16]',
  async (cluster) => {
    const { jobId } = await createJob(cluster, { queue: 'cut', total: WRITERS * BATCHES * PER_BATCH });
    const holder = await hold(cluster, 'cutter', { queues: ['cut'] });
    const writing = Array.from({ length: WRITERS }, (_, writer) => write(holder, writer));
    await waitFor('a third to be counted', async () => {
      const { progress } = await readJob(cluster, jobId);
      return progress.processed > (WRITERS * BATCHES * PER_BATCH) / 3;
    });
    await holder.must('complete');
    const { position, progress } = await readJob(cluster, jobId);
    const statuses = (await Promise.all(writing)).flat();
    expect(new Set(statuses)).toEqual(new Set([200, 409]));
    const after: Job = await readJob(cluster, jobId);
    expect(after).toMatchObject({ status: 'completed', position, progress: { processed: progress.processed } });
  },
);

scenario('stages are counted each on its own [R-02]', async (cluster) => {
  const { jobId } = await createJob(cluster, { queue: 'staged' });
  const holder = await hold(cluster, 'stager', { queues: ['staged'] });
  const batches = Array.from({ length: 100 }, (_, n) => [
    { stage: 'download', batchId: `d${n}`, processed: 3, failed: 1, total: 300 },
    { stage: 'parse', batchId: `p${n}`, processed: 2 },
  ]).flat();
  await Promise.all(
    shuffled([...batches, ...batches.slice(0, 60)]).map((batch, n) => {
      const thread = holder.thread(`${n % 10}`);
      thread.ask(n % 2);
      return thread.must('progress', batch);
    }),
  );
  const { progress } = await readJob(cluster, jobId);
  expect(progress.stages).toEqual({
    download: { total: 300, processed: 300, failed: 100 },
    parse: { total: null, processed: 200, failed: 0 },
  });
  await holder.must('complete');
});

scenario('one create, asked of both processes at once with one key, makes one job [R-19]', async (cluster) => {
  const lane = cluster.recorder.lane('creators');
  const key = randomUUID();
  const body = { type: 'report', queue: 'once', payload: { a: 1, b: 2 } };
  const created = await Promise.all(
    Array.from({ length: 20 }, (_, n) => lane.send(cluster.node(n % 2), 'POST', '/v1/jobs', { key, body })),
  );
  const answers = created.map(({ outcome }) => (outcome?.kind === 'answered' ? outcome : undefined));
  expect(new Set(answers.map((answer) => answer?.status))).toEqual(new Set([201]));
  expect(new Set(answers.map((answer) => (answer?.body as { jobId: string }).jobId)).size).toBe(1);
  const other = await lane.ask(cluster.node(1), 'POST', '/v1/jobs', { key, body: { ...body, payload: null } });
  expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
});
