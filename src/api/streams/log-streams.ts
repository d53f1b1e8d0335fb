/** Streams of events: of the whole log, and of one job. A reader that is slow reads the log at its own pace. */
import { Inject, Injectable } from '@nestjs/common';
import { JOB_STREAMS, jobIdOf, jobStream, refusalsStream, workStream } from '../../domain/streams.js';
import type { EventStore, Position, RecordedEvent } from '../../event-store/event-store.js';
import { type JobFilter, JobQueries } from '../../projections/jobs/job-queries.js';
import { endsRun } from '../../projections/jobs/stored-job.js';
import { LogTail } from '../../projections/log-tail.js';
import { EVENT_STORE } from '../ports.js';
import type { SseStream } from '../sse.js';
import { changesIn } from './changes-in.js';
import { eventFrames } from './event-frames.js';

export interface EventSelection {
  /** Absent: all. */
  readonly types?: readonly string[] | undefined;
  /** Of the job that an event is of. */
  readonly filter: JobFilter;
}

const asksForJobs = (filter: JobFilter): boolean => Object.values(filter).some((value) => value !== undefined);

@Injectable()
export class LogStreams {
  constructor(
    private readonly tail: LogTail,
    private readonly jobs: JobQueries,
    @Inject(EVENT_STORE) private readonly store: EventStore,
  ) {}

  /** Events of the log after a position, for ever. */
  async events(stream: SseStream, after: Position, { types, filter }: EventSelection): Promise<void> {
    const byJob = asksForJobs(filter);
    const selected = {
      ...(types === undefined ? {} : { types }),
      ...(byJob ? { streamPrefixes: JOB_STREAMS } : {}),
    };
    for await (const item of this.tail.readThenFollow(after, { filter: selected, signal: stream.signal })) {
      if ('caughtUp' in item) stream.caughtUp(item.caughtUp);
      else if (!(await this.send(stream, byJob ? await this.ofJobs(item, filter) : item))) return;
    }
  }

  /**
   * Events of one job after a position.
   * @param untilTerminal ends the stream once the end is reached and the job's run has ended.
   */
  async job(
    stream: SseStream,
    after: Position,
    selection: {
      readonly jobId: string;
      readonly types?: readonly string[] | undefined;
      readonly untilTerminal: boolean;
    },
  ): Promise<void> {
    const { jobId, types, untilTerminal } = selection;
    const streams = [jobStream(jobId), workStream(jobId), refusalsStream(jobId)];
    let ended: boolean | undefined;
    let live = false;
    for await (const item of this.tail.readThenFollow(after, { filter: { streams }, signal: stream.signal })) {
      if ('caughtUp' in item) {
        live = true;
        stream.caughtUp(item.caughtUp);
        ended ??= await this.hasEnded(jobId);
      } else {
        const shown = types === undefined ? item : item.filter((event) => types.includes(event.type));
        if (!(await this.send(stream, shown))) return;
        const status = item.findLast(({ stream: name }) => name === streams[0]);
        if (status !== undefined) ended = endsRun(status);
      }
      if (untilTerminal && live && ended === true) {
        stream.end();
        return;
      }
    }
  }

  private async hasEnded(jobId: string): Promise<boolean> {
    const [last] = await this.store.readStream(jobStream(jobId), { direction: 'backwards', limit: 1 });
    return last !== undefined && endsRun(last);
  }

  private async ofJobs(events: readonly RecordedEvent[], filter: JobFilter): Promise<readonly RecordedEvent[]> {
    const passing = new Set((await this.jobs.among(changesIn(events), filter)).map(({ job }) => job.id));
    return events.filter(({ stream }) => passing.has(jobIdOf(stream) ?? ''));
  }

  /** False when the reader has gone. */
  private async send(stream: SseStream, events: readonly RecordedEvent[]): Promise<boolean> {
    for (const frame of eventFrames(events)) {
      if (!(await stream.write(frame))) return false;
    }
    return !stream.closed;
  }
}
