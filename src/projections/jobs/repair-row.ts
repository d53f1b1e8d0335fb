import type { EventStore } from '../../event-store/event-store.js';
import { replayJob } from './job-history.js';
import type { JobRows } from './job-rows.js';

/** Writes the row that the log says, in place of one that was lost or edited; false when the log has no such job. */
export const repairRow = async (store: EventStore, rows: JobRows, jobId: string): Promise<boolean> => {
  const { stored, facts } = await replayJob(store, jobId);
  if (stored === null) return false;
  await rows.repair(stored, [...facts.seen]);
  return true;
};
