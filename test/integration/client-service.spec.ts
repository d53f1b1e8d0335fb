/** The client against the service itself: what one sends the other takes, and the other way round. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JobledgerClient, Worker } from '../../src/client/client.js';
import { startApp, type TestApp } from '../support/app.js';

let app: TestApp;
let client: JobledgerClient;
beforeAll(async () => {
  app = await startApp();
  client = new JobledgerClient({ baseUrl: app.url });
});
afterAll(() => app.close());

describe('the client and the service', () => {
  it('take jobs from creation to their end, with a worker', async () => {
    const failures: unknown[] = [];
    const worker = new Worker({
      client,
      workerId: 'sdk-worker',
      queues: ['sdk'],
      concurrency: 4,
      listeners: { error: (error) => failures.push(error) },
      handler: async (job, context) => {
        const { n } = job.payload as { n: number };
        await context.progress({ processed: 1, total: 2 });
        await context.checkpoint({ n });
        await context.setState('working');
        context.log('info', 'half done', { n });
        await context.progress({ processed: 1 });
        return { double: 2 * n };
      },
    });
    worker.start();
    try {
      const jobs = Array.from({ length: 10 }, (_, n) => ({ type: 't', queue: 'sdk', payload: { n } }));
      const { items } = await client.createJobs({ jobs });
      for (const [n, { jobId }] of items.entries()) {
        const job = await client.getJob(jobId, { waitMs: 30_000 });
        expect(job).toMatchObject({
          status: 'completed',
          result: { double: 2 * n },
          progress: { processed: 2, total: 2, percent: 100 },
        });
        const seen: string[] = [];
        for await (const frame of client.streamJob(jobId, { until: 'terminal' })) {
          if (frame.kind === 'data') seen.push(frame.data.type);
        }
        expect(seen).toEqual([
          ...['JobCreated', 'JobQueued', 'JobClaimed', 'JobStarted', 'ProgressRecorded', 'CheckpointSaved'],
          ...['WorkerStateReported', 'ProgressRecorded', 'JobCompleted'],
        ]);
        expect((await client.jobLogs(jobId)).items).toMatchObject([
          { level: 'info', message: 'half done', fields: { n }, workerId: 'sdk-worker', attempt: 1 },
        ]);
      }
      const { position } = items.at(-1)!;
      expect(await client.counters({ minPosition: position })).toMatchObject({ byQueue: { sdk: {} } });
      expect(failures).toEqual([]);
    } finally {
      await worker.stop();
    }
  });

  it('ask and answer everything else that is built', async () => {
    const { jobId, position } = await client.createJob({
      type: 'asked',
      queue: 'asked',
      tags: ['a'],
      autostart: false,
    });
    await client.start(jobId);
    await client.reschedule(jobId, { delayMs: 60_000 });
    await client.setPriority(jobId, { priority: 3 });
    await client.cancel(jobId, { reason: 'enough' });
    await client.retry(jobId, { payload: 2 });
    const { jobs } = await client.claim({ workerId: 'w', queues: ['asked'], types: ['asked'] });
    const [claimed] = jobs;
    const { leaseToken } = claimed!;
    await client.wait(jobId, { leaseToken, reason: 'approval' });
    const { position: minPosition } = await client.resume(jobId);
    expect((await client.listJobs({ queue: ['asked'], status: ['queued'], tag: ['a'] })).items).toHaveLength(1);
    expect((await client.events({ after: position, types: ['JobCancelled'] })).items[0]).toMatchObject({ jobId });
    expect((await client.jobEvents(jobId, { order: 'desc', limit: 1 })).items[0]?.type).toBe('JobQueued');
    expect((await client.queue('asked', { minPosition })).name).toBe('asked');
    expect((await client.queues()).items.length).toBeGreaterThan(0);
    expect((await client.deadLetters()).items).toEqual([]);
    expect(await client.sweep({ dryRun: true })).toMatchObject({ due: 0, dryRun: true });
    expect(await client.reaper()).toMatchObject({ sweeps: 0 });
    expect(await client.config()).toEqual({ settings: [] });
    expect((await client.ready()).checks).toHaveProperty('database');
    for await (const frame of client.streamJobs({ after: '0', queue: ['asked'] })) {
      if (frame.kind !== 'data') continue;
      expect(frame.data).toMatchObject({ id: jobId, status: 'queued' });
      break;
    }
    for await (const frame of client.streamCounters()) {
      expect(frame).toMatchObject({ kind: 'data', data: { byStatus: {} }, position: null });
      break;
    }
  });
});
