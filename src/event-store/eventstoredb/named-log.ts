/**
 * Holds a database to one log among those elsewhere: the log says its name, the database keeps it. With another log, one
 * more server or an emptied one, rows would be of jobs that it does not have, and what is written there would be lost to the
 * right one. So nothing is read or written before both said the same, and again after each time that the connection broke.
 */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { LogUnavailable } from '../event-store.js';
import { execute } from '../postgres/connection.js';
import { OtherLog } from '../postgres/place-of-log.js';
import type {
  EventStoreDriver,
  ReadFromAll,
  ReadFromStream,
  StoredEvent,
  WireAppended,
  WireEvent,
  WireRevision,
} from './driver.js';

/** Not of a job, and its event has nothing that the ledger reads as its own: readers of the log pass over it. */
const STREAM = 'jobledger-log';
const TYPE = 'LogNamed';

const OTHER =
  'the log at JOBLEDGER_EVENTSTOREDB_URL is not the one whose jobs the database has rows of: name the server that keeps that log, or give this one a database of its own';

export class NamedLog implements EventStoreDriver {
  readonly #driver: EventStoreDriver;
  readonly #pool: pg.Pool;
  /** Undefined until it is asked for, when it failed, and since the connection broke. */
  #bound: Promise<void> | undefined;

  constructor(driver: EventStoreDriver, pool: pg.Pool) {
    this.#driver = driver;
    this.#pool = pool;
  }

  /**
   * Names a log that has no name, and binds a database that has none.
   * @throws OtherLog when they are not of each other
   * @throws Unavailable when one of them does not answer
   */
  bind(): Promise<void> {
    if (this.#bound !== undefined) return this.#bound;
    const bound = this.#bind().catch((error: unknown) => {
      if (this.#bound === bound) this.#bound = undefined;
      throw error;
    });
    return (this.#bound = bound);
  }

  async append(stream: string, expected: WireRevision, events: readonly WireEvent[]): Promise<WireAppended> {
    await this.#same();
    return this.#driver.append(stream, expected, events);
  }

  async readStream(stream: string, options: ReadFromStream): Promise<readonly StoredEvent[]> {
    await this.#same();
    return this.#driver.readStream(stream, options);
  }

  async readAll(options: ReadFromAll): Promise<readonly StoredEvent[]> {
    await this.#same();
    return this.#driver.readAll(options);
  }

  subscribeToEnd(onEvent: (event?: StoredEvent) => void, onFailure: (error: Error) => void): () => void {
    let isOver = false;
    let stop: (() => void) | undefined;
    const fail = (error: unknown): void => {
      // Who answers when it is made again may be another server.
      this.#bound = undefined;
      if (isOver) return;
      isOver = true;
      onFailure(error as Error);
    };
    void this.#same().then(() => {
      if (!isOver) stop = this.#driver.subscribeToEnd(onEvent, fail);
    }, fail);
    return () => {
      isOver = true;
      stop?.();
    };
  }

  async tombstone(stream: string): Promise<void> {
    await this.#same();
    return this.#driver.tombstone(stream);
  }

  close(): Promise<void> {
    return this.#driver.close();
  }

  /** As `bind`, for whoever can only wait: another log is no log to work with. */
  async #same(): Promise<void> {
    try {
      await this.bind();
    } catch (error) {
      throw error instanceof OtherLog ? new LogUnavailable(error.message, { cause: error }) : error;
    }
  }

  async #bind(): Promise<void> {
    const [bound, name] = [await this.#boundName(null), await this.#name()];
    if (name === undefined && bound !== null) throw new OtherLog(OTHER);
    const found = name ?? (await this.#nameIt());
    if ((await this.#boundName(found)) !== found) throw new OtherLog(OTHER);
  }

  async #boundName(name: string | null): Promise<string | null> {
    const text = 'select jobledger.bind_named_log($1)';
    const [row] = await execute(this.#pool, 'asking for the log', { text, values: [name], rowMode: 'array' });
    return row?.[0] ?? null;
  }

  async #name(): Promise<string | undefined> {
    const [first] = await this.#driver.readStream(STREAM, { direction: 'forwards', limit: 1 });
    const name = (first?.data as { readonly log?: unknown } | undefined)?.log;
    return typeof name === 'string' ? name : undefined;
  }

  /** Whoever is first names it. */
  async #nameIt(): Promise<string> {
    const log = randomUUID();
    const metadata = new TextEncoder().encode('{}');
    const { ok } = await this.#driver.append(STREAM, -1, [{ id: log, type: TYPE, data: { log }, metadata }]);
    const name = ok ? log : await this.#name();
    if (name === undefined) throw new OtherLog(`the stream ${STREAM} of the log does not begin with its name`);
    return name;
  }
}
