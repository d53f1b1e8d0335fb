/**
 * Schemas of what the service answers, for its OpenAPI document alone: nothing is validated on its way out. The compiler
 * holds each against the type of the contract, and a test holds real answers against them.
 */
import { z } from 'zod';
import { JOB_STATUSES, type JobStatus } from '../../domain/job-chart.js';

export const count = z.int().min(0);
export const jobStatus = z.enum(JOB_STATUSES as readonly [JobStatus, ...JobStatus[]]);
export const jobId = z.string().meta({ format: 'uuid' });
export const instant = z.string().meta({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' });
export const position = z.string().regex(/^\d+$/).meta({ example: '4711' });
export const json = z.unknown();
export const statusCounts = z.partialRecord(jobStatus, count);

/** A page of a list. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });
