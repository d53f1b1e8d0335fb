/** A job, as every answer shows it. */
import { z } from 'zod';
import type * as wire from '../contract.js';
import { count, instant, jobId, jobStatus, json, position, statusCounts } from './fields.js';

const ms = z.int().min(0);

export const policy = z.object({
  leaseMs: ms,
  timeoutMs: ms,
  stallMs: ms,
  onStale: z.enum(['fail', 'requeue', 'cancel']),
  maxLostLeases: count,
  maxAttempts: count,
  retry: z.object({ initialMs: ms, factor: z.number(), maxMs: ms, jitter: z.number() }),
  maxThrottles: count,
  completion: z.object({ minSuccessRatio: z.number(), comparator: z.enum(['>=', '>']) }),
  itemTimeoutMs: ms,
  finalizeLimitMs: ms,
  waitLimitMs: ms,
  cancelLimitMs: ms,
  createdAlertMs: ms,
  queuedAlertMs: ms,
  claimedAlertMs: ms,
  runningAlertMs: ms,
  onChildFailure: z.enum(['fail', 'continue', 'ignore']),
}) satisfies z.ZodType<wire.Policy>;

export const jobError = z.object({
  code: z.string(),
  message: z.string(),
  detail: json,
}) satisfies z.ZodType<wire.JobError>;

export const attemptFailure = z.object({
  run: count,
  attempt: count,
  code: z.string(),
  message: z.string(),
  at: instant,
}) satisfies z.ZodType<wire.AttemptFailure>;

export const lease = z.object({
  workerId: z.string(),
  expiresAt: instant,
  lastBeatAt: instant,
  workerState: z.string().nullable(),
}) satisfies z.ZodType<wire.Lease>;

export const progress = z.object({
  total: count.nullable(),
  processed: count,
  failed: count,
  skipped: count,
  percent: z.number().min(0).max(100).nullable(),
  message: z.string().nullable(),
  stages: z.record(z.string(), z.object({ total: count.nullable(), processed: count, failed: count })),
}) satisfies z.ZodType<wire.Progress>;

const itemCounts = z.object({
  expected: count.nullable(),
  succeeded: count,
  failed: count,
  skipped: count,
  running: count,
  missing: count.nullable(),
}) satisfies z.ZodType<wire.ItemCounts>;

export const waiting = z.object({
  reason: z.string(),
  detail: json,
  since: instant,
  until: instant.nullable(),
}) satisfies z.ZodType<wire.Waiting>;

export const deadline = z.object({ at: instant, rule: z.string() }) satisfies z.ZodType<wire.Deadline>;

export const job = z.object({
  id: jobId,
  type: z.string(),
  queue: z.string(),
  status: jobStatus,
  statusSince: instant,
  priority: z.int(),
  tags: z.array(z.string()),
  payload: json,
  result: json,
  error: jobError.nullable(),
  failures: z.array(attemptFailure),
  run: count,
  attempt: count,
  failedAttempts: count,
  maxAttempts: count,
  throttles: count,
  lostLeases: count,
  lease: lease.nullable(),
  availableAt: instant.nullable(),
  createdAt: instant,
  queuedAt: instant.nullable(),
  firstStartedAt: instant.nullable(),
  startedAt: instant.nullable(),
  finishedAt: instant.nullable(),
  lastEventAt: instant,
  lastActivityAt: instant.nullable(),
  progress,
  items: itemCounts.nullable(),
  parentId: jobId.nullable(),
  children: statusCounts,
  requires: z.array(z.string()),
  waiting: waiting.nullable(),
  directive: z.enum(['cancel', 'pause']).nullable(),
  deadLettered: z.boolean(),
  policy,
  deadline: deadline.nullable(),
  createdBy: z.string(),
  correlationId: z.string().nullable(),
  revision: count,
  position,
}) satisfies z.ZodType<wire.Job>;
