/** An event as the wire has it. */
import type { JobEventType } from '../domain/job-events.js';
import { jobIdOf } from '../domain/streams.js';
import type { RecordedEvent } from '../event-store/event-store.js';
import { metadataOf } from '../projections/jobs/stored-job.js';
import type * as wire from './contract.js';

const VERDICT: JobEventType = 'JobCompleted';

export const isVerdict = ({ type }: RecordedEvent): boolean => type === VERDICT;

/**
 * A verdict counts every fact before it in the log, whichever process took it, and none after it. So what it counted
 * to is its own place: shown here, since nobody knows it before the append.
 */
const dataOf = (event: RecordedEvent): wire.LedgerEvent['data'] =>
  isVerdict(event) ? { ...event.data, countedTo: event.position } : event.data;

export const viewEvent = (event: RecordedEvent): wire.LedgerEvent => {
  const {
    run,
    attempt,
    from,
    to,
    actor,
    keyId = null,
    commandId,
    correlationId,
    causationId,
    traceparent,
    reason,
  } = metadataOf(event);
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
    data: dataOf(event),
    actor,
    keyId,
    commandId,
    correlationId,
    causationId,
    traceparent,
    reason,
  };
};
