import { jobIdOf } from '../../domain/streams.js';
import type { Position, RecordedEvent } from '../../event-store/event-store.js';

/** Positions of the jobs' last changes, by their ids. */
export type Changes = ReadonlyMap<string, Position>;

/** Those of a page of the log. */
export const changesIn = (events: readonly RecordedEvent[]): Changes => {
  const changes = new Map<string, Position>();
  for (const { stream, position } of events) {
    const jobId = jobIdOf(stream);
    if (jobId !== null) changes.set(jobId, position);
  }
  return changes;
};
