/** The same key again gives the first answer: later, after the job has moved on, and on the other process. */
import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import { useCluster } from '../support/e2e/cluster.js';
import { createJob, hold, type WorkerCall } from '../support/e2e/work.js';

const { scenario } = useCluster({ environment: { JOBLEDGER_RUN: 'api,projections' } });

const CALLS: readonly (readonly [WorkerCall, object])[] = [
  ['heartbeat', {}],
  ['heartbeat', { state: 'reading' }],
  ['heartbeat', { checkpoint: { page: 3 }, leaseMs: 5_000 }],
  ['progress', { batchId: 'b', processed: 1 }],
  ['logs', { lines: [{ level: 'info', message: 'hello' }] }],
  ['complete', { result: 1 }],
];

scenario('every call of a worker, repeated when its job has ended [R-16] [A-20]', async (cluster) => {
  await createJob(cluster, { queue: 'repeated' });
  const worker = await hold(cluster, 'w', { queues: ['repeated'] });
  const first = [];
  for (const [call, body] of CALLS) first.push({ call, body, key: randomUUID() });
  const answers: unknown[] = [];
  for (const { call, body, key } of first) answers.push((await worker.say(call, body, { key })).body);
  for (const node of [0, 1]) {
    worker.ask(node);
    const again = await Promise.all(first.map(({ call, body, key }) => worker.say(call, body, { key })));
    expect(again.map(({ body }) => body)).toEqual(answers);
    expect(new Set(again.map(({ headers }) => headers['idempotent-replayed']))).toEqual(new Set(['true']));
  }
});
