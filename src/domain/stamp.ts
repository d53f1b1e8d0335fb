/**
 * When an event stands is known only once it stands. A state can be folded before, with a mark where the time goes, and
 * stamped afterwards: what it becomes is what a replay of the recorded events makes.
 */
import { copyJob } from './copy-job.js';
import type { Instant } from './job-events.js';
import type { Failure, Job } from './job.js';

/** `job` with `at` wherever it has `mark`; of the events folded with the mark. */
export const stamp = (job: Job, mark: Instant, at: Instant): Job => {
  const time = <Time extends Instant | null>(value: Time): Time => (value === mark ? (at as Time) : value);
  const stamped = copyJob(job);
  stamped.statusSince = time(job.statusSince);
  stamped.createdAt = time(job.createdAt);
  stamped.queuedAt = time(job.queuedAt);
  stamped.firstStartedAt = time(job.firstStartedAt);
  stamped.startedAt = time(job.startedAt);
  stamped.finishedAt = time(job.finishedAt);
  if (job.lease?.claimedAt === mark) stamped.lease = { ...job.lease, claimedAt: at };
  if (job.workerState?.since === mark) stamped.workerState = { ...job.workerState, since: at };
  if (job.waiting?.since === mark) stamped.waiting = { ...job.waiting, since: at };
  if (job.cancel?.requestedAt === mark) stamped.cancel = { ...job.cancel, requestedAt: at };
  if (job.failures.at(-1)?.at === mark)
    stamped.failures = job.failures.map((failure) => stampFailure(failure, mark, at));
  return stamped;
};

const stampFailure = (failure: Failure, mark: Instant, at: Instant): Failure =>
  failure.at === mark ? { ...failure, at } : failure;
