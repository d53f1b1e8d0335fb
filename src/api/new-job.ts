import { toInstant } from '../domain/job-events.js';
import type { NewJob } from '../commands/bus-commands.js';
import type { CreateJobBody } from './requests/create.js';

/**
 * What a creator said, as the domain has it.
 * @param now epoch ms, from which a delay counts.
 * @param correlationId of the request: for a job that names none.
 * @param createdBy id of the API key, or `anonymous`.
 */
export const newJob = (body: CreateJobBody, now: number, correlationId: string, createdBy: string): NewJob => {
  const { reason, delayMs, availableAt, correlationId: own, ...spec } = body;
  return {
    reason,
    // In the order in which the log keeps them, which spares every job a copy.
    spec: {
      autostart: spec.autostart,
      availableAt: delayMs === null ? availableAt : toInstant(now + delayMs),
      correlationId: own ?? correlationId,
      createdBy,
      maxAttempts: spec.maxAttempts,
      payload: spec.payload,
      policy: spec.policy,
      preset: spec.preset,
      priority: spec.priority,
      queue: spec.queue,
      tags: spec.tags,
      total: spec.total,
      type: spec.type,
    },
  };
};
