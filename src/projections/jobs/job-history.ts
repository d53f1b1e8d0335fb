/** A job as its events tell it, at any point of the log. */
import { comparePositions, type EventStore, type Position, type RecordedEvent } from '../../event-store/event-store.js';
import { jobStream, refusalsStream, workStream } from '../../domain/streams.js';
import { NO_JOB, replay, type JobFold } from './stored-job.js';

/** Events of a stream that are read at once. */
const PAGE = 1_000;

/** Every event of a stream up to a position (inclusive; absent: the end). */
const readWhole = async (store: EventStore, stream: string, upTo?: Position): Promise<readonly RecordedEvent[]> => {
  const events: RecordedEvent[] = [];
  for (;;) {
    const page = await store.readStream(stream, {
      from: events.length,
      limit: PAGE,
      ...(upTo === undefined ? {} : { upTo }),
    });
    events.push(...page);
    if (page.length < PAGE) return events;
  }
};

/** The transitions of a job alone. */
export const readTransitions = (store: EventStore, jobId: string): Promise<readonly RecordedEvent[]> =>
  readWhole(store, jobStream(jobId));

/**
 * Replays a job from its streams; `NO_JOB` when it has none.
 * @param upTo position, inclusive: what the job was then.
 */
export const replayJob = async (store: EventStore, jobId: string, upTo?: Position): Promise<JobFold> => {
  const [transitions, facts] = await Promise.all([
    readWhole(store, jobStream(jobId), upTo),
    readWhole(store, workStream(jobId), upTo),
  ]);
  if (transitions.length === 0) return NO_JOB;
  return replay([...transitions, ...facts]);
};

/** Every event of the job's three streams, for its timeline. */
export const readTimeline = async (store: EventStore, jobId: string): Promise<readonly RecordedEvent[]> => {
  const streams = await Promise.all(
    [jobStream(jobId), workStream(jobId), refusalsStream(jobId)].map((stream) => readWhole(store, stream)),
  );
  return streams.flat().sort((a, b) => comparePositions(a.position, b.position));
};
