/** A job as its events tell it, at any point of the log. */
import { comparePositions, type EventStore, type Position, type RecordedEvent } from '../../event-store/event-store.js';
import type { Instant } from '../../domain/job-events.js';
import { jobStream, refusalsStream, workStream } from '../../domain/streams.js';
import { inOrder, lateFacts, NO_JOB, replay, replayReadable, type JobFold, type ReadableFold } from './stored-job.js';

/** Events of a stream that are read at once. */
const PAGE = 1_000;

/** Until when a history is read, inclusive; absent: to its end. */
interface Until {
  readonly position?: Position | undefined;
  readonly time?: Instant | undefined;
}

/** A stream from a revision on, a page at a time: of large events a whole history is too much at once. */
export async function* pagesOf(
  store: EventStore,
  stream: string,
  from = 0,
  upTo?: Position,
): AsyncGenerator<readonly RecordedEvent[]> {
  for (let next = from; ; next += PAGE) {
    const page = await store.readStream(stream, { from: next, limit: PAGE, ...(upTo === undefined ? {} : { upTo }) });
    if (page.length > 0) yield page;
    if (page.length < PAGE) return;
  }
}

/** Every event of a stream up to a moment. Recorded times never fall along a stream. */
const readWhole = async (
  store: EventStore,
  stream: string,
  { position, time }: Until = {},
): Promise<readonly RecordedEvent[]> => {
  const events: RecordedEvent[] = [];
  for await (const page of pagesOf(store, stream, 0, position)) {
    const until = time === undefined ? page : page.filter(({ at }) => at <= time);
    events.push(...until);
    if (until.length < page.length) break;
  }
  return events;
};

/** Both streams; nothing when the job was not created. */
const readBoth = async (store: EventStore, jobId: string, until: Until): Promise<readonly RecordedEvent[]> => {
  const [transitions, facts] = await Promise.all([
    readWhole(store, jobStream(jobId), until),
    readWhole(store, workStream(jobId), until),
  ]);
  return transitions.length === 0 ? [] : [...transitions, ...facts];
};

/** What a row knows of `work-<id>`, beside a log elsewhere. */
export interface KnownWork {
  /** Of the last fact; -1 without one. */
  readonly revision: number;
  /** Revisions of the facts that came after the end of their attempt. */
  readonly late: readonly number[];
}

export interface ReplayedJob extends JobFold {
  readonly work: () => KnownWork;
}

/**
 * Replays a job from its streams; `NO_JOB` when it has none.
 * @param upTo position, inclusive: what the job was then; default the end of the log. Its streams are read one by one,
 * so without a position they would be of different instants: a fact without the attempt that reported it.
 */
export const replayJob = async (store: EventStore, jobId: string, upTo?: Position): Promise<ReplayedJob> => {
  const events = await readBoth(store, jobId, { position: upTo ?? (await store.head()).position });
  const isFact = ({ stream }: RecordedEvent): boolean => stream === workStream(jobId);
  const work = (): KnownWork => ({
    revision: events.filter(isFact).length - 1,
    late: lateFacts(NO_JOB, inOrder(events)),
  });
  return { ...replay(events), work };
};

/** Until the end of the log; a position, inclusive; or a time, events of that very millisecond included. */
export type Moment = 'now' | { readonly position: Position } | { readonly time: Instant };

/**
 * A job as far as it can be read, for whoever only looks: a stream with an event that cannot be read tells nothing from
 * there on, and is named.
 */
export const readableJob = async (store: EventStore, jobId: string, moment: Moment = 'now'): Promise<ReadableFold> => {
  const until = moment === 'now' ? { position: (await store.head()).position } : moment;
  return replayReadable(await readBoth(store, jobId, until));
};

/** Every event of the job's three streams, for its timeline. */
export const readTimeline = async (store: EventStore, jobId: string): Promise<readonly RecordedEvent[]> => {
  const streams = await Promise.all(
    [jobStream(jobId), workStream(jobId), refusalsStream(jobId)].map((stream) => readWhole(store, stream)),
  );
  return streams.flat().sort((a, b) => comparePositions(a.position, b.position));
};
