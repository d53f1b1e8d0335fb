import { toEpochMs, type JobEvent } from './job-events.js';

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
