/** Bodies of `POST /v1/jobs` and `POST /v1/jobs/batch`. */
import { z } from 'zod';
import {
  body,
  count,
  durationMs,
  exactlyOne,
  expected,
  flag,
  instant,
  issueOf,
  jsonObject,
  jsonValue,
  MAX_VALUE_BYTES,
  name,
  notBuilt,
  oneAtMost,
  orNull,
  tags,
  wholeNumber,
} from './fields.js';
import { exceedsJsonBytes } from '../json-size.js';
import { expandedBytes, grid, largestPayload, MAX_BATCH_JOBS, MAX_EXPANDED_BYTES } from './grid.js';
import { policyField, policyOverrides, preset } from './policy.js';

export const priority = wholeNumber(-1_000, 1_000);

const ITEMS = 'items of a job';
const FAMILIES = 'families of jobs';
const DEDUP = 'deduplication';

const SHAPE = {
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
};

const delayed = oneAtMost(['availableAt', 'delayMs']);

export const createJob = delayed(body(SHAPE)).meta({ id: 'CreateJobRequest' });
export type CreateJobBody = z.output<typeof createJob>;

/** Of a grid: its payload is what each combination is merged into. */
const jobTemplate = delayed(body({ ...SHAPE, payload: jsonObject.default({}) })).meta({ id: 'JobTemplateRequest' });

const BATCH = ['jobs', 'grid'];

export const createJobs = exactlyOne(BATCH)(
  body({
    jobs: orNull(
      z
        .array(createJob, { error: expected(`a list of 1–${MAX_BATCH_JOBS} jobs`) })
        .min(1, { error: 'must have at least 1 job' })
        .max(MAX_BATCH_JOBS, { error: `must have at most ${MAX_BATCH_JOBS} jobs` }),
    ),
    template: orNull(jobTemplate),
    grid: orNull(grid),
  }),
)
  .superRefine(({ template, grid: axes }, context) => {
    if ((template === null) === (axes === null)) return;
    const path = [template === null ? 'template' : 'grid'];
    const message =
      template === null ? 'is required: the job that a grid varies' : 'is required: what the template varies by';
    context.addIssue({ code: 'custom', message, path });
  })
  .superRefine(({ template, grid: axes }, context) => {
    if (template === null || axes === null) return;
    const tooLarge = (message: string): void =>
      context.addIssue({ ...issueOf('payload_too_large', message, undefined), path: ['grid'] });
    const bytes = expandedBytes(template.payload, axes);
    if (bytes > MAX_EXPANDED_BYTES)
      tooLarge(`must make at most ${MAX_EXPANDED_BYTES} bytes of payload in all: it makes ${bytes}`);
    else if (exceedsJsonBytes(largestPayload(template.payload, axes), MAX_VALUE_BYTES))
      tooLarge(`must make payloads of at most ${MAX_VALUE_BYTES} bytes of JSON`);
  })
  .meta({ id: 'CreateJobsRequest' });

export type CreateJobsBody = z.output<typeof createJobs>;
