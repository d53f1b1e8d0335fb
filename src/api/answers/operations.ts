/** What operators look at. */
import { z } from 'zod';
import type * as wire from '../contract.js';
import { count, instant, jobId, position, statusCounts } from './fields.js';

export const counters = z.object({
  position,
  at: instant,
  total: count,
  byStatus: statusCounts,
  byQueue: z.record(z.string(), statusCounts),
  byType: z.record(z.string(), statusCounts),
  events: count,
}) satisfies z.ZodType<wire.Counters>;

export const claimer = z.object({
  workerId: z.string(),
  types: z.array(z.string()).nullable(),
  lastAskedAt: instant,
}) satisfies z.ZodType<wire.Claimer>;

export const queue = z.object({
  name: z.string(),
  paused: z.boolean(),
  depth: count,
  oldestJobId: jobId.nullable(),
  oldestAgeMs: count.nullable(),
  byStatus: statusCounts,
  depthByType: z.record(z.string(), count),
  claimers: z.array(claimer),
  limits: z.object({
    maxRunning: count.nullable(),
    maxRunningPerKey: count.nullable(),
    rate: z.number().nullable(),
  }),
}) satisfies z.ZodType<wire.Queue>;

export const reaperStatus = z.object({
  alive: z.boolean(),
  leader: z.string().nullable(),
  instanceId: z.string(),
  sweeps: count,
  lastSweepAt: instant.nullable(),
  lastError: z.string().nullable(),
  consecutiveErrors: count,
  mostOverdueMs: count,
  overdue: count,
}) satisfies z.ZodType<wire.ReaperStatus>;

const sweptJob = z.object({
  jobId,
  rule: z.string(),
  verdict: z.enum(['failed', 'requeued', 'cancelled', 'moved', 'finalised', 'live', 'raced', 'error']),
}) satisfies z.ZodType<wire.SweptJob>;

export const sweepReport = z.object({
  due: count,
  reaped: count,
  requeued: count,
  cancelled: count,
  moved: count,
  finalised: count,
  skippedLive: count,
  raced: count,
  errors: count,
  mostOverdueMs: count,
  durationMs: count,
  dryRun: z.boolean(),
  jobs: z.array(sweptJob),
}) satisfies z.ZodType<wire.SweepReport>;

const healthStatus = z.enum(['ok', 'degraded', 'unavailable']);

export const ready = z.object({
  status: healthStatus,
  checks: z.record(z.string(), z.object({ status: healthStatus, detail: z.string().nullable() })),
}) satisfies z.ZodType<wire.Ready>;

export const live = z.object({ status: z.literal('ok') });

export const configView = z.object({
  settings: z.array(
    z.object({
      name: z.string(),
      value: z.union([z.string(), z.number(), z.boolean()]).nullable(),
      source: z.enum(['default', 'file', 'env']),
    }),
  ),
}) satisfies z.ZodType<wire.ConfigView>;
