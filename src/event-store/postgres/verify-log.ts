/**
 * Whether the log is what was once written: computes every leaf and the chain of batch hashes anew.
 *
 * Danger: it reads the whole log, in pages, from a pool that others use. Who owns the database can write a whole new
 * chain; to see that, compare the hash in the verdict with a head that was kept elsewhere (`GET /v1/log/head`).
 */
import type pg from 'pg';
import type { Position } from '../event-store.js';
import { batchHash, contentHash, eventLeaf, GENESIS } from '../hash-chain.js';
import { asText, execute } from './connection.js';

export interface VerifyOptions {
  /** Called after each page with the last position that was found right, and that of the head. */
  readonly onProgress?: (position: Position, head: Position) => void;
  /** Stops with the signal's reason as the error. */
  readonly signal?: AbortSignal;
}

export type Verdict =
  | { readonly ok: true; readonly position: Position; readonly hash: string }
  | { readonly ok: false; readonly firstBad: Position; readonly reason: string };

/** Batches and events of one page; a batch is always whole. */
const BATCHES = 200;
const EVENTS = 5_000;

interface Batch {
  readonly number: bigint;
  readonly first: bigint;
  readonly last: bigint;
  /** Epoch microseconds, as exact as it is stored; what was written has whole milliseconds. */
  readonly at: number;
  readonly hash: string;
}

interface StoredEvent {
  readonly at: number;
  readonly leaf: string;
  readonly computed: Buffer;
}

/** Where the log stops being right, and why. */
class Bad extends Error {
  constructor(
    readonly position: bigint,
    reason: string,
  ) {
    super(reason);
  }
}

const EPOCH_US = '(extract(epoch from at) * 1000000)::bigint';

/** Verified so far. */
interface Link {
  readonly batch: bigint;
  readonly position: bigint;
  readonly at: number;
  readonly hash: Buffer;
}

export const verifyLog = async (pool: pg.Pool, { onProgress, signal }: VerifyOptions = {}): Promise<Verdict> => {
  const log = new StoredLog(pool);
  const head = await log.head();
  let link: Link = { batch: 0n, position: 0n, at: -Infinity, hash: GENESIS };
  try {
    for (;;) {
      signal?.throwIfAborted();
      const batches = await log.batches(link.batch);
      if (batches.length === 0) break;
      const events = await log.events(link.position, batches.at(-1)!.last);
      for (const batch of batches) link = next(link, batch, events);
      onProgress?.(String(link.position), String(head > link.position ? head : link.position));
      if (link.position >= head) break;
    }
    const stray = await log.firstBeyondBatches();
    if (stray !== undefined) throw new Bad(stray, 'the event belongs to no batch');
    return { ok: true, position: String(link.position), hash: link.hash.toString('hex') };
  } catch (error) {
    if (!(error instanceof Bad)) throw error;
    return { ok: false, firstBad: String(error.position), reason: error.message };
  }
};

const next = (link: Link, batch: Batch, events: ReadonlyMap<bigint, StoredEvent>): Link => {
  const first = link.position + 1n;
  if (batch.number !== link.batch + 1n) throw new Bad(first, `batch ${link.batch + 1n} is missing`);
  if (batch.first !== first) throw new Bad(first, `batch ${batch.number} begins at position ${batch.first}`);
  if (batch.at < link.at) throw new Bad(first, `batch ${batch.number} is earlier than the one before it`);
  if (batch.at % 1000 !== 0) throw new Bad(first, `the time of batch ${batch.number} was changed`);
  const own: StoredEvent[] = [];
  for (let position = first; position <= batch.last; position += 1n) {
    const event = events.get(position);
    if (event === undefined) throw new Bad(position, 'the event is missing');
    if (event.at !== batch.at) throw new Bad(position, 'its time is not that of its batch');
    if (event.leaf !== event.computed.toString('hex')) throw new Bad(position, 'it is not what was written there');
    own.push(event);
  }
  const hash = batchHash({
    previous: link.hash,
    batch: batch.number,
    at: batch.at / 1000,
    first,
    leaves: own.map(({ computed }) => computed),
  });
  if (hash.toString('hex') !== batch.hash) {
    throw new Bad(first, `the hash of batch ${batch.number} is not that of what it holds`);
  }
  return { batch: batch.number, position: batch.last, at: batch.at, hash };
};

const storedEvent = (row: readonly string[]): [bigint, StoredEvent] => {
  const [position, revision, version, at, leaf] = row;
  const [stream, id, type, data, metadata] = row.slice(5) as [string, string, string, string, string];
  const content = contentHash({ stream, id, type, version: Number(version), data, metadata });
  const computed = eventLeaf(BigInt(position!), Number(revision), content);
  return [BigInt(position!), { at: Number(at), leaf: leaf!, computed }];
};

class StoredLog {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async head(): Promise<bigint> {
    const [row] = await this.#query('select last_position from jobledger.batches order by batch desc limit 1', []);
    return BigInt(row?.[0] ?? 0);
  }

  /** The batches after one, as many as make a page, at least one. */
  async batches(after: bigint): Promise<Batch[]> {
    const rows = await this.#query(
      `select batch, first_position, last_position, ${EPOCH_US}, encode(hash, 'hex')
       from (
         select *, sum(last_position - first_position + 1) over (order by batch) as events
         from (select * from jobledger.batches where batch > $1 order by batch limit ${BATCHES}) page
       ) page
       where events <= ${EVENTS} or batch = (select min(batch) from jobledger.batches where batch > $1)
       order by batch`,
      [String(after)],
    );
    return rows.map(([number, first, last, at, hash]) => ({
      number: BigInt(number!),
      first: BigInt(first!),
      last: BigInt(last!),
      at: Number(at),
      hash: hash!,
    }));
  }

  async events(after: bigint, last: bigint): Promise<ReadonlyMap<bigint, StoredEvent>> {
    const rows = await this.#query(
      `select position, revision, version, ${EPOCH_US}, encode(leaf, 'hex'), stream, id, type, data, metadata
       from jobledger.events where position > $1 and position <= $2 order by position`,
      [String(after), String(last)],
    );
    return new Map(rows.map(storedEvent));
  }

  async firstBeyondBatches(): Promise<bigint | undefined> {
    const [row] = await this.#query(
      `select min(position) from jobledger.events
       where position > coalesce((select max(last_position) from jobledger.batches), 0)
       having count(*) > 0`,
      [],
    );
    return row && BigInt(row[0]!);
  }

  #query(text: string, values: string[]): Promise<string[][]> {
    return execute(this.#pool, 'verifying the log', { text, values, rowMode: 'array', types: asText });
  }
}
