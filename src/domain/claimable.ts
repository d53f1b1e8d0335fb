/** Whether and since when a job can be claimed. */
import { hasTag } from './job-chart.js';
import { toEpochMs, type Instant } from './job-events.js';
import type { Job } from './job.js';

/** Claimable now. */
export const isReady = ({ status }: Pick<Job, 'status'>): boolean =>
  hasTag(status, 'claimable') && !hasTag(status, 'waiting');

/** Claimable when its time has come. */
export const wakes = ({ status }: Pick<Job, 'status'>): boolean =>
  hasTag(status, 'claimable') && hasTag(status, 'waiting');

/** Its place among the claimable ones of its priority; null: it cannot be claimed. Of one that wakes it is when it does. */
export const claimableAt = (job: Job): Instant | null => {
  if (isReady(job)) return job.availableAt ?? job.createdAt;
  return wakes(job) ? job.availableAt : null;
};

/** A job as a search for candidates sees it. */
export interface Claimable {
  readonly id: string;
  readonly queue: string;
  readonly type: string;
  /** `claimableAt`, epoch ms. */
  readonly at: number | null;
}

export const claimableOf = (job: Job): Claimable => {
  const at = claimableAt(job);
  const { queue, type } = job.spec;
  return { id: job.id, queue, type, at: at === null ? null : toEpochMs(at) };
};
