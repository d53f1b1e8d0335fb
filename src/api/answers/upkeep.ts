/** The head of the log, projections, and runs of upkeep. */
import { z } from 'zod';
import type * as wire from '../contract.js';
import { count, instant, position } from './fields.js';

const hash = z.string().regex(/^[0-9a-f]{64}$/);

export const logHead = z.object({ position, hash, at: instant.nullable() }) satisfies z.ZodType<wire.LogHead>;

export const rowDifference = z.object({
  table: z.string(),
  id: z.string(),
  kind: z.enum(['missing', 'extra', 'differs']),
  fields: z.array(z.string()),
}) satisfies z.ZodType<wire.RowDifference>;

export const upkeep = z.object({
  id: z.string().meta({ format: 'uuid' }),
  kind: z.enum(['rebuild', 'verify', 'verify-log']),
  projection: z.string().nullable(),
  state: z.enum(['running', 'done', 'failed']),
  step: z.string(),
  ok: z.boolean().nullable(),
  reason: z.string().nullable(),
  firstBad: position.nullable(),
  position,
  head: position,
  percent: z.number(),
  events: count,
  eventsPerSecond: z.number().nullable(),
  etaMs: count.nullable(),
  hash: hash.nullable(),
  differing: count.nullable(),
  truncated: z.boolean(),
  differences: z.array(rowDifference),
  repaired: z.boolean(),
  parked: count.nullable(),
  requestedBy: z.string(),
  startedAt: instant,
  finishedAt: instant.nullable(),
}) satisfies z.ZodType<wire.Upkeep>;

export const upkeepList = z.object({ items: z.array(upkeep) });

export const parkedStream = z.object({ stream: z.string(), position, error: z.string(), at: instant });

export const generation = z.object({ state: z.enum(['building', 'retired']), version: count, position });

export const projection = z.object({
  name: z.string(),
  version: count,
  state: z.literal('live'),
  inline: z.boolean(),
  position,
  lagEvents: count,
  lagMs: count,
  leader: z.string().nullable(),
  lastError: z.string().nullable(),
  parked: count,
  parkedStreams: z.array(parkedStream),
  generations: z.array(generation),
  upkeep: upkeep.nullable(),
  digest: hash.nullable(),
}) satisfies z.ZodType<wire.Projection>;

export const projectionList = z.object({ items: z.array(projection) });
