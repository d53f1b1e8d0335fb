/** Twin of `reservations` and `reserve` (src/leases/migrations). */
import type { ClaimFilter, Offer, Reservations, Reserved } from '../../src/leases/leases.js';
import type { StoredJob } from '../../src/projections/jobs/stored-job.js';
import type { JobsTable } from './jobs-table.js';

const HOLD_MS = 2_000;

interface Candidate {
  readonly id: string;
  readonly revision: number;
  readonly priority: number;
  readonly at: number;
}

const inOrder = (a: Candidate, b: Candidate): number =>
  b.priority - a.priority || a.at - b.at || (a.id < b.id ? -1 : 1);

export class ReservationsTable implements Reservations<StoredJob> {
  readonly rows = new Map<string, { readonly revision: number; readonly expiresAt: number }>();

  constructor(
    private readonly now: () => number,
    private readonly jobs: JobsTable,
  ) {}

  offered(): Promise<readonly Offer[]> {
    const offers = new Map<string, Offer>();
    for (const { queue, type, readyAt, wakeAt } of this.jobs.rows.values())
      if (readyAt !== null || (wakeAt !== null && wakeAt <= this.now()))
        offers.set(`${queue} ${type}`, { queue, type });
    return Promise.resolve([...offers.values()]);
  }

  async reserve({ queues, types }: ClaimFilter, limit: number): Promise<readonly Reserved<StoredJob>[]> {
    const now = this.now();
    const candidates: Candidate[] = [];
    for (const [id, job] of this.jobs.rows) {
      const at = job.readyAt ?? (job.wakeAt !== null && job.wakeAt <= now ? job.wakeAt : null);
      if (at === null || queues?.includes(job.queue) === false || types?.includes(job.type) === false) continue;
      const held = this.rows.get(id);
      if (held !== undefined && held.revision === job.revision && held.expiresAt > now) continue;
      candidates.push({ id, revision: job.revision, priority: job.priority, at });
    }
    const chosen = candidates.sort(inOrder).slice(0, limit);
    for (const { id, revision } of chosen) this.rows.set(id, { revision, expiresAt: now + HOLD_MS });
    const rows = await this.jobs.load(chosen.map(({ id }) => id));
    return chosen.map(({ id }) => ({ jobId: id, row: rows.get(id) }));
  }

  release(jobIds: readonly string[]): Promise<void> {
    for (const id of jobIds) this.rows.delete(id);
    return Promise.resolve();
  }
}
