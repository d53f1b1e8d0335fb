import type { EventStore } from '../../event-store/event-store.js';
import { readableJob, replayJob } from './job-history.js';
import type { JobRows } from './job-rows.js';
import { isDamage, shown, type StoredJob } from './stored-job.js';

/** Writes the row that the log says, in place of one that was lost or edited, and answers it; null: no such job, and no row. */
export const repairRow = async (store: EventStore, rows: JobRows, jobId: string): Promise<StoredJob | null> => {
  const { stored, facts, work } = await replayJob(store, jobId);
  await (stored === null ? rows.drop(jobId) : rows.repair(stored, facts.seen.all(), work()));
  return stored;
};

/**
 * As `repairRow`, for whoever only looks: a job with an event that cannot be read is told as far as it can be.
 * @throws what `shown` throws
 */
export const remadeJob = async (store: EventStore, rows: JobRows, jobId: string): Promise<StoredJob | null> => {
  try {
    return await repairRow(store, rows, jobId);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return shown(await readableJob(store, jobId));
  }
};
