/** Waits until a run has ended. Who waits hears of events; nobody asks the database over and over. */
import { Injectable } from '@nestjs/common';
import { isTerminal } from '../domain/job-chart.js';
import { jobStream } from '../domain/streams.js';
import { LogTail } from '../projections/log-tail.js';
import { endsRun, type StoredJob } from '../projections/jobs/stored-job.js';
import { JobReader } from './job-reader.js';
import { Shutdown } from './shutdown.js';

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
    await this.untilEnded(jobId, waitMs, hangUp);
    return this.jobs.stored(jobId);
  }

  private async untilEnded(jobId: string, waitMs: number, hangUp: AbortSignal): Promise<void> {
    const stream = jobStream(jobId);
    let resolve = (): void => undefined;
    const over = new Promise<void>((done) => {
      resolve = done;
    });
    const timer = setTimeout(resolve, waitMs);
    const signals = [hangUp, this.shutdown.signal];
    for (const signal of signals) signal.addEventListener('abort', resolve);
    const unsubscribe = this.tail.subscribe((events) => {
      if (events.some((event) => event.stream === stream && endsRun(event))) resolve();
    });
    try {
      await Promise.race([this.tail.started(), over]);
      // What happened before the tail ran is seen by this look.
      const { job } = await this.jobs.stored(jobId);
      if (!isTerminal(job.status) && !signals.some(({ aborted }) => aborted)) await over;
    } finally {
      unsubscribe();
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', resolve);
    }
  }
}
