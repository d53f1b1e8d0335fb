/** One reader of the log from a position on: in pages, until it meets the tail, then with the tail. */
import { eventTest } from '../event-store/event-filter.js';
import {
  comparePositions,
  Unavailable,
  type CaughtUp,
  type EventStore,
  type Page,
  type Position,
  type RecordedEvent,
} from '../event-store/event-store.js';
import { bytesOf } from '../event-store/event-bytes.js';
import type { FollowOptions, LogTail } from './log-tail.js';
import { LogReplaced } from './log-witness.js';
import { pauseFor, Wake } from './wake.js';

/** A page is read whole into memory, so how many events it has follows from how large the last ones were. */
const FIRST_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 500;
const PAGE_BYTES = 1_048_576;
const RETRY_MS = 500;

export interface FollowerDependencies {
  readonly store: EventStore;
  readonly tail: LogTail;
  readonly maxBuffered: number;
  readonly maxBufferedBytes: number;
}

/**
 * Live events that wait for the reader. While it reads pages nothing is kept: the tail's position tells when a page
 * has met it, and from that very moment on every event is.
 */
class LiveBuffer {
  private events: RecordedEvent[] = [];
  private bytes = 0;
  private live = false;
  /** Everything up to here was taken, or does not pass the filter. */
  private takenTo: Position = '0';
  private heardTo: Position = '0';
  readonly wake = new Wake();

  constructor(
    private readonly passes: (event: RecordedEvent) => boolean,
    private readonly maxBuffered: number,
    private readonly maxBufferedBytes: number,
  ) {}

  get isLive(): boolean {
    return this.live;
  }

  get position(): Position {
    return this.takenTo;
  }

  /** From now on events are kept; those up to the position were read. */
  begin(position: Position): void {
    this.live = true;
    this.takenTo = position;
    this.heardTo = position;
  }

  hear(events: readonly RecordedEvent[]): void {
    if (!this.live) return;
    for (const event of events) {
      if (comparePositions(event.position, this.heardTo) <= 0) continue;
      this.heardTo = event.position;
      if (!this.passes(event)) continue;
      this.events.push(event);
      this.bytes += bytesOf(event);
    }
    if (this.events.length > this.maxBuffered || this.bytes > this.maxBufferedBytes) {
      // The log has them: they are read again from there.
      this.live = false;
      this.drop();
    }
    this.wake.wake();
  }

  take(): readonly RecordedEvent[] {
    const taken = this.events;
    this.drop();
    if (this.live) this.takenTo = this.heardTo;
    return taken;
  }

  private drop(): void {
    this.events = [];
    this.bytes = 0;
  }
}

/** As many events like these as make a page. */
const nextSize = (events: readonly RecordedEvent[], size: number): number => {
  if (events.length === 0) return size;
  const bytes = events.reduce((sum, event) => sum + bytesOf(event), 0);
  return Math.min(MAX_PAGE_SIZE, Math.max(1, Math.floor((PAGE_BYTES * events.length) / bytes)));
};

/** Resolves as soon as the signal is aborted: nobody waits for an answer that nobody wants. */
const unlessAborted = async <T>(signal: AbortSignal, answer: Promise<T>): Promise<T | undefined> => {
  let stop: (() => void) | undefined;
  const cancelled = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([answer, cancelled]);
  } finally {
    signal.removeEventListener('abort', stop!);
  }
};

/** Undefined when the signal was aborted. A log that is away is asked again. */
const readPage = async (
  store: EventStore,
  after: Position,
  limit: number,
  options: FollowOptions,
): Promise<Page | undefined> => {
  const { filter, signal } = options;
  while (!signal.aborted) {
    try {
      return await unlessAborted(signal, store.readAll({ after, limit, ...(filter && { filter }), following: true }));
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      await pauseFor(RETRY_MS, signal);
    }
  }
  return undefined;
};

export async function* follow(
  { store, tail, maxBuffered, maxBufferedBytes }: FollowerDependencies,
  after: Position,
  options: FollowOptions,
): AsyncGenerator<readonly RecordedEvent[] | CaughtUp, void, undefined> {
  const { filter, signal } = options;
  const buffer = new LiveBuffer(eventTest(filter), maxBuffered, maxBufferedBytes);
  const replaced = new AbortController();
  const unsubscribe = tail.subscribe(
    (events) => buffer.hear(events),
    () => {
      replaced.abort();
      buffer.wake.wake();
    },
  );
  signal.addEventListener('abort', buffer.wake.wake);
  let cursor = after;
  let size = FIRST_PAGE_SIZE;
  try {
    while (!signal.aborted) {
      if (replaced.signal.aborted) throw new LogReplaced();
      if (buffer.isLive) {
        buffer.wake.clear();
        const events = buffer.take();
        cursor = buffer.position;
        if (events.length > 0) yield events;
        else await buffer.wake.wait();
        continue;
      }
      const page = await readPage(store, cursor, size, options);
      if (page === undefined) return;
      size = nextSize(page.events, size);
      if (page.events.length > 0) tail.saw(page.events.at(-1)!);
      const atEnd = page.next === cursor;
      cursor = page.next;
      const end = tail.current();
      const met = end !== null && comparePositions(cursor, end) >= 0;
      if (met) buffer.begin(cursor);
      if (page.events.length > 0) yield page.events;
      if (met) yield { caughtUp: cursor };
      else if (atEnd) await unlessAborted(signal, tail.started());
    }
  } finally {
    signal.removeEventListener('abort', buffer.wake.wake);
    unsubscribe();
  }
}
