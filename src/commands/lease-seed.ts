import { directiveOf } from '../domain/directive.js';
import { nextDeadline } from '../domain/stall-rules.js';
import type { EventStore } from '../event-store/event-store.js';
import type { Leases } from '../leases/leases.js';
import { lastActivityMs, type JobRows } from '../projections/jobs/job-rows.js';
import { repairRow } from '../projections/jobs/repair-row.js';
import type { StoredJob } from '../projections/jobs/stored-job.js';
import type { Contexts } from './contexts.js';

type Seed = Parameters<Leases['seed']>[0][number];

/** The lease row of a job whose own was lost: the attempt that holds the job gets a full lease of grace. */
export const seedOf = (stored: StoredJob, contexts: Contexts): Seed => {
  const { job } = stored;
  const context = contexts.of(job.spec);
  const leaseMs = job.lease?.leaseMs ?? null;
  const clocks = {
    leaseExpiresAt: leaseMs === null ? null : context.now + leaseMs,
    lastBeatAt: null,
    lastActivityAt: lastActivityMs(stored),
  };
  return {
    jobId: job.id,
    revision: job.revision,
    run: job.run,
    attempt: job.attempt,
    workerId: job.lease?.workerId ?? null,
    leaseMs,
    deadlineAt: nextDeadline(job, clocks, context.policy)?.at ?? null,
    directive: directiveOf(job),
  };
};

/** Lease rows are operational: one that was lost is made again from the log. */
export class LostLeases {
  constructor(
    private readonly store: EventStore,
    private readonly rows: JobRows,
    private readonly leases: Leases,
    private readonly contexts: Contexts,
  ) {}

  /**
   * Makes the row again if the log says that an attempt holds the job; a row that is there stays. The row of the job
   * comes first: without the right one no lease is made.
   */
  async seed(jobId: string): Promise<void> {
    const stored = await repairRow(this.store, this.rows, jobId);
    if (stored?.job.lease != null) await this.leases.seed([seedOf(stored, this.contexts)]);
  }
}
