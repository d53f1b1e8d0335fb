/** Twin of `reservations` and `reserve` (src/leases/migrations). */
import type { ClaimFilter, Reservations } from '../../src/leases/leases.js';
import type { JobRecord } from './jobs-table.js';

const HOLD_MS = 2_000;

interface Candidate {
  readonly id: string;
  readonly revision: number;
  readonly priority: number;
  readonly at: number;
}

const inOrder = (a: Candidate, b: Candidate): number =>
  b.priority - a.priority || a.at - b.at || (a.id < b.id ? -1 : 1);

export class ReservationsTable implements Reservations {
  readonly rows = new Map<string, { readonly revision: number; readonly expiresAt: number }>();

  constructor(
    private readonly now: () => number,
    private readonly jobs: ReadonlyMap<string, JobRecord>,
  ) {}

  reserve({ queues, types }: ClaimFilter, limit: number): Promise<readonly string[]> {
    const now = this.now();
    const candidates: Candidate[] = [];
    for (const [id, job] of this.jobs) {
      const at = job.readyAt ?? (job.wakeAt !== null && job.wakeAt <= now ? job.wakeAt : null);
      if (at === null || queues?.includes(job.queue) === false || types?.includes(job.type) === false) continue;
      const held = this.rows.get(id);
      if (held !== undefined && held.revision === job.revision && held.expiresAt > now) continue;
      candidates.push({ id, revision: job.revision, priority: job.priority, at });
    }
    const chosen = candidates.sort(inOrder).slice(0, limit);
    for (const { id, revision } of chosen) this.rows.set(id, { revision, expiresAt: now + HOLD_MS });
    return Promise.resolve(chosen.map(({ id }) => id));
  }

  release(jobIds: readonly string[]): Promise<void> {
    for (const id of jobIds) this.rows.delete(id);
    return Promise.resolve();
  }
}
