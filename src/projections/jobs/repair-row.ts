import type { EventStore } from '../../event-store/event-store.js';
import { replayJob } from './job-history.js';
import type { JobRows } from './job-rows.js';
import type { StoredJob } from './stored-job.js';

/** Writes the row that the log says, in place of one that was lost or edited, and answers it; null: no such job. */
export const repairRow = async (store: EventStore, rows: JobRows, jobId: string): Promise<StoredJob | null> => {
  const { stored, facts } = await replayJob(store, jobId);
  if (stored !== null) await rows.repair(stored, facts.seen.all());
  return stored;
};
