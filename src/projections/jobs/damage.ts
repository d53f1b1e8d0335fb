/**
 * Jobs whose history cannot be read, as commands meet them: nothing follows the log for the rows of jobs, so whoever
 * finds one says so, and everybody is told (`parked`, readiness) until a rebuild or a repair has read the stream.
 */
import type { Pool } from 'pg';
import type { EventStore } from '../../event-store/event-store.js';
import { describeError, park } from '../parked.js';
import { isOutdatedIn } from '../formats.js';
import { inTransaction } from '../transaction.js';
import { readableJob } from './job-history.js';
import { JOBS } from './jobs.js';

export class Damage {
  /** Jobs that are looked at. */
  private readonly looking = new Set<string>();

  constructor(
    private readonly store: EventStore,
    private readonly pool: Pool,
  ) {}

  /** Parks the streams of the job that cannot be read. In the background: who met it has its own answer to give. */
  note(jobId: string): void {
    if (this.looking.has(jobId)) return;
    this.looking.add(jobId);
    // Whoever meets it next tries again.
    void this.park(jobId)
      .catch(() => undefined)
      .finally(() => this.looking.delete(jobId));
  }

  private async park(jobId: string): Promise<void> {
    const { broken } = await readableJob(this.store, jobId);
    const streams = broken.map(({ event, error }) => ({
      stream: event.stream,
      position: event.position,
      error: describeError(error),
    }));
    await inTransaction(this.pool, async (tx) => {
      // It is for the newest program to say what nobody can read.
      if (!(await isOutdatedIn(tx))) await park(tx, JOBS.name, streams);
    });
  }
}
