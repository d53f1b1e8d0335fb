/**
 * The stream of jobs: whole jobs as they change. A page of the log tells which jobs changed; each is shown once for it,
 * in its current state, under the position of its change, so that a reader may resume after any frame.
 */
import { Injectable } from '@nestjs/common';
import { CHANGING_STREAMS } from '../../domain/streams.js';
import { comparePositions, type Position } from '../../event-store/event-store.js';
import { type JobFilter, JobQueries } from '../../projections/jobs/job-queries.js';
import type { StoredJob } from '../../projections/jobs/stored-job.js';
import { LogTail } from '../../projections/log-tail.js';
import { JobReader } from '../job-reader.js';
import { eventFrame } from '../sse-frame.js';
import type { SseStream } from '../sse.js';
import { type Changes, changesIn } from './changes-in.js';

/** Refusals change no job. */
const CHANGES = { streamPrefixes: CHANGING_STREAMS };

/** Jobs that are held in memory at once: each may have values of 768 KiB. */
const JOBS_AT_ONCE = 50;

/** The jobs that changed, in the order of their last change, a few at a time. */
function* inOrder(changes: Changes): Generator<Changes> {
  const ordered = [...changes].sort(([, a], [, b]) => comparePositions(a, b));
  for (let from = 0; from < ordered.length; from += JOBS_AT_ONCE)
    yield new Map(ordered.slice(from, from + JOBS_AT_ONCE));
}

@Injectable()
export class JobStreams {
  constructor(
    private readonly tail: LogTail,
    private readonly queries: JobQueries,
    private readonly jobs: JobReader,
  ) {}

  /** Jobs that change after a position, for ever. */
  async follow(stream: SseStream, after: Position, filter: JobFilter): Promise<void> {
    let live = false;
    /** States that were shown before the page of their last change came. */
    const shownAhead = new Map<string, Position>();
    for await (const item of this.tail.readThenFollow(after, { filter: CHANGES, signal: stream.signal })) {
      if ('caughtUp' in item) {
        live = true;
        stream.caughtUp(item.caughtUp);
        continue;
      }
      for (const changes of inOrder(changesIn(item))) {
        const rows = await this.queries.among(changes, filter);
        const due = rows
          .filter((row) => this.isDue(row, changes, live, shownAhead))
          .sort((a, b) => comparePositions(changes.get(a.job.id)!, changes.get(b.job.id)!));
        if (!(await this.show(stream, due, changes))) return;
      }
    }
  }

  /**
   * Behind the end of the log a job that changes again further on is shown there. At its end it is shown at once: one
   * that never rests would not be shown otherwise.
   */
  private isDue(
    { job: { id }, position }: StoredJob,
    changes: Changes,
    live: boolean,
    shownAhead: Map<string, Position>,
  ): boolean {
    const change = changes.get(id)!;
    const isAhead = comparePositions(position, change) > 0;
    if (isAhead && !live) return false;
    const isShown = shownAhead.get(id) === position;
    if (isAhead) shownAhead.set(id, position);
    else shownAhead.delete(id);
    return !isShown;
  }

  private async show(stream: SseStream, due: readonly StoredJob[], changes: Changes): Promise<boolean> {
    for (const view of await this.jobs.views(due)) {
      if (!(await stream.write(eventFrame('job', view, changes.get(view.id))))) return false;
    }
    return !stream.closed;
  }
}
