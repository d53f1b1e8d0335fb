/**
 * Reads the one order over all streams. EventStoreDB keeps its own events there too, and others may use the same
 * server: what the ledger did not write is passed over, and remembered while nothing follows it, so that a server that
 * writes statistics through a quiet night is not read again at each look.
 */
import { eventTest } from '../event-filter.js';
import type { EventFilter, Head, Position, ReadAllOptions, RecordedEvent } from '../event-store.js';
import { comparePositions, START, Unsupported } from '../event-store.js';
import { GENESIS } from '../hash-chain.js';
import type { TailPage } from '../subscription.js';
import type { EventStoreDriver, StoredEvent } from './driver.js';
import type { StreamReader } from './stream-reader.js';
import { digestOf, toRecorded } from './wire-event.js';

/** Events of one call, where it is not known how many of them are wanted. */
const PAGE = 500;
/** The same where it is. */
const LARGEST_PAGE = 2_000;
/** Events that a page looks at, at most. */
const WINDOW = 4_000;
/** Events of the first call that looks for the head: usually the last one is ours. */
const GLANCE = 20;

const GENESIS_HASH = GENESIS.toString('hex');

const later = (a: Position, b: Position): Position => (comparePositions(a, b) >= 0 ? a : b);

interface Known {
  readonly head: Head;
  /** Behind the head, up to here, nothing is ours. */
  readonly looked: bigint;
}

type Direction = 'forwards' | 'backwards';

export class LogReader {
  readonly #driver: EventStoreDriver;
  readonly #streams: StreamReader;
  #known: Known = { head: { position: START, hash: GENESIS_HASH, at: null }, looked: 0n };

  constructor(driver: EventStoreDriver, streams: StreamReader) {
    this.#driver = driver;
    this.#streams = streams;
  }

  readAll(options: ReadAllOptions): Promise<TailPage> {
    const { filter = {}, direction = 'forwards' } = options;
    if (filter.streams !== undefined) return this.#readStreams(options, filter, direction);
    return direction === 'forwards' ? this.#readForwards(options) : this.#readBackwards(options);
  }

  async head(): Promise<Head> {
    let size = GLANCE;
    let from: bigint | undefined;
    let looked: bigint | undefined;
    for (;;) {
      const page = await this.#driver.readAll({
        direction: 'backwards',
        limit: size,
        ...(from !== undefined && { from }),
      });
      looked ??= page[0]?.position;
      const own = page.find((event) => toRecorded(event) !== undefined);
      const last = page.at(-1);
      if (own !== undefined) this.#know(own, looked ?? own.position);
      else if (last !== undefined && last.position > this.#known.looked && page.length === size) {
        from = last.position;
        size = PAGE;
        continue;
      }
      return this.#known.head;
    }
  }

  async hashAt(position: Position): Promise<string | null> {
    if (position === START) return GENESIS_HASH;
    const from = BigInt(position);
    try {
      const [event] = await this.#driver.readAll({ from, direction: 'forwards', limit: 1 });
      return event?.position === from ? digestOf(event) : null;
    } catch (error) {
      // A position between two events: of another log.
      if (error instanceof Unsupported) return null;
      throw error;
    }
  }

  #know(own: StoredEvent, looked: bigint): void {
    const at = toRecorded(own)?.at ?? null;
    if (own.position <= BigInt(this.#known.head.position) && looked <= this.#known.looked) return;
    this.#known = { head: { position: String(own.position), hash: digestOf(own), at }, looked };
  }

  async #readForwards({ after = START, limit, filter }: ReadAllOptions): Promise<TailPage> {
    const test = eventTest(filter);
    const events: RecordedEvent[] = [];
    let next = after;
    let last: StoredEvent | undefined;
    let cursor = this.#pastOthers(BigInt(after));
    for (let looked = 0, pages = 0; looked < WINDOW; pages += 1) {
      const from = cursor;
      // One more: the event that is read from comes again.
      const size = filter === undefined ? sizeOf(limit - events.length + 1) : growing(limit, pages);
      const page = await this.#driver.readAll({ direction: 'forwards', limit: size, ...(from > 0n && { from }) });
      for (const stored of page) {
        // The event at the position that is read from was looked at.
        if (from > 0n && stored.position <= from) continue;
        looked += 1;
        cursor = stored.position;
        const event = toRecorded(stored);
        if (event === undefined) continue;
        last = stored;
        next = event.position;
        if (test(event)) events.push(event);
        if (events.length === limit) return { events, next, atEnd: false };
      }
      if (page.length < size) {
        this.#knowEnd(last, next, cursor);
        return { events, next, atEnd: true };
      }
    }
    return { events, next: String(cursor), atEnd: false };
  }

  async #readBackwards({ after, limit, filter }: ReadAllOptions): Promise<TailPage> {
    const test = eventTest(filter);
    const events: RecordedEvent[] = [];
    let cursor = after === undefined ? undefined : BigInt(after);
    for (let looked = 0, pages = 0; looked < WINDOW; pages += 1) {
      const size = growing(limit, pages);
      if (cursor === 0n) return { events, next: START, atEnd: true };
      const page = await this.#readPageBackwards(cursor, size);
      for (const stored of page) {
        looked += 1;
        cursor = stored.position;
        const event = toRecorded(stored);
        if (event === undefined || !test(event)) continue;
        events.push(event);
        if (events.length === limit) return { events, next: event.position, atEnd: false };
      }
      if (page.length < size) return { events, next: START, atEnd: true };
    }
    return { events, next: String(cursor), atEnd: false };
  }

  /** From behind the end there is nothing to read backwards from: then from the end. */
  async #readPageBackwards(from: bigint | undefined, limit: number): Promise<readonly StoredEvent[]> {
    const options = { direction: 'backwards', limit } as const;
    if (from === undefined) return this.#driver.readAll(options);
    try {
      return await this.#driver.readAll({ ...options, from });
    } catch (error) {
      if (!(error instanceof Unsupported) || from <= BigInt((await this.head()).position)) throw error;
      return this.#driver.readAll(options);
    }
  }

  /** Streams that are named are read one by one and put in order: the rest of the log is not looked at. */
  async #readStreams({ after, limit }: ReadAllOptions, filter: EventFilter, direction: Direction): Promise<TailPage> {
    const isForwards = direction === 'forwards';
    const { position: head } = await this.head();
    const test = eventTest(filter);
    const names = [...new Set(filter.streams)];
    // What was appended since then may stand behind something that another of these reads does not see yet.
    const options = { direction, limit, upTo: head };
    const reads = await Promise.all(names.map((name) => this.#streams.behind(name, after, options)));
    // What is behind a full page was not looked at, so of no stream anything is given from there on.
    const edges = reads.flatMap((read) => (read.length === limit ? [read.at(-1)!.position] : []));
    const sign = isForwards ? 1 : -1;
    const order = (a: Position, b: Position): number => sign * comparePositions(a, b);
    const edge = edges.sort(order)[0];
    const found = reads
      .flat()
      .filter((event) => test(event) && (edge === undefined || order(event.position, edge) <= 0))
      .sort((a, b) => order(a.position, b.position));
    const events = found.slice(0, limit);
    if (events.length === limit) return { events, next: events.at(-1)!.position, atEnd: false };
    if (edge !== undefined) return { events, next: edge, atEnd: false };
    return { events, next: isForwards ? later(head, after ?? START) : START, atEnd: true };
  }

  #pastOthers(after: bigint): bigint {
    const { head, looked } = this.#known;
    return after >= BigInt(head.position) && after < looked ? looked : after;
  }

  /** Everything up to `end` was looked at: behind `last`, the last event of ours, nothing is. */
  #knowEnd(last: StoredEvent | undefined, position: Position, end: bigint): void {
    if (last !== undefined) this.#know(last, end);
    else if (position === this.#known.head.position && end > this.#known.looked) {
      this.#known = { head: this.#known.head, looked: end };
    }
  }
}

/** Each event is wanted, but for a few of the server's own. */
const sizeOf = (wanted: number): number => Math.min(Math.max(wanted, 50), LARGEST_PAGE);

/** A filter drops some, or most. */
const growing = (limit: number, pages: number): number => Math.min(Math.max(limit + 1, 50) * 2 ** pages, PAGE);
