/** An event as the wire has it. */
import { jobIdOf } from '../domain/streams.js';
import type { RecordedEvent } from '../event-store/event-store.js';
import { metadataOf } from '../projections/jobs/stored-job.js';
import type * as wire from './contract.js';

export const viewEvent = (event: RecordedEvent): wire.LedgerEvent => {
  const { run, attempt, from, to, actor, commandId, correlationId, causationId, traceparent, reason } =
    metadataOf(event);
  return {
    position: event.position,
    stream: event.stream,
    revision: event.revision,
    id: event.id,
    type: event.type,
    version: event.version,
    at: event.at,
    jobId: jobIdOf(event.stream),
    run,
    attempt,
    from,
    to,
    data: event.data,
    actor,
    commandId,
    correlationId,
    causationId,
    traceparent,
    reason,
  };
};
