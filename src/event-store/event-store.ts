/**
 * The port to the log. Two adapters and a memory one pass one conformance suite (`test/conformance`).
 *
 * A log is a set of streams and one total order over all of them. Within a stream events have revisions 0, 1, 2 …;
 * over the whole log they have positions. Only an adapter computes with positions; everybody else compares them with
 * `comparePositions` and hands them on as strings.
 */
import type { Beside } from './beside-table.js';

/** A place in the total order: decimal digits, ordered as numbers. `'0'` is before the first event. */
export type Position = string;

export const START: Position = '0';

/** Negative when `a` is before `b`, 0 when equal, positive when after. Positions have no leading zeros. */
export const comparePositions = (a: Position, b: Position): number =>
  a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);

export const isPosition = (text: string): boolean => /^(0|[1-9][0-9]{0,18})$/.test(text);

/** JSON that survives a round trip: no `undefined`, no bigint, no `\u0000`, no lone surrogates. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = Readonly<Record<string, Json>>;

export interface NewEvent {
  /** UUID. Appending the same ids again at the same expected revision is a success with the first positions. */
  readonly id: string;
  readonly type: string;
  /** Version of the shape of `data`, from 1. */
  readonly version: number;
  readonly data: JsonObject;
  readonly metadata: JsonObject;
}

export interface RecordedEvent extends NewEvent {
  readonly position: Position;
  readonly stream: string;
  readonly revision: number;
  /** Recorded time, RFC 3339 UTC with milliseconds; never falls along positions (along revisions, on EventStoreDB). */
  readonly at: string;
  /** `data` as the log has it, where it has text: canonical JSON. */
  readonly dataText?: string;
  /** `metadata` in the same way. */
  readonly metadataText?: string;
  /** Why the event cannot be read: to ask for its data, or its metadata, throws this. */
  readonly damage?: DamagedEvent | undefined;
}

/**
 * What the stream must look like for an append to be accepted: its last revision, no stream, any stream that exists,
 * or anything. `any` is for commutative facts only: it protects nothing.
 */
export type ExpectedRevision = number | 'noStream' | 'streamExists' | 'any';

export interface AppendRequest {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  /** At least one. */
  readonly events: readonly NewEvent[];
  readonly beside?: readonly Beside[];
  /**
   * Requests of one call with the same group are appended all or none. They must be neighbours in the call.
   * On EventStoreDB each of them creates its stream (`noStream`): nothing else can be made certain over two streams.
   */
  readonly group?: number;
  /** The requests of the group stand alone too: a log that cannot append all or none of them appends those that it can. */
  readonly loose?: boolean;
}

export interface Appended {
  readonly ok: true;
  readonly first: Position;
  readonly last: Position;
  /** Position of each event of the request, in order. */
  readonly positions: readonly Position[];
  /** Revision of the stream after the request's last event. */
  readonly revision: number;
  readonly at: string;
  /** True when these event ids stood in the log before: nothing was written, beside rows included. */
  readonly replayed: boolean;
}

export interface NotAppended {
  readonly ok: false;
  readonly error:
    | Conflict
    | StreamDeleted
    | TooLarge
    | InvalidAppend
    | BesideRefused
    | RowLocked
    | GroupAborted
    /** Of this request alone: its outcome is unknown. */
    | Unavailable;
}

export type AppendResult = Appended | NotAppended;

/** The stream is not at the revision that was expected. `actual` is null when it does not exist. */
export class Conflict extends Error {
  constructor(
    readonly stream: string,
    readonly expected: ExpectedRevision,
    readonly actual: number | null,
  ) {
    super(`stream ${stream} is at revision ${actual ?? 'none'}, expected ${expected}`);
  }
}

/** The stream was tombstoned: it takes no more events. */
export class StreamDeleted extends Error {
  constructor(readonly stream: string) {
    super(`stream ${stream} is deleted`);
  }
}

/** The request is larger than the log takes. `limit` in bytes. */
export class TooLarge extends Error {
  constructor(
    readonly stream: string,
    readonly limit: number,
  ) {
    super(`an append to ${stream} is over ${limit} bytes`);
  }
}

/** The request cannot be stored as it is: no events, a name or id out of form, data that is not JSON. A caller's bug. */
export class InvalidAppend extends Error {
  constructor(
    readonly stream: string,
    reason: string,
  ) {
    super(`an append to ${stream} is invalid: ${reason}`);
  }
}

/** A beside table refused the request (a taken key, a lease that is somebody else's). */
export class BesideRefused extends Error {
  constructor(readonly table: string) {
    super(`refused by ${table}`);
  }
}

/** A row that the request would change is locked by a session that is not the ledger's: nothing was written. */
export class RowLocked extends Error {
  constructor() {
    super('a row of the job in the database is locked by another session: nothing was done; repeat the call later');
  }
}

/** Another request of the same group failed, so nothing of the group was written. */
export class GroupAborted extends Error {
  constructor() {
    super('another request of the group was not appended');
  }
}

/** An event whose data or metadata is no JSON object. No append writes one: the log was changed behind its back. */
export class DamagedEvent extends Error {
  constructor(
    readonly event: Pick<RecordedEvent, 'position' | 'stream' | 'type' | 'version'>,
    readonly part: 'data' | 'metadata',
  ) {
    const { position, stream, type, version } = event;
    super(`event ${position} of ${stream} (${type} v${version}) cannot be read: its ${part} is no JSON object`);
  }
}

/** The log cannot be reached or did not answer in time. Whether an append was written is unknown. */
export class Unavailable extends Error {}

/** As `Unavailable`, of a log with a server of its own: the database may be well. */
export class LogUnavailable extends Unavailable {}

/** The adapter cannot do what was asked (for example a position of another log). */
export class Unsupported extends Error {}

/** The position is none of this log: of another one, or made up. */
export class ForeignPosition extends Unsupported {}

export interface ReadStreamOptions {
  /** First revision to read, inclusive; default the start (the end, backwards). */
  readonly from?: number;
  readonly limit?: number;
  readonly direction?: 'forwards' | 'backwards';
  /** Only events at or before this position. */
  readonly upTo?: Position;
}

/** Which events: by type, by stream prefix, by stream; all of the given conditions must hold. */
export interface EventFilter {
  readonly types?: readonly string[];
  readonly streamPrefixes?: readonly string[];
  readonly streams?: readonly string[];
}

export interface ReadAllOptions {
  /** Exclusive; absent: the start forwards, the end backwards. */
  readonly after?: Position;
  /** At least 1. */
  readonly limit: number;
  readonly filter?: EventFilter;
  /** Backwards reads the events before `after`, newest first. */
  readonly direction?: 'forwards' | 'backwards';
  /**
   * Who reads goes on from `next` when the log wakes it, so what was appended in the last moments may be left to its next
   * read. Forwards, with `after`. Default false: all that was answered is there.
   */
  readonly following?: boolean;
}

export interface Page {
  /** Fewer than `limit`, even none, does not mean the end: with a filter, a page looks at so many events at most. */
  readonly events: readonly RecordedEvent[];
  /** Everything up to here was looked at: pass it as the next `after`. The end is reached when it does not move. */
  readonly next: Position;
  /** Size of their data as text, where the log knows it: for readers that hold many pages at once. */
  readonly characters?: number;
}

export interface Head {
  readonly position: Position;
  /** Hex digest that covers the whole log up to the position. */
  readonly hash: string;
  /** Recorded time of the last event; null when the log is empty. */
  readonly at: string | null;
}

export interface CaughtUp {
  readonly caughtUp: Position;
}

export interface SubscribeOptions {
  readonly after: Position;
  readonly filter?: EventFilter;
  /** Ends the iteration without an error. */
  readonly signal: AbortSignal;
  /** Most events a page; default 500. */
  readonly pageSize?: number;
}

export interface EventStore {
  /**
   * Appends each request or says why not: a result per request, in order. Several requests for one stream in one call
   * are applied in order. Nothing is answered before it is durable.
   * @throws Unavailable when the outcome of all of it is unknown: repeat with the same event ids.
   */
  append(requests: readonly AppendRequest[]): Promise<readonly AppendResult[]>;
  /** Events of a stream; empty when it does not exist. */
  readStream(stream: string, options?: ReadStreamOptions): Promise<readonly RecordedEvent[]>;
  readAll(options: ReadAllOptions): Promise<Page>;
  /**
   * Every event after a position, each once and in order, for ever: pages of events, and `CaughtUp` each time the end
   * is reached. Recovers by itself from a lost connection; ends only by its signal.
   */
  subscribe(options: SubscribeOptions): AsyncIterable<readonly RecordedEvent[] | CaughtUp>;
  head(): Promise<Head>;
  /**
   * Hex digest of the log at a position, or null when the log does not reach it. It stays the same as long as the
   * log up to there is the same: kept with a checkpoint, it tells a log that was restored from a backup.
   */
  hashAt(position: Position): Promise<string | null>;
  /**
   * Calls back soon after somebody (any process) appended; a hint, never a promise. Returns how to stop.
   * @param onBroken what tells of appends broke: who answers when it is made again may be another copy of the log
   */
  onAppended(listener: () => void, onBroken?: () => void): () => void;
  close(): Promise<void>;
}
