/**
 * The driver over `@eventstore/db-client` 6.2, or `@kurrent/kurrentdb-client`, whose calls are the same but for the
 * names of two fields.
 *
 * Danger: both clients wait without a limit for a server that went silent, and `@eventstore/db-client` ends the process
 * for input that it cannot send. So each call has a limit of its own, and every event was checked by `encodeRequest`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { JsonObject } from '../event-store.js';
import { LogUnavailable } from '../event-store.js';
import { asPortError, isConflict, isStreamNotFound } from './client-error.js';
import { Places } from './places.js';
import { dropStrayRejections } from './stray-rejections.js';
import type { ClientAppended, ClientEvent, ClientReader, GrpcClient } from './grpc-client.js';
import { passOverUnknownAnswers } from './unknown-answers.js';
import type {
  EventStoreDriver,
  ReadFromAll,
  ReadFromStream,
  StoredEvent,
  WireAppended,
  WireEvent,
  WireRevision,
} from './driver.js';

/**
 * A stream that does not exist is one without events. The client itself breaks off the call then, and a server ends the
 * connection, with everything that is on its way, after a thousand of those (Node's, at more than 33 in a second).
 */
const takeAbsentAsEmpty = (reader: ClientReader): void => {
  const transform = reader._transform?.bind(reader);
  if (transform === undefined) return;
  reader._transform = (message, encoding, next) => {
    if (message.hasStreamNotFound?.() === true) next();
    else transform(message, encoding, next);
  };
};

export interface DriverOptions {
  /** Longest time of an append or a read, ms; default 8,000. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 8_000;
/** Appends in flight: more gain nothing (9,000–10,000/s at 256), and fill a stream that may break. */
const MAX_APPENDS = 256;
/** Reads in flight, each a call of its own on the connection that all share. */
const MAX_READS = 64;
/** Longest wait for what is on its way when the driver is closed, ms. */
const CLOSE_MS = 1_000;
/** After a change of leaders the connection stays where it was, at a node that may not have yet what was answered. */
const FRESH = { requiresLeader: true };
const START = 'start';
const END = 'end';

interface Resolved {
  readonly event?: ClientEvent;
}

const toStored = ({ event }: Resolved): StoredEvent | undefined => {
  // A link whose event is gone.
  if (event?.position === undefined) return undefined;
  const isBytes = event.metadata instanceof Uint8Array;
  return {
    id: event.id,
    type: event.type,
    stream: event.streamId,
    revision: Number(event.revision),
    position: event.position.commit,
    data: event.isJson ? (event.data as JsonObject) : undefined,
    metadata: isBytes ? undefined : (event.metadata as JsonObject | undefined),
  };
};

/** By the stream's own events: an iteration costs a third more. */
const allOf = async (reader: ClientReader): Promise<readonly StoredEvent[]> => {
  const events: StoredEvent[] = [];
  const keep = (resolved: Resolved): void => {
    const event = toStored(resolved);
    if (event !== undefined) events.push(event);
  };
  if (reader.on === undefined) {
    for await (const resolved of reader) keep(resolved);
    return events;
  }
  await new Promise<void>((resolve, reject) => {
    reader.on!('data', keep);
    reader.on!('error', reject);
    let isWhole = false;
    reader.on!('end', () => {
      isWhole = true;
      resolve();
    });
    reader.on!('close', () => {
      if (!isWhole) reject(new LogUnavailable('the read was broken off'));
    });
  });
  return events;
};

const toClientEvent = (event: WireEvent): object => ({ ...event, contentType: 'application/json' });

export class ClientDriver implements EventStoreDriver {
  readonly #client: GrpcClient;
  readonly #timeoutMs: number;
  readonly #places = new Places(MAX_APPENDS);
  readonly #readPlaces = new Places(MAX_READS);
  readonly #stopDropping = dropStrayRejections();
  /** Calls that have no answer yet, also when nobody waits for it any more. */
  readonly #pending = new Set<Promise<unknown>>();
  #isConnected = false;

  constructor(client: GrpcClient, { timeoutMs = DEFAULT_TIMEOUT_MS }: DriverOptions = {}) {
    passOverUnknownAnswers(client);
    this.#client = client;
    this.#timeoutMs = timeoutMs;
  }

  async append(stream: string, expected: WireRevision, events: readonly WireEvent[]): Promise<WireAppended> {
    const doing = `appending to ${stream}`;
    const revision = expected < 0 ? 'no_stream' : BigInt(expected);
    // The server gives the write up after the deadline too; it may have been done all the same.
    const options = { expectedRevision: revision, streamState: revision, deadline: this.#timeoutMs };
    const send = (): Promise<ClientAppended> => this.#client.appendToStream(stream, events.map(toClientEvent), options);
    try {
      const { nextExpectedRevision, position } = await this.#places.hold(() => this.#limited(doing, send()));
      if (position === undefined) throw new LogUnavailable(`${doing}: the answer has no position`);
      return { ok: true, revision: Number(nextExpectedRevision), position: position.commit };
    } catch (error) {
      if (isConflict(error)) return { ok: false, actual: actualOf(error) };
      throw asPortError(doing, error, stream);
    }
  }

  async readStream(stream: string, { from, direction, limit }: ReadFromStream): Promise<readonly StoredEvent[]> {
    const fromRevision = from === undefined ? (direction === 'forwards' ? START : END) : BigInt(from);
    const options = { fromRevision, direction, maxCount: limit, ...FRESH };
    try {
      return await this.#collect(`reading ${stream}`, () => this.#client.readStream(stream, options));
    } catch (error) {
      if (isStreamNotFound(error)) return [];
      throw asPortError(`reading ${stream}`, error, stream);
    }
  }

  async readAll({ from, direction, limit }: ReadFromAll): Promise<readonly StoredEvent[]> {
    const edge = direction === 'forwards' ? START : END;
    const fromPosition = from === undefined ? edge : { commit: from, prepare: from };
    try {
      return await this.#collect('reading the log', () =>
        this.#client.readAll({ fromPosition, direction, maxCount: limit, ...FRESH }),
      );
    } catch (error) {
      throw asPortError('reading the log', error);
    }
  }

  subscribeToEnd(onEvent: (event?: StoredEvent) => void, onFailure: (error: Error) => void): () => void {
    let isOver = false;
    const fail = (error: unknown): void => {
      if (isOver) return;
      isOver = true;
      this.#track(subscription.unsubscribe());
      onFailure(asPortError('following the log', error));
    };
    const filter = { filterOn: 'eventType', regex: '^[^$].*', checkpointInterval: 1_000 };
    this.#isConnected = true;
    const subscription = this.#client.subscribeToAll({ fromPosition: END, filter });
    subscription.on('confirmation', () => {
      if (!isOver) onEvent();
    });
    subscription.on('data', (resolved) => {
      const event = toStored(resolved as Resolved);
      if (!isOver && event !== undefined) onEvent(event);
    });
    subscription.on('error', fail);
    subscription.on('end', () => fail(new LogUnavailable('the subscription ended')));
    return () => {
      isOver = true;
      this.#track(subscription.unsubscribe());
    };
  }

  async tombstone(stream: string): Promise<void> {
    const doing = `deleting ${stream}`;
    await this.#limited(doing, this.#client.tombstoneStream(stream)).catch((error: unknown) => {
      throw asPortError(doing, error, stream);
    });
  }

  async close(): Promise<void> {
    await this.#client.dispose();
    // A call that was about to open its stream has opened it behind that.
    await this.#within(CLOSE_MS, Promise.allSettled(this.#pending));
    await this.#client.dispose();
    if (this.#isConnected) {
      const channel = this.#client.getChannel?.().then((open) => open.close());
      await this.#within(CLOSE_MS, channel ?? Promise.resolve());
    }
    this.#stopDropping();
  }

  /** What takes longer, or fails, is left behind. */
  async #within(ms: number, closing: Promise<unknown>): Promise<void> {
    await Promise.race([closing.catch(() => undefined), pause(ms, undefined, { ref: false })]);
  }

  /** Its failure is told by who waits for it, if anybody does. */
  #track(call: Promise<unknown>): void {
    this.#pending.add(call);
    const forget = (): void => void this.#pending.delete(call);
    void call.then(forget, forget);
  }

  #limited<T>(doing: string, answer: Promise<T>): Promise<T> {
    this.#isConnected = true;
    this.#pending.add(answer);
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => reject(new LogUnavailable(`${doing}: no answer in time`)), this.#timeoutMs);
      const over = (): void => {
        clearTimeout(timer);
        this.#pending.delete(answer);
      };
      answer.then(
        (value) => {
          over();
          resolve(value);
        },
        (error: unknown) => {
          over();
          reject(error instanceof Error ? error : new Error('a call failed', { cause: error }));
        },
      );
    });
  }

  /** Reads to the end: a reader that is left early would leak its call, so one that is too slow is cancelled. */
  #collect(doing: string, open: () => ClientReader): Promise<readonly StoredEvent[]> {
    return this.#readPlaces.hold(() => this.#read(doing, open()));
  }

  async #read(doing: string, reader: ClientReader): Promise<readonly StoredEvent[]> {
    takeAbsentAsEmpty(reader);
    try {
      return await this.#limited(doing, allOf(reader));
    } catch (error) {
      await reader.cancel?.().catch(() => undefined);
      reader.destroy?.();
      void reader.return?.().catch(() => undefined);
      throw error;
    }
  }
}

/** `actualVersion` in one client, `actualState` in the other: a revision, or that there is no stream. */
const actualOf = (error: unknown): WireRevision => {
  const { actualVersion, actualState } = error as { actualVersion?: unknown; actualState?: unknown };
  const actual = actualVersion ?? actualState;
  return typeof actual === 'bigint' ? Number(actual) : -1;
};
