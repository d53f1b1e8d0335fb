/**
 * Whether the log is what was once written: computes every leaf and the chain of batch hashes anew.
 *
 * Danger: it reads the whole log, in pages, from a pool that others use. Who owns the database can write a whole new
 * chain; to see that, compare the hash in the verdict with a head that was kept elsewhere (`GET /v1/log/head`).
 */
import type pg from 'pg';
import { comparePositions, START, type Position } from '../event-store.js';
import { batchHash, eventLeaf, GENESIS, storedContentHash } from '../hash-chain.js';
import { asText, execute } from './connection.js';
import { copyRows, type CopiedRow } from './copy-rows.js';

export interface VerifyOptions {
  /** A head that was kept elsewhere: a log whose whole chain was written anew does not have it. */
  readonly kept?: { readonly position: Position; readonly hash: string } | null | undefined;
  /** Called after each page, and where the log is no longer right, with the last position up to which whole batches are, and that of the head. */
  readonly onProgress?: (position: Position, head: Position) => void;
  /** Stops with the signal's reason as the error. */
  readonly signal?: AbortSignal;
}

export type Verdict =
  | { readonly ok: true; readonly firstBad: null; readonly position: Position; readonly hash: string }
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
  readonly position: bigint;
  /** Epoch microseconds. */
  readonly at: number;
  /** Whether what is stored is what was written there. */
  readonly isRight: boolean;
  /** Computed. */
  readonly leaf: Buffer;
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

export const verifyLog = async (
  pool: pg.Pool,
  { kept = null, onProgress, signal }: VerifyOptions = {},
): Promise<Verdict> => {
  const log = new StoredLog(pool);
  const head = await log.head();
  const keptHead = new KeptHead(kept);
  let link: Link = { batch: 0n, position: 0n, at: -Infinity, hash: GENESIS };
  const tell = (): void => onProgress?.(String(link.position), String(head > link.position ? head : link.position));
  try {
    for (;;) {
      signal?.throwIfAborted();
      const batches = await log.batches(link.batch);
      if (batches.length === 0) break;
      const events = await log.events(link.position, batches.at(-1)!.last);
      for (const batch of batches) {
        link = next(link, batch, events);
        keptHead.check(link);
      }
      tell();
      if (link.position >= head) break;
    }
    const stray = await log.firstBeyondBatches();
    if (stray !== undefined) throw new Bad(stray, 'the event belongs to no batch');
    keptHead.checkEnd(link);
    return { ok: true, firstBad: null, position: String(link.position), hash: link.hash.toString('hex') };
  } catch (error) {
    if (!(error instanceof Bad)) throw error;
    tell();
    return { ok: false, firstBad: String(error.position), reason: error.message };
  }
};

/** Whether the chain passes through a head that was kept elsewhere. */
class KeptHead {
  readonly #position: Position;
  readonly #hash: string;
  #isFound: boolean;

  constructor(kept: VerifyOptions['kept']) {
    this.#position = kept?.position ?? START;
    this.#hash = kept?.hash ?? GENESIS.toString('hex');
    this.#isFound = this.#position === START && this.#hash === GENESIS.toString('hex');
  }

  check({ position, hash }: Link): void {
    if (this.#isFound || comparePositions(String(position), this.#position) < 0) return;
    if (String(position) !== this.#position) throw new Bad(BigInt(this.#position), 'no batch ends at the kept head');
    if (hash.toString('hex') !== this.#hash) {
      throw new Bad(position, 'the log up to here is not the one whose head was kept: it was written anew');
    }
    this.#isFound = true;
  }

  checkEnd({ position }: Link): void {
    if (this.#isFound) return;
    throw new Bad(position + 1n, `the log ends before the kept head at ${this.#position}: its end is missing`);
  }
}

const next = (link: Link, batch: Batch, events: EventCursor): Link => {
  const first = link.position + 1n;
  if (batch.number !== link.batch + 1n) throw new Bad(first, `batch ${link.batch + 1n} is missing`);
  if (batch.first !== first) throw new Bad(first, `batch ${batch.number} begins at position ${batch.first}`);
  if (batch.at < link.at) throw new Bad(first, `batch ${batch.number} is earlier than the one before it`);
  if (batch.at % 1000 !== 0) throw new Bad(first, `the time of batch ${batch.number} was changed`);
  const leaves: Buffer[] = [];
  for (let position = first; position <= batch.last; position += 1n) {
    const event = events.take(position);
    if (event === undefined) throw new Bad(position, 'the event is missing');
    if (event.at !== batch.at) throw new Bad(position, 'its time is not that of its batch');
    if (!event.isRight) throw new Bad(position, 'it is not what was written there');
    leaves.push(event.leaf);
  }
  const hash = batchHash({ previous: link.hash, batch: batch.number, at: batch.at / 1000, first, leaves });
  if (hash.toString('hex') !== batch.hash) {
    throw new Bad(first, `the hash of batch ${batch.number} is not that of what it holds`);
  }
  return { batch: batch.number, position: batch.last, at: batch.at, hash };
};

/** Events in the order of their positions, taken one after the other. */
class EventCursor {
  #next = 0;

  constructor(private readonly events: readonly StoredEvent[]) {}

  /** Undefined when the next event is not at the position. */
  take(position: bigint): StoredEvent | undefined {
    const event = this.events[this.#next];
    if (event?.position !== position) return undefined;
    this.#next += 1;
    return event;
  }
}

const EVENT_COLUMNS = 'position, revision, version, at, leaf, stream, id, type, data, metadata';

const storedEvent = (row: CopiedRow): StoredEvent => {
  const position = row.int8();
  const revision = row.int4();
  const version = row.int4();
  const at = row.epochUs();
  const leaf = row.raw();
  const content = storedContentHash({
    stream: row.raw(),
    id: row.raw(),
    type: row.raw(),
    version,
    data: row.raw(),
    metadata: row.raw(),
  });
  const computed = eventLeaf(position, revision, content);
  return { position, at, isRight: computed.equals(leaf), leaf: computed };
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

  async events(after: bigint, last: bigint): Promise<EventCursor> {
    const events: StoredEvent[] = [];
    const range = `position > ${after} and position <= ${last}`;
    const select = `select ${EVENT_COLUMNS} from jobledger.events where ${range} order by position`;
    await copyRows(this.#pool, 'verifying the log', select, (row) => void events.push(storedEvent(row)));
    return new EventCursor(events);
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
