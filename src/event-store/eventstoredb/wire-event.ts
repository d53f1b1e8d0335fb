/**
 * Events as they stand in EventStoreDB: data as JSON; metadata as JSON with what the other log has in columns under one
 * key, and correlation and causation also under the names that the server's own tools read.
 */
import { createHash } from 'node:crypto';
import type { EncodedEvent } from '../encoded-request.js';
import { RESERVED_KEY } from '../encoded-request.js';
import type { Json, JsonObject, Position, RecordedEvent } from '../event-store.js';
import type { StoredEvent, WireEvent } from './driver.js';

/** What the log keeps for itself. */
interface Own {
  /** Recorded time, RFC 3339 UTC with milliseconds. */
  readonly at: string;
  readonly version: number;
}

/** The names that `$by_correlation_id` reads, and whence they come: the first that there is. */
const LINKS = [
  ['$correlationId', ['correlationId']],
  ['$causationId', ['causationId', 'commandId']],
] as const;

const utf8 = new TextEncoder();

/** @param at epoch ms */
export const toWire = ({ id, type, version, data, metadata }: EncodedEvent, at: number): WireEvent => {
  const said = JSON.parse(metadata) as JsonObject;
  const links = LINKS.flatMap(([name, keys]) => {
    const key = keys.find((each) => typeof said[each] === 'string');
    return key === undefined ? [] : [[name, said[key]!] as const];
  });
  const own: Own = { at: new Date(at).toISOString(), version };
  return {
    id,
    type,
    data: JSON.parse(data) as JsonObject,
    // As bytes a client sends it as it is; an object it would write, and code twice.
    metadata: utf8.encode(JSON.stringify({ ...said, ...Object.fromEntries(links), [RESERVED_KEY]: own })),
  };
};

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Undefined for what this ledger did not write: events of the server itself, or of others who use it. */
export const toRecorded = (event: StoredEvent): RecordedEvent | undefined => {
  const { id, type, stream, revision, position, data, metadata } = event;
  if (!isObject(metadata) || !isObject(data)) return undefined;
  const own = metadata[RESERVED_KEY];
  if (!isObject(own) || typeof own['at'] !== 'string' || typeof own['version'] !== 'number') return undefined;
  const said: Record<string, Json> = {};
  for (const key in metadata) if (key !== RESERVED_KEY && !key.startsWith('$')) said[key] = metadata[key]!;
  const { at, version } = own as unknown as Own;
  return { id, type, version, data, metadata: said, stream, revision, position: String(position), at };
};

/**
 * Which event stands at a position. EventStoreDB keeps no hash over its log, so this is what tells one log from
 * another: a log that was restored from a backup and went on has another event at a position that was written since, or
 * none. It does not show a change of what stands before.
 */
export const digestOf = ({
  id,
  stream,
  revision,
  position,
}: Pick<StoredEvent, 'id' | 'stream' | 'revision'> & { readonly position: bigint | Position }): string =>
  createHash('sha256').update(`${position}\n${stream}\n${revision}\n${id}`).digest('hex');
