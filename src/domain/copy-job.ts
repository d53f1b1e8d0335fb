/** A job to change. */
import type { Job } from './job.js';

export type ChangingJob = { -readonly [Field in keyof Job]: Job[Field] };

/**
 * Written out: a spread goes member by member through the slow path of the engine once it has met jobs of many shapes,
 * and a replay copies a job an event. All copies have one shape.
 */
export const copyJob = (job: Job): ChangingJob =>
  ({
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
    holdReason: job.holdReason,
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
    // Whole: an optional member that is forgotten is a type error too.
  }) satisfies Record<keyof Job, unknown> as ChangingJob;
