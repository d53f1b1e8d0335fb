/** A request as a log stores it: checked and canonical before anything is sent, so a bad one costs the others nothing. */
import { canonicalJson, isStorable, NotCanonical } from './canonical-json.js';
import type { Beside } from './beside-table.js';
import type { AppendRequest, ExpectedRevision, NewEvent } from './event-store.js';
import { InvalidAppend, TooLarge } from './event-store.js';
import { contentHash } from './hash-chain.js';

export interface EncodedEvent {
  /** Lower case. */
  readonly id: string;
  readonly type: string;
  readonly version: number;
  /** Canonical JSON. */
  readonly data: string;
  /** Canonical JSON. */
  readonly metadata: string;
  readonly contentHash: Buffer;
}

export interface EncodedRequest {
  /** Index in the caller's call. */
  readonly ordinal: number;
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly events: readonly EncodedEvent[];
  readonly beside: readonly Beside[];
  /** Of a group whose requests stand alone too. */
  readonly loose: boolean;
}

/** What EventStoreDB takes in one append by default, so that what one log takes the other takes too. */
export const MAX_APPEND_BYTES = 1_048_576;

const MAX_NAME_BYTES = 255;
const MAX_REVISION = 2_147_483_647;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const plainName = /^[ -~]{1,255}$/;

/** Most names are ASCII: one look then. */
const isName = (text: string): boolean =>
  plainName.test(text) || (text !== '' && Buffer.byteLength(text) <= MAX_NAME_BYTES && isStorable(text));

const isCount = (value: number, least: number): boolean =>
  Number.isInteger(value) && value >= least && value <= MAX_REVISION;

/** Key under which EventStoreDB keeps what other logs have in columns. */
export const RESERVED_KEY = 'jobledger';

/** Keys of metadata that a log may need for itself. */
const isReserved = (key: string): boolean => key === RESERVED_KEY || key.startsWith('$');

/** In the text of most metadata nothing looks like one: that is found in a tenth of the time of a walk over its keys. */
const mayHoldReserved = (metadata: string): boolean => metadata.includes('"$') || metadata.includes(QUOTED_KEY);

const QUOTED_KEY = JSON.stringify(RESERVED_KEY);

const reservedFault = ({ type, metadata }: NewEvent): string | undefined => {
  const key = Object.keys(metadata).find(isReserved);
  return key === undefined ? undefined : `the key ${key} in the metadata of ${type} is reserved`;
};

/** Why the request cannot be stored, or undefined. */
const fault = ({ stream, expected, events, beside = [] }: AppendRequest): string | undefined => {
  if (!isName(stream) || stream.startsWith('$')) return `the stream's name is empty, too long, or reserved`;
  if (typeof expected === 'number' && !isCount(expected, 0)) return `${expected} is no revision`;
  if (events.length === 0) return 'it has no events';
  for (const { id, type, version } of events) {
    if (!uuid.test(id)) return `event id ${id} is no UUID`;
    if (!isName(type)) return 'the name of an event type is empty or too long';
    if (!isCount(version, 1)) return `${version} is no version of ${type}`;
  }
  const stray = beside.find(({ event = 0 }) => !isCount(event, 0) || event >= events.length);
  return stray && `a row of ${stray.table.name} belongs to event ${stray.event ?? 0}`;
};

const encodeEvent = (stream: string, event: NewEvent): EncodedEvent => {
  const { type, version } = event;
  const id = event.id.toLowerCase();
  const data = canonicalJson(event.data, `data of ${type}`);
  const metadata = canonicalJson(event.metadata, `metadata of ${type}`);
  let hash: Buffer | undefined;
  return {
    ...{ id, type, version, data, metadata },
    // Not every log keeps it.
    get contentHash() {
      return (hash ??= contentHash({ stream, id, type, version, data, metadata }));
    },
  };
};

/** A UTF-16 unit takes three bytes of UTF-8 at most. */
const mostBytesOf = ({ data, metadata, type }: EncodedEvent): number =>
  3 * (data.length + metadata.length + type.length);

const bytesOf = ({ data, metadata, type }: EncodedEvent): number =>
  Buffer.byteLength(data) + Buffer.byteLength(metadata) + Buffer.byteLength(type);

const sum = (events: readonly EncodedEvent[], of: (event: EncodedEvent) => number): number =>
  events.reduce((total, event) => total + of(event), 0);

/** Most are so small that nothing has to be counted. */
const isLarger = (events: readonly EncodedEvent[], limit: number): boolean =>
  sum(events, mostBytesOf) > limit && sum(events, bytesOf) > limit;

export const encodeRequest = (
  request: AppendRequest,
  ordinal: number,
  limit = MAX_APPEND_BYTES,
): EncodedRequest | InvalidAppend | TooLarge => {
  const { stream, expected, beside = [], loose = false } = request;
  const reason = fault(request);
  if (reason !== undefined) return new InvalidAppend(stream, reason);
  try {
    const events = request.events.map((event) => encodeEvent(stream, event));
    const isSuspect = events.some(({ metadata }) => mayHoldReserved(metadata));
    const reserved = isSuspect ? request.events.map(reservedFault).find((found) => found !== undefined) : undefined;
    if (reserved !== undefined) return new InvalidAppend(stream, reserved);
    return isLarger(events, limit) ? new TooLarge(stream, limit) : { ordinal, stream, expected, events, beside, loose };
  } catch (error) {
    if (error instanceof NotCanonical) return new InvalidAppend(stream, error.message);
    throw error;
  }
};
