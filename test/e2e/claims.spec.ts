/** Many claimers over two processes: each job has one worker, and every job has one. */
import { expect } from '@jest/globals';
import { useCluster } from '../support/e2e/cluster.js';
import { createJobs, drain } from '../support/e2e/work.js';

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
