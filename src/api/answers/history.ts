/** What happened: events of the log, lines of the workers. */
import { z } from 'zod';
import type * as wire from '../contract.js';
import { count, instant, jobId, jobStatus, json, position } from './fields.js';

export const ledgerEvent = z.object({
  position,
  stream: z.string(),
  revision: count,
  id: z.string().meta({ format: 'uuid' }),
  type: z.string(),
  version: count,
  at: instant,
  jobId: jobId.nullable(),
  run: count.nullable(),
  attempt: count.nullable(),
  from: jobStatus.nullable(),
  to: jobStatus.nullable(),
  data: z.record(z.string(), json),
  actor: z.object({
    type: z.enum(['client', 'worker', 'reaper', 'finaliser', 'operator', 'ledger']),
    id: z.string().nullable(),
  }),
  keyId: z.string().nullable(),
  commandId: z.string().nullable(),
  correlationId: z.string().nullable(),
  causationId: z.string().nullable(),
  traceparent: z.string().nullable(),
  reason: z.string().nullable(),
}) satisfies z.ZodType<wire.LedgerEvent>;

export const logRow = z.object({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']),
  message: z.string(),
  fields: json,
  at: instant,
  workerId: z.string().nullable(),
  attempt: count,
}) satisfies z.ZodType<wire.LogRow>;
