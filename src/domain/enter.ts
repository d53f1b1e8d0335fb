import { toEpochMs, type Instant, type JobEvent, type QueuedReason, type ScheduledReason } from './job-events.js';
import type { Job } from './job.js';

/** The state a job enters when nothing else holds it back: queued, or scheduled when it is not yet its time. */
export const enter = (
  availableAt: string | null,
  now: number,
  queuedReason: 'created' | 'started' | 'resumed' | 'due',
  scheduledReason: 'delay' | 'rescheduled' = 'delay',
): JobEvent =>
  availableAt !== null && toEpochMs(availableAt) > now
    ? { type: 'JobScheduled', data: { availableAt, reason: scheduledReason } }
    : { type: 'JobQueued', data: { reason: queuedReason } };

/** What a hold does to a job that nobody has: it waits until it is resumed. `detail`: why, in words. */
export const paused = (detail: string | null): JobEvent => ({
  type: 'JobWaiting',
  data: { reason: 'paused', detail, until: null },
});

const pausedAsAsked = (job: Job): JobEvent => paused(job.holdReason ?? null);

/** Where an attempt that is over leaves its job, when the run goes on: in its queue, or, held, where nobody gets it. */
export const backToQueue = (job: Job, reason: QueuedReason): JobEvent =>
  job.held ? pausedAsAsked(job) : { type: 'JobQueued', data: { reason } };

/** As `backToQueue`, not before its time, which a hold does not change: who resumes the job earlier schedules it. */
export const backToSchedule = (job: Job, availableAt: Instant, reason: ScheduledReason): readonly JobEvent[] => {
  const scheduled: JobEvent = { type: 'JobScheduled', data: { availableAt, reason } };
  return job.held ? [scheduled, pausedAsAsked(job)] : [scheduled];
};
