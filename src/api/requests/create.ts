/** Bodies of `POST /v1/jobs` and `POST /v1/jobs/batch`. */
import { z } from 'zod';
import {
  body,
  count,
  durationMs,
  expected,
  flag,
  instant,
  jsonValue,
  name,
  notBuilt,
  oneAtMost,
  orNull,
  reason,
  tags,
  wholeNumber,
} from './fields.js';
import { policyField, policyOverrides, preset } from './policy.js';

export const MAX_BATCH_JOBS = 1_000;

export const priority = wholeNumber(-1_000, 1_000);

const ITEMS = 'items of a job';
const FAMILIES = 'families of jobs';
const DEDUP = 'deduplication';

export const createJob = oneAtMost(['availableAt', 'delayMs'])(
  body({
    type: name,
    queue: name.default('default'),
    payload: jsonValue.default(null),
    priority: priority.default(0),
    tags: tags.default([]),
    autostart: flag.default(true),
    availableAt: orNull(instant),
    delayMs: orNull(durationMs(0)),
    maxAttempts: orNull(policyField('maxAttempts')),
    total: orNull(count),
    policy: orNull(policyOverrides),
    preset: orNull(preset),
    correlationId: orNull(name),
    items: notBuilt(ITEMS),
    itemCount: notBuilt(ITEMS),
    matrix: notBuilt(ITEMS),
    itemsSealed: notBuilt(ITEMS),
    stages: notBuilt(ITEMS),
    parentId: notBuilt(FAMILIES),
    dependsOn: notBuilt(FAMILIES),
    requires: notBuilt('credentials'),
    dedupKey: notBuilt(DEDUP),
    dedup: notBuilt(DEDUP),
    concurrencyKey: notBuilt('limits of queues'),
    expiresAt: notBuilt('expiry'),
    callback: notBuilt('callbacks'),
  }),
).meta({ id: 'CreateJobRequest' });

export type CreateJobBody = z.output<typeof createJob>;

export const createJobs = z
  .strictObject(
    {
      jobs: z
        .array(createJob, { error: expected(`a list of 1–${MAX_BATCH_JOBS} jobs`) })
        .min(1, { error: 'must have at least 1 job' })
        .max(MAX_BATCH_JOBS, { error: `must have at most ${MAX_BATCH_JOBS} jobs` }),
      template: notBuilt('grids'),
      grid: notBuilt('grids'),
      reason,
    },
    { error: expected('an object') },
  )
  .meta({ id: 'CreateJobsRequest' });

export type CreateJobsBody = z.output<typeof createJobs>;
