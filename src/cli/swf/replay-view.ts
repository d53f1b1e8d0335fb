/** A replay as its events tell it: what the display shows, and when it is over. Nothing is asked of the workers. */
import type { JobStatus, LedgerEvent } from '../../client/client.js';
import { isTerminal } from '../../domain/job-chart.js';

/** The events that it lives on. */
export const EVENTS_OF_REPLAY = [
  ...['JobClaimed', 'ProgressRecorded', 'JobReleased', 'AttemptFailed', 'LeaseExpired'],
  ...['JobCompleted', 'JobFailed', 'JobTimedOut', 'JobCancelled'],
];

export class ReplayView {
  /** By where they ended. */
  readonly byStatus = new Map<JobStatus, number>();
  /** Where each ended last: somebody may have retried it. */
  readonly #ended = new Map<string, JobStatus>();
  lostLeases = 0;
  /** Who holds what. */
  readonly #holders = new Map<string, string>();
  readonly #finished = new Map<string, number>();

  apply({ type, jobId, to, actor }: LedgerEvent): void {
    if (jobId === null) return;
    if (type === 'LeaseExpired') this.lostLeases += 1;
    if (type === 'JobClaimed') {
      this.#holders.set(jobId, actor.id ?? '');
      return;
    }
    const holder = this.#holders.get(jobId);
    if (to === null) return;
    if (isTerminal(to)) {
      this.#end(jobId, to);
      if (holder !== undefined) this.#finished.set(holder, (this.#finished.get(holder) ?? 0) + 1);
    }
    if (isTerminal(to) || type === 'LeaseExpired' || type === 'JobReleased') this.#holders.delete(jobId);
  }

  get ended(): number {
    return this.#ended.size;
  }

  get running(): number {
    return this.#holders.size;
  }

  heldBy(workerId: string): readonly string[] {
    return [...this.#holders].filter(([, holder]) => holder === workerId).map(([jobId]) => jobId);
  }

  finishedBy(workerId: string): number {
    return this.#finished.get(workerId) ?? 0;
  }

  #end(jobId: string, status: JobStatus): void {
    const before = this.#ended.get(jobId);
    if (before !== undefined) this.byStatus.set(before, this.byStatus.get(before)! - 1);
    this.#ended.set(jobId, status);
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1);
  }
}
