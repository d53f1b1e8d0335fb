/** Waits until a run has ended. Who waits hears of events; nobody asks the database over and over. */
import { Injectable } from '@nestjs/common';
import { isTerminal } from '../domain/job-chart.js';
import { jobStream } from '../domain/streams.js';
import type { RecordedEvent } from '../event-store/event-store.js';
import { LogTail } from '../projections/log-tail.js';
import { metadataOf, type StoredJob } from '../projections/jobs/stored-job.js';
import { JobReader } from './job-reader.js';
import { Shutdown } from './shutdown.js';

const ends = (event: RecordedEvent): boolean => {
  const { to } = metadataOf(event);
  return to !== null && isTerminal(to);
};

const abortedOf = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

@Injectable()
export class EndOfRun {
  constructor(
    private readonly jobs: JobReader,
    private readonly tail: LogTail,
    private readonly shutdown: Shutdown,
  ) {}

  /**
   * The job as soon as its run has ended, or as it is when the time is up, the client has gone, or the process stops.
   * @throws JobNotFound
   */
  async wait(jobId: string, waitMs: number, hangUp: AbortSignal): Promise<StoredJob> {
    const first = await this.jobs.stored(jobId);
    if (waitMs === 0 || isTerminal(first.job.status)) return first;
    const over = AbortSignal.any([hangUp, this.shutdown.signal, AbortSignal.timeout(waitMs)]);
    await this.untilEnded(jobId, over);
    return this.jobs.stored(jobId);
  }

  private async untilEnded(jobId: string, over: AbortSignal): Promise<void> {
    const stream = jobStream(jobId);
    const isOver = abortedOf(over);
    let unsubscribe: (() => void) | undefined;
    const ended = new Promise<void>((resolve) => {
      unsubscribe = this.tail.subscribe((events) => {
        if (events.some((event) => event.stream === stream && ends(event))) resolve();
      });
    });
    try {
      await Promise.race([this.tail.started(), isOver]);
      // What happened before the tail ran is seen by this look.
      if (over.aborted || isTerminal((await this.jobs.stored(jobId)).job.status)) return;
      await Promise.race([ended, isOver]);
    } finally {
      unsubscribe?.();
    }
  }
}
