/**
 * How an append writes the rows of `jobs`. Times and positions are only known under the log's lock, so a document
 * holds a mark where the recorded time goes, and columns hold offsets of events.
 */
import { randomBytes } from 'node:crypto';
import type { BesideTable } from '../../event-store/beside-table.js';
import { isReady, wakes } from '../../domain/claimable.js';
import { toEpochMs, type Instant, type JobEvent, type JobFact } from '../../domain/job-events.js';
import { jobStream, workStream } from '../../domain/streams.js';
import { valuesSetBy, type Job, type JobValues } from '../../domain/job.js';
import { addToDelta, initialProgress, NO_DELTA } from '../../domain/progress.js';
import { isActivity } from './stored-job.js';

/** Stands for the recorded time while a row is made. Nobody outside this process can have written it into a value. */
export const AT: Instant = `at-${randomBytes(16).toString('hex')}`;

/** JSON text never holds a bare chr(1), so the database replaces nothing but the marks. */
const MARK = '\u0001';
const QUOTED_AT = JSON.stringify(AT);

const docOf = (job: Job): string => JSON.stringify(job).replaceAll(QUOTED_AT, MARK);

const json = (value: unknown): string | null => (value === null || value === undefined ? null : JSON.stringify(value));

const initialProgressJson = (job: Job): string => JSON.stringify(initialProgress(job.spec.total));

const availableMs = (job: Job): number | null => (job.availableAt === null ? null : toEpochMs(job.availableAt));

/** A job as it is after the append, every time of the append being `AT`, and the events that made it so. */
export interface JobRow {
  readonly job: Job;
  readonly events: readonly JobEvent[];
  readonly set: Partial<JobValues>;
}

export const jobRow = (job: Job, events: readonly JobEvent[]): JobRow => {
  const set: Partial<JobValues> = {};
  for (const event of events) Object.assign(set, valuesSetBy(event));
  return { job, events, set };
};

const LOCKED_JOBS = 'jobledger.locked_jobs';

export const JOBS_INSERT: BesideTable<JobRow> = {
  name: 'jobs_insert',
  fn: 'jobledger.jobs_insert',
  around: { after: 'jobledger.jobs_insert_after' },
  type: 'jobledger.job_insert',
  columns: [
    { type: 'uuid', value: ({ job }) => job.id },
    { type: 'text', value: ({ job }) => job.spec.type },
    { type: 'text', value: ({ job }) => job.spec.queue },
    { type: 'text', value: ({ job }) => job.status },
    { type: 'int4', value: ({ job }) => job.priority },
    { type: 'text', value: ({ job }) => JSON.stringify(job.spec.tags) },
    { type: 'int8', value: ({ job }) => job.revision },
    { type: 'bool', value: ({ job }) => isReady(job) },
    { type: 'bool', value: ({ job }) => wakes(job) },
    { type: 'timestamptz', value: ({ job }) => availableMs(job) },
    { type: 'text', value: ({ job }) => docOf(job) },
    { type: 'text', value: ({ set }) => json(set.payload) },
    { type: 'text', value: ({ job }) => initialProgressJson(job) },
  ],
};

/** What a transition does to progress: restore, save, start anew. */
const PROGRESS_OF: Partial<Record<JobEvent['type'], number>> = { JobClaimed: 1, CheckpointSaved: 2, JobRetried: 3 };

const progressOperation = ({ events }: JobRow): number =>
  events.reduce((operation, event) => PROGRESS_OF[event.type] ?? operation, 0);

const setMask = ({ set }: JobRow): number =>
  ('payload' in set ? 1 : 0) | ('result' in set ? 2 : 0) | ('checkpoint' in set ? 4 : 0);

/** Before a first attempt there are no facts. */
const hadAttempt = ({ job, events }: JobRow): boolean =>
  job.run > 1 || job.attempt > events.filter(({ type }) => type === 'JobClaimed').length;

export const JOBS_UPDATE: BesideTable<JobRow> = {
  name: 'jobs_update',
  fn: 'jobledger.jobs_update',
  changes: { lockedFn: LOCKED_JOBS, id: ({ job }) => job.id },
  around: {
    after: 'jobledger.jobs_update_after',
    watches: (row) => (hadAttempt(row) ? workStream(row.job.id) : undefined),
  },
  type: 'jobledger.job_update',
  columns: [
    { type: 'uuid', value: ({ job }) => job.id },
    { type: 'text', value: ({ job }) => job.status },
    { type: 'int4', value: ({ job }) => job.priority },
    { type: 'int4', value: ({ job }) => job.run },
    { type: 'int4', value: ({ job }) => job.attempt },
    { type: 'bool', value: ({ job }) => job.lease !== null },
    { type: 'bool', value: ({ job }) => job.deadLettered },
    { type: 'int8', value: ({ job }) => job.revision },
    { type: 'bool', value: ({ job }) => isReady(job) },
    { type: 'bool', value: ({ job }) => wakes(job) },
    { type: 'timestamptz', value: ({ job }) => availableMs(job) },
    { type: 'bool', value: ({ events }) => events.some((event) => isActivity(event.type)) },
    { type: 'text', value: ({ job }) => docOf(job) },
    { type: 'int4', value: setMask },
    { type: 'text', value: ({ set }) => json(set.payload) },
    { type: 'text', value: ({ set }) => json(set.result) },
    { type: 'text', value: ({ set }) => json(set.checkpoint) },
    { type: 'int4', value: progressOperation },
    {
      type: 'text',
      value: ({ job, events }) => (events.some((e) => e.type === 'JobRetried') ? initialProgressJson(job) : null),
    },
  ],
};

/** A fact of the attempt that holds the job, and the revision that its answer says: refused as `jobs` at another. */
export interface FactRow {
  readonly jobId: string;
  readonly run: number;
  readonly attempt: number;
  readonly revision: number;
  readonly fact: JobFact;
}

/** What refuses a fact that would give its run more stages than `MAX_STAGES`. */
export const STAGES = 'stages';

export const JOBS_FACTS: BesideTable<FactRow> = {
  name: 'jobs_facts',
  fn: 'jobledger.jobs_facts',
  changes: { lockedFn: LOCKED_JOBS, id: ({ jobId }) => jobId },
  around: {
    before: 'jobledger.jobs_facts_before',
    after: 'jobledger.jobs_facts_after',
    watches: ({ jobId }) => jobStream(jobId),
  },
  type: 'jobledger.job_fact',
  columns: [
    { type: 'uuid', value: ({ jobId }) => jobId },
    { type: 'int4', value: ({ run }) => run },
    { type: 'int4', value: ({ attempt }) => attempt },
    { type: 'int8', value: ({ revision }) => revision },
    { type: 'text', value: ({ fact }) => fact.data.batchId },
    { type: 'text', value: ({ fact }) => JSON.stringify(addToDelta(NO_DELTA, fact.data)) },
  ],
};
