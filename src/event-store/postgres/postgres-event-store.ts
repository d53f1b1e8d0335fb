/**
 * The log in PostgreSQL, schema `jobledger`. `migrations/000001-log.sql` holds the tables and the one function that
 * writes them.
 *
 * Positions are dense: a reader that has seen position n asks for n + 1 and can prove that it missed nothing.
 */
import type pg from 'pg';
import type { BesideTable } from '../beside-table.js';
import type {
  AppendRequest,
  AppendResult,
  CaughtUp,
  EventStore,
  Head,
  Page,
  Position,
  ReadAllOptions,
  ReadStreamOptions,
  RecordedEvent,
  SubscribeOptions,
} from '../event-store.js';
import { START } from '../event-store.js';
import { GENESIS } from '../hash-chain.js';
import type { TailPage } from '../subscription.js';
import { tail } from '../subscription.js';
import { AppendListener } from './append-listener.js';
import { Appender } from './appender.js';
import type { ConnectionConfig } from './connection.js';
import { asText, createLogPool, execute } from './connection.js';
import { EventReader } from './event-reader.js';
import { SharedAppends } from './shared-appends.js';
import { rfc3339 } from './timestamps.js';
import type { VerifyOptions, Verdict } from './verify-log.js';
import { verifyLog } from './verify-log.js';

export type PostgresEventStoreConfig = {
  /** Every beside table, in the order in which they are written and so locked. */
  readonly besideTables?: readonly BesideTable[];
  /** Longest wait of a subscription between two looks at the log, in milliseconds; default 500. */
  readonly pollMs?: number;
  /** Another one of the same log, whose wake-ups this one shares instead of listening itself. */
  readonly wokenBy?: EventStore;
} & (
  | ConnectionConfig
  /** Made by `createLogPool`; it stays open when the store is closed. */
  | { readonly pool: pg.Pool }
);

export class PostgresEventStore implements EventStore {
  readonly #pool: pg.Pool;
  readonly #ownsPool: boolean;
  readonly #appender: Appender;
  readonly #appends: SharedAppends;
  readonly #reader: EventReader;
  readonly #listener: AppendListener;
  readonly #wokenBy: Pick<EventStore, 'onAppended'>;
  readonly #pollMs: number;

  constructor(config: PostgresEventStoreConfig) {
    const { besideTables = [], pollMs = 500 } = config;
    this.#ownsPool = !('pool' in config);
    this.#pool = 'pool' in config ? config.pool : createLogPool(config);
    this.#listener = new AppendListener(this.#pool.options, (pid) => pid === this.#appender.pid);
    this.#appender = new Appender(this.#pool, besideTables, () => this.#listener.hasOthers(this.#pool));
    this.#appends = new SharedAppends((requests) => this.#appender.append(requests));
    this.#reader = new EventReader(this.#pool);
    this.#wokenBy = config.wokenBy ?? { onAppended: (...listeners) => this.#listener.listen(...listeners) };
    this.#pollMs = pollMs;
  }

  async append(requests: readonly AppendRequest[]): Promise<readonly AppendResult[]> {
    const results = await this.#appends.append(requests);
    this.#listener.wake();
    return results;
  }

  readStream(stream: string, options?: ReadStreamOptions): Promise<readonly RecordedEvent[]> {
    return this.#reader.readStream(stream, options);
  }

  async readAll(options: ReadAllOptions): Promise<Page> {
    const { events, next } = await this.#reader.readAll(options);
    return { events, next };
  }

  subscribe(options: SubscribeOptions): AsyncIterable<readonly RecordedEvent[] | CaughtUp> {
    const { filter } = options;
    return tail(
      {
        read: (after, limit) => this.#reader.readAll({ after, limit, ...(filter && { filter }) }),
        onAppended: (listener) => this.onAppended(listener),
        pollMs: this.#pollMs,
        ...(filter === undefined && { verify: assertDense }),
      },
      options,
    );
  }

  async head(): Promise<Head> {
    const [row] = await this.#batch('head', 'order by batch desc limit 1', []);
    return row === undefined
      ? { position: START, hash: GENESIS.toString('hex'), at: null }
      : { position: row[0]!, hash: row[1]!, at: rfc3339(row[2]!) };
  }

  async hashAt(position: Position): Promise<string | null> {
    if (position === START) return GENESIS.toString('hex');
    const [row] = await this.#batch('batch_at', 'where last_position >= $1 order by last_position limit 1', [position]);
    return row?.[1] ?? null;
  }

  onAppended(listener: () => void, onBroken?: () => void): () => void {
    return this.#wokenBy.onAppended(listener, onBroken);
  }

  /** Computes the chain of hashes from the first event on and compares it with what is stored. */
  verify(options?: VerifyOptions): Promise<Verdict> {
    return verifyLog(this.#pool, options);
  }

  /** Ends its connections when what runs on them is done. Subscriptions end by their own signals. */
  async close(): Promise<void> {
    await this.#appends.idle();
    await this.#appender.close();
    await this.#listener.close();
    if (this.#ownsPool && !this.#pool.ending) await this.#pool.end();
  }

  #batch(name: string, where: string, values: readonly unknown[]): Promise<string[][]> {
    const text = `select last_position, encode(hash, 'hex'), at from jobledger.batches ${where}`;
    return execute(this.#pool, 'reading the head of the log', {
      name,
      text,
      values: [...values],
      rowMode: 'array',
      types: asText,
    });
  }
}

/** The append cannot leave a hole: one would mean that somebody else wrote, or removed, rows. */
const assertDense = (after: Position, { events }: TailPage): void => {
  let expected = BigInt(after);
  for (const { position } of events) {
    expected += 1n;
    if (BigInt(position) !== expected) {
      throw new Error(`the log has a hole: position ${expected} is missing before ${position}`);
    }
  }
};
