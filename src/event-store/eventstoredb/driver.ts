/**
 * What the adapter asks of a client of EventStoreDB or KurrentDB: a few calls, each with a time limit, and errors of
 * the port. The two clients speak the same protocol and differ in names; nothing above this file knows which it is.
 */
import type { Json, JsonObject } from '../event-store.js';

/** An event on its way: checked and serialised before, since a client that meets a bad one may end the process. */
export interface WireEvent {
  /** UUID. */
  readonly id: string;
  readonly type: string;
  readonly data: JsonObject;
  /** JSON as UTF-8; not a `Buffer`, which the clients take for an object. */
  readonly metadata: Uint8Array;
}

export interface StoredEvent {
  readonly id: string;
  readonly type: string;
  readonly stream: string;
  readonly revision: number;
  /** Commit position. */
  readonly position: bigint;
  /** Undefined when it is no JSON: somebody else's. */
  readonly data: Json | undefined;
  readonly metadata: Json | undefined;
}

/** The revision that a stream must be at, -1 for a stream that does not exist. Never `any`: see `StreamAppender`. */
export type WireRevision = number;

export type WireAppended =
  | { readonly ok: true; readonly revision: WireRevision; /** Of the last event. */ readonly position: bigint }
  | { readonly ok: false; /** Where the stream is. */ readonly actual: WireRevision };

export interface ReadFromStream {
  /** Inclusive. Undefined: the start forwards, the end backwards. */
  readonly from?: number;
  readonly direction: 'forwards' | 'backwards';
  /** At least 1. */
  readonly limit: number;
}

export interface ReadFromAll {
  /** Of an event: inclusive forwards, exclusive backwards. Undefined: the start forwards, the end backwards. */
  readonly from?: bigint;
  readonly direction: 'forwards' | 'backwards';
  /** At least 1. */
  readonly limit: number;
}

export interface EventStoreDriver {
  /**
   * Appends at a revision. The same event ids at the same revision again are a success with the first position.
   * @throws StreamDeleted, TooLarge
   * @throws Unavailable when the outcome is unknown: repeat with the same ids and revision
   */
  append(stream: string, expected: WireRevision, events: readonly WireEvent[]): Promise<WireAppended>;
  /** Empty when the stream does not exist. */
  readStream(stream: string, options: ReadFromStream): Promise<readonly StoredEvent[]>;
  /**
   * Reads events of every stream, the server's own included.
   * @throws Unsupported when no event stands at the position
   */
  readAll(options: ReadFromAll): Promise<readonly StoredEvent[]>;
  /**
   * Calls back once it has begun, then with each event that is not the server's own, all of them in order, until it fails
   * or is stopped. Fails once.
   */
  subscribeToEnd(onEvent: (event?: StoredEvent) => void, onFailure: (error: Error) => void): () => void;
  /** No event is ever appended to the stream again, nor read. */
  tombstone(stream: string): Promise<void>;
  close(): Promise<void>;
}
