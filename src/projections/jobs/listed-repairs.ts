/**
 * Replays jobs whose rows could not be moved on beside a log elsewhere: something came out of order, or on top of a
 * state that was not there (`jobledger.repair_jobs`).
 */
import type { Pool } from 'pg';
import type { EventStore } from '../../event-store/event-store.js';
import type { JobRows } from './job-rows.js';
import { repairRow } from './repair-row.js';

const PAGE = 100;

/** Repairs what is listed. A job stays listed until its row is what a replay says, and nothing came since. */
export const repairListed = async (pool: Pool, store: EventStore, rows: JobRows): Promise<void> => {
  const listed = await pool.query<{ job_id: string; since: string }>({
    name: 'repairs-listed',
    text: 'select job_id, since::text from jobledger.jobs_to_repair order by since limit $1',
    values: [PAGE],
  });
  for (const { job_id: jobId, since } of listed.rows) {
    const stored = await repairRow(store, rows, jobId);
    await pool.query({
      name: 'repairs-done',
      text: `delete from jobledger.jobs_to_repair r where r.job_id = $1 and r.since = $2::timestamptz
        and ($3::bigint is null or exists (
          select from jobledger.jobs j where j.id = r.job_id and j.revision = $3 and j.position = $4))`,
      values: [jobId, since, stored?.job.revision ?? null, stored?.position ?? null],
    });
  }
};
