/** Jobs as the wire has them: read models, with what is known of their leases now. */
import { Inject, Injectable } from '@nestjs/common';
import type { ClaimedJob } from '../commands/claim-request.js';
import { Contexts } from '../commands/contexts.js';
import { JobNotFound } from '../commands/errors.js';
import { toEpochMs } from '../domain/job-events.js';
import type { EventStore } from '../event-store/event-store.js';
import type { Leases } from '../leases/leases.js';
import type { JobRows } from '../projections/jobs/job-rows.js';
import { remadeJob } from '../projections/jobs/repair-row.js';
import { toCurrent, type StoredJob } from '../projections/jobs/stored-job.js';
import type * as wire from './contract.js';
import { heldLease, viewJob, viewPastJob } from './job-view.js';
import { EVENT_STORE, JOB_ROWS, LEASES } from './ports.js';

/** The claim's own event, in the first answer and in a repeated one. */
const leaseExpiresAt = ({ outcome }: ClaimedJob): string => {
  const claim = outcome.recorded.find((event) => event.type === 'JobClaimed');
  if (claim === undefined) throw new Error(`the claim of job ${outcome.jobId} has no JobClaimed`);
  return (toCurrent(claim).data as { leaseExpiresAt: string }).leaseExpiresAt;
};

@Injectable()
export class JobReader {
  constructor(
    @Inject(EVENT_STORE) private readonly store: EventStore,
    @Inject(JOB_ROWS) private readonly rows: JobRows,
    @Inject(LEASES) private readonly leases: Leases,
    private readonly contexts: Contexts,
  ) {}

  /** @throws JobNotFound */
  async stored(jobId: string): Promise<StoredJob> {
    const row = (await this.rows.load([jobId])).get(jobId);
    // A row that was lost or edited is made again: the log has the job.
    const stored = row ?? (await remadeJob(this.store, this.rows, jobId));
    if (stored === null) throw new JobNotFound(jobId);
    return stored;
  }

  /** @throws JobNotFound */
  async one(jobId: string): Promise<wire.Job> {
    return (await this.views([await this.stored(jobId)]))[0]!;
  }

  /** Jobs as they are now. */
  async views(jobs: readonly StoredJob[]): Promise<readonly wire.Job[]> {
    const held = jobs.flatMap(({ job }) => (job.lease === null ? [] : [job.id]));
    const leases = held.length === 0 ? undefined : await this.leases.find(held);
    return jobs.map((stored) =>
      viewJob(stored, this.contexts.policyOf(stored.job.spec), heldLease(stored, leases?.get(stored.job.id))),
    );
  }

  past(stored: StoredJob): wire.Job {
    return viewPastJob(stored, this.contexts.policyOf(stored.job.spec));
  }

  /** A job as its claim left it. */
  claimed(claimed: ClaimedJob): { readonly job: wire.Job; readonly leaseExpiresAt: string } {
    const { stored } = claimed;
    const expiresAt = leaseExpiresAt(claimed);
    const claimedAt = toEpochMs(stored.job.lease?.claimedAt ?? expiresAt);
    const lease = { expiresAt: toEpochMs(expiresAt), lastBeatAt: claimedAt };
    return { job: viewJob(stored, this.contexts.policyOf(stored.job.spec), lease), leaseExpiresAt: expiresAt };
  }
}
