/** A whole request of commands is repeated while the process that took it is killed: each command is done once. */
import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import type { SendCommandsAnswer } from '../../src/api/contract.js';
import { useCluster } from '../support/e2e/cluster.js';
import { waitFor } from '../support/e2e/wait.js';
import { claim, createJobs } from '../support/e2e/work.js';

const { scenario } = useCluster({ environment: { JOBLEDGER_RUN: 'api,projections' } });

const JOBS = 200;

scenario('a request of commands, repeated after its process was killed in the middle of it', async (cluster) => {
  await createJobs(cluster, JOBS, { queue: 'bulk' });
  const held = await claim(cluster, 'w', { queues: ['bulk'], max: JOBS });
  const commands = held.flatMap(({ job, leaseToken }) => [
    { command: 'progress', jobId: job.id, leaseToken, commandId: randomUUID(), batchId: 'a', processed: 1 },
    { command: 'progress', jobId: job.id, leaseToken, commandId: randomUUID(), batchId: 'b', processed: 2 },
    { command: 'complete', jobId: job.id, leaseToken, commandId: randomUUID() },
  ]);
  const send = async (node: number): Promise<SendCommandsAnswer> => {
    const answer = await fetch(`${cluster.node(node).url}/v1/commands`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ commands }),
    });
    return (await answer.json()) as SendCommandsAnswer;
  };
  const first = send(0).catch((error: unknown) => error);
  // Some of it is in the log, not all.
  await waitFor('some of it to be done', async () => {
    const answer = await fetch(`${cluster.node(1).url}/v1/jobs?queue=bulk&status=completed&limit=1`);
    return answer.ok && ((await answer.json()) as { readonly items: readonly unknown[] }).items.length > 0;
  });
  await cluster.node(0).kill();
  await first;
  // Of what the dead process left half done, beside a log elsewhere, 503 is said until somebody has finished it.
  const results = await waitFor('every fate to be known', async () => {
    const { results: found } = await send(1);
    return found.every(({ status }) => status !== 503) && found;
  });
  expect(new Set(results.map(({ status }) => status))).toEqual(new Set([200]));
  expect(results.filter(({ replayed }) => replayed).length).toBeGreaterThan(0);
  for (const { job } of held) {
    const now = (await (await fetch(`${cluster.node(1).url}/v1/jobs/${job.id}`)).json()) as {
      readonly status: string;
      readonly progress: { readonly processed: number };
    };
    expect([now.status, now.progress.processed]).toEqual(['completed', 3]);
  }
  await cluster.node(0).start();
  const again = await send(0);
  expect(again.results).toEqual(results.map((each) => ({ ...each, replayed: true })));
});
