/** Bodies of the commands that clients and operators give to a job: `/v1/jobs/{id}/start`, `/cancel` and so on. */
import type { z } from 'zod';
import { priority } from './create.js';
import {
  body,
  durationMs,
  exactlyOne,
  flag,
  instant,
  issueOf,
  jsonValue,
  leaseToken,
  notBuilt,
  orNull,
} from './fields.js';

export const startJob = body({ leaseToken: orNull(leaseToken) }).meta({ id: 'StartJobRequest' });
export type StartJobBody = z.output<typeof startJob>;

const cascade = flag.default(true).superRefine((value, context) => {
  if (!value) context.addIssue(issueOf('not_implemented', 'false is not built yet: families of jobs', value));
});
export const cancelJob = body({ cascade, force: flag.default(false) }).meta({ id: 'CancelJobRequest' });
export type CancelJobBody = z.output<typeof cancelJob>;

/** An absent payload keeps the job's own; null replaces it. */
export const retryJob = body({ payload: jsonValue.optional(), resetItems: notBuilt('items of a job') }).meta({
  id: 'RetryJobRequest',
});
export type RetryJobBody = z.output<typeof retryJob>;

export const holdJob = body({}).meta({ id: 'HoldJobRequest' });
export type HoldJobBody = z.output<typeof holdJob>;

export const resumeJob = body({}).meta({ id: 'ResumeJobRequest' });
export type ResumeJobBody = z.output<typeof resumeJob>;

export const rescheduleJob = exactlyOne(['availableAt', 'delayMs'])(
  body({ availableAt: orNull(instant), delayMs: orNull(durationMs(0)) }),
).meta({ id: 'RescheduleJobRequest' });
export type RescheduleJobBody = z.output<typeof rescheduleJob>;

export const setPriority = body({ priority }).meta({ id: 'SetPriorityRequest' });
export type SetPriorityBody = z.output<typeof setPriority>;

/** Of `POST /v1/admin/reaper/sweep`. */
export const sweep = body({ dryRun: flag.default(false) }).meta({ id: 'SweepRequest' });
export type SweepBody = z.output<typeof sweep>;

/** Of `POST /v1/admin/jobs/{id}/force-fail`, `/requeue` and `/emergency-stop`. */
export const operateJob = body({}).meta({ id: 'OperateJobRequest' });
export type OperateJobBody = z.output<typeof operateJob>;
