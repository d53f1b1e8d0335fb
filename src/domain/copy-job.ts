/** A job to change. */
import type { Job } from './job.js';

export type ChangingJob = { -readonly [Field in keyof Job]: Job[Field] };

type OptionalMember = { [Field in keyof Job]-?: object extends Pick<Job, Field> ? Field : never }[keyof Job];
const OPTIONAL = Object.keys({ holdReason: true } satisfies Record<OptionalMember, true>) as OptionalMember[];

/**
 * Written out: a spread goes member by member through the slow path of the engine once it has met jobs of many shapes,
 * and a replay copies a job an event. A member that is forgotten is a type error.
 */
export const copyJob = (job: Job): ChangingJob => {
  const copy: ChangingJob = {
    id: job.id,
    spec: job.spec,
    status: job.status,
    statusSince: job.statusSince,
    priority: job.priority,
    availableAt: job.availableAt,
    run: job.run,
    attempt: job.attempt,
    failedAttempts: job.failedAttempts,
    throttles: job.throttles,
    lostLeases: job.lostLeases,
    lease: job.lease,
    workerState: job.workerState,
    held: job.held,
    waiting: job.waiting,
    cancel: job.cancel,
    checkpointDigest: job.checkpointDigest,
    error: job.error,
    failures: job.failures,
    deadLettered: job.deadLettered,
    endedBy: job.endedBy,
    createdAt: job.createdAt,
    queuedAt: job.queuedAt,
    firstStartedAt: job.firstStartedAt,
    startedAt: job.startedAt,
    finishedAt: job.finishedAt,
    revision: job.revision,
  };
  // Absent, not undefined: so it is in a row that was read.
  for (const name of OPTIONAL) if (job[name] !== undefined) copy[name] = job[name];
  return copy;
};
