/** Bodies of what workers send: claims, and the calls that carry a lease token. */
import { z } from 'zod';
import { policyField } from './policy.js';
import {
  body,
  count,
  durationMs,
  errorCode,
  exactlyOne,
  expected,
  flag,
  freeText,
  instant,
  jsonValue,
  leaseToken,
  name,
  names,
  notBuilt,
  oneOf,
  orNull,
  text,
  wholeNumber,
} from './fields.js';

export const MAX_CLAIMS = 1_000;
export const MAX_LOG_LINES = 1_000;
const MAX_WAIT_MS = 60_000;
const MAX_THROTTLE_MS = 86_400_000;
const MAX_STATE = 40;
/** Names in a claim's filter. */
const MAX_FILTER_NAMES = 1_000;

/** Null filters: any. Null `leaseMs`: the policy's. */
export const claim = body({
  workerId: name,
  queues: orNull(names(MAX_FILTER_NAMES, 1)),
  types: orNull(names(MAX_FILTER_NAMES, 1)),
  max: wholeNumber(1, MAX_CLAIMS).default(1),
  waitMs: durationMs(0, MAX_WAIT_MS).default(0),
  leaseMs: orNull(policyField('leaseMs')),
  start: flag.default(true),
}).meta({ id: 'ClaimRequest' });
export type ClaimBody = z.output<typeof claim>;

/** An absent checkpoint keeps the saved one; null is a checkpoint. */
export const heartbeat = body({
  leaseToken,
  leaseMs: orNull(policyField('leaseMs')),
  checkpoint: jsonValue.optional(),
  state: orNull(text(0, MAX_STATE)),
}).meta({ id: 'HeartbeatRequest' });
export type HeartbeatBody = z.output<typeof heartbeat>;

type Increments = Readonly<Partial<Record<'processed' | 'failed' | 'skipped' | 'current', number | null>>>;

const increments = ({ processed, failed, skipped }: Increments) => [processed, failed, skipped];

const isRequest = ({ value }: { readonly value: unknown }): boolean => typeof value === 'object' && value !== null;

/** `processed` includes the other two, so more of them than of it is a mistake of the worker's. */
export const progress = body({
  leaseToken,
  batchId: name,
  processed: orNull(count),
  failed: orNull(count),
  skipped: orNull(count),
  stage: orNull(name),
  current: orNull(count),
  total: orNull(count),
  message: orNull(freeText),
})
  .refine((call) => call.current == null || increments(call).every((increment) => increment == null), {
    error: 'must have increments (processed, failed, skipped) or current, not both',
    when: isRequest,
  })
  .refine(({ processed, failed, skipped }) => (failed ?? 0) + (skipped ?? 0) <= (processed ?? 0), {
    error: 'must not be less than failed and skipped together, which it includes',
    path: ['processed'],
    when: ({ issues }) => issues.length === 0,
  })
  .transform((call) => ({
    ...call,
    processed: call.processed ?? 0,
    failed: call.failed ?? 0,
    skipped: call.skipped ?? 0,
  }))
  .meta({ id: 'ProgressRequest' });
export type ProgressBody = z.output<typeof progress>;

export const complete = body({ leaseToken, result: jsonValue.default(null) }).meta({ id: 'CompleteRequest' });
export type CompleteBody = z.output<typeof complete>;

export const fail = body({
  leaseToken,
  code: errorCode,
  message: freeText,
  detail: jsonValue.default(null),
  retryable: flag.default(true),
  credential: notBuilt('credentials'),
}).meta({ id: 'FailRequest' });
export type FailBody = z.output<typeof fail>;

export const throttle = exactlyOne(['retryAfterMs', 'baseMs'])(
  body({
    leaseToken,
    retryAfterMs: orNull(durationMs(0, MAX_THROTTLE_MS)),
    baseMs: orNull(durationMs(1, MAX_THROTTLE_MS)),
    resource: notBuilt('resources'),
  }),
).meta({ id: 'ThrottleRequest' });
export type ThrottleBody = z.output<typeof throttle>;

export const wait = z
  .strictObject(
    {
      leaseToken,
      reason: freeText,
      detail: jsonValue.default(null),
      until: orNull(instant),
      credential: notBuilt('credentials'),
    },
    { error: expected('an object') },
  )
  .meta({ id: 'WaitRequest' });
export type WaitBody = z.output<typeof wait>;

export const release = z
  .strictObject({ leaseToken, reason: freeText }, { error: expected('an object') })
  .meta({ id: 'ReleaseRequest' });
export type ReleaseBody = z.output<typeof release>;

const logLine = z.strictObject(
  {
    level: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal'),
    message: freeText,
    fields: jsonValue.default(null),
    at: orNull(instant),
  },
  { error: expected('an object') },
);

export const writeLogs = body({
  leaseToken,
  lines: z
    .array(logLine, { error: expected(`a list of 1–${MAX_LOG_LINES} lines`) })
    .min(1, { error: 'must have at least 1 line' })
    .max(MAX_LOG_LINES, { error: `must have at most ${MAX_LOG_LINES} lines` }),
}).meta({ id: 'WriteLogsRequest' });
export type WriteLogsBody = z.output<typeof writeLogs>;
