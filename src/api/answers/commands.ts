/** What commands, claims and heartbeats are answered. */
import { z } from 'zod';
import type * as wire from '../contract.js';
import { count, instant, jobId, jobStatus, json, position } from './fields.js';
import { job } from './job.js';

/** Described beside the answers, since any call may have one. */
const problem = z.any().meta({ $ref: '#/components/schemas/Problem' });

export const commandAnswer = z.object({
  jobId,
  status: jobStatus,
  run: count,
  attempt: count,
  revision: count,
  position,
  events: z.array(z.string()),
}) satisfies z.ZodType<wire.CommandAnswer>;

export const createJobsAnswer = z.object({
  items: z.array(commandAnswer),
}) satisfies z.ZodType<wire.CreateJobsAnswer>;

export const claimedJob = z.object({
  job,
  attempt: count,
  leaseToken: z.string(),
  leaseExpiresAt: instant,
  checkpoint: json,
  credentials: z.array(z.object({ name: z.string(), generation: count })),
}) satisfies z.ZodType<wire.ClaimedJob>;

export const claimAnswer = z.object({
  jobs: z.array(claimedJob),
  blocked: z.array(z.object({ queue: z.string(), reason: z.string(), detail: json })),
}) satisfies z.ZodType<wire.ClaimAnswer>;

export const heartbeatAnswer = z.object({
  leaseExpiresAt: instant,
  directive: z.enum(['continue', 'cancel', 'pause']),
}) satisfies z.ZodType<wire.HeartbeatAnswer>;

export const commandResult = z.object({
  status: count,
  answer: z.union([commandAnswer, heartbeatAnswer]).optional(),
  problem: problem.optional(),
  replayed: z.literal(true).optional(),
}) satisfies z.ZodType<wire.CommandResult>;

export const sendCommandsAnswer = z.object({
  results: z.array(commandResult),
}) satisfies z.ZodType<wire.SendCommandsAnswer>;
