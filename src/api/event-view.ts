/** An event as the wire has it. */
import type { JobEventType } from '../domain/job-events.js';
import { type EventMetadata, jobIdOf } from '../domain/streams.js';
import type { RecordedEvent } from '../event-store/event-store.js';
import { metadataOf } from '../projections/jobs/stored-job.js';
import type * as wire from './contract.js';

const VERDICT: JobEventType = 'JobCompleted';

export const isVerdict = ({ type }: RecordedEvent): boolean => type === VERDICT;

/** Of an event that cannot be read: why, and what stands in the log in place of what was written. */
const unreadable = ({ dataText, metadataText }: RecordedEvent, part: string): wire.LedgerEvent['data'] => ({
  unreadable: `its ${part} is no JSON object`,
  ...(dataText !== undefined && { data: dataText }),
  ...(metadataText !== undefined && { metadata: metadataText }),
});

/**
 * A verdict counts every fact before it in the log, whichever process took it, and none after it. So what it counted
 * to is its own place: shown here, since nobody knows it before the append.
 */
const dataOf = (event: RecordedEvent): wire.LedgerEvent['data'] => {
  if (event.damage !== undefined) return unreadable(event, event.damage.part);
  return isVerdict(event) ? { ...event.data, countedTo: event.position } : event.data;
};

type Said = Pick<
  wire.LedgerEvent,
  'run' | 'attempt' | 'from' | 'to' | 'actor' | 'keyId' | 'commandId' | 'correlationId' | 'causationId'
> &
  Pick<wire.LedgerEvent, 'traceparent' | 'reason'>;

/** Of an event whose metadata cannot be read: nobody knows who caused it. */
const NOTHING_SAID: Said = {
  ...{ run: null, attempt: null, from: null, to: null, actor: { type: 'ledger', id: null } },
  ...{ keyId: null, commandId: null, correlationId: null, causationId: null, traceparent: null, reason: null },
};

const told = (metadata: EventMetadata): Said => ({
  ...metadata,
  keyId: metadata.keyId ?? null,
  causationId: metadata.causationId ?? metadata.commandId,
});

const saidOf = (event: RecordedEvent): Said =>
  event.damage?.part === 'metadata' ? NOTHING_SAID : told(metadataOf(event));

export const viewEvent = (event: RecordedEvent): wire.LedgerEvent => {
  const { run, attempt, from, to, actor, keyId, commandId, correlationId, causationId, traceparent, reason } =
    saidOf(event);
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
