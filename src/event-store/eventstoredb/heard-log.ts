/**
 * What the subscription to the end of the log has said: which events came, where, and where their streams end. Who
 * appended something waits until it is heard of, and needs no read to know what stands before it: a read costs this
 * process half a millisecond, and what is heard comes anyway.
 *
 * It says nothing that is not in the log: events are heard once they are committed, in order, without a gap. When the
 * subscription breaks all is forgotten, and who asks reads.
 */
import type { JsonObject } from '../event-store.js';
import { Recent } from '../recent.js';
import { RESERVED_KEY } from '../encoded-request.js';
import type { EncodedRequest } from '../encoded-request.js';
import type { StoredEvent } from './driver.js';
import { HeardWindow } from './heard-window.js';

/** Events that are kept, without their data: 300 bytes each. */
const EVENTS = 20_000;
/** Streams of a generation, of 200 bytes each; two are kept. */
const STREAMS = 25_000;
/** Longest wait for the subscription, ms: then it is read. */
const PATIENCE_MS = 500;

interface HeardStream {
  /** Where its first event stands; undefined: it was not heard. */
  readonly first: bigint | undefined;
  readonly revision: number;
}

interface Waiter {
  readonly position: bigint;
  readonly resolve: (isReached: boolean) => void;
  readonly timer: NodeJS.Timeout;
}

/** An event of its own, of whoever wrote the row, that stands where the watched stream is asked about. */
export interface Beside {
  readonly stream: string;
  readonly position: bigint;
}

const keyOf = (stream: string, revision: number): string => `${revision} ${stream}`;

/** Its time is all that is asked of it. */
const withoutData = (event: StoredEvent): StoredEvent => {
  const { id, type, stream, revision, position } = event;
  const own = (event.metadata as JsonObject | null | undefined)?.[RESERVED_KEY];
  const metadata = own === undefined ? {} : { [RESERVED_KEY]: own };
  return { id, type, stream, revision, position, data: {}, metadata };
};

export class HeardLog {
  /** For those who follow the end. */
  readonly window = new HeardWindow();
  #isLive = false;
  /** Everything up to here was heard, from where the subscription began. */
  #highest = -1n;
  #events = new Recent<string, StoredEvent>(EVENTS);
  #young = new Map<string, HeardStream>();
  #old = new Map<string, HeardStream>();
  /** Where the young ones begin: nothing of the old ones was heard of behind it. */
  #youngFrom = -1n;
  /** What was forgotten has nothing behind it. */
  #forgotten = -1n;
  #waiting: Waiter[] = [];

  /** From now on every event is heard. */
  begin(): void {
    this.#isLive = true;
  }

  hear(event: StoredEvent): void {
    const { stream, revision, position } = event;
    this.#highest = position;
    this.window.add(event);
    this.#events.set(keyOf(stream, revision), withoutData(event));
    const known = this.#streamOf(stream);
    if (known === undefined && this.#young.size >= STREAMS) {
      this.#forgotten = this.#youngFrom;
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngFrom = position;
    }
    const first = known === undefined && revision === 0 ? position : known?.first;
    this.#young.set(stream, { first, revision });
    const isReached = (waiter: Waiter): boolean => waiter.position <= position;
    if (this.#waiting.some(isReached)) this.#settle(isReached);
  }

  /** The subscription broke: what comes until there is another is not heard. */
  forget(): void {
    this.#isLive = false;
    this.window.clear();
    this.#highest = -1n;
    this.#events = new Recent(EVENTS);
    this.#young = new Map();
    this.#old = new Map();
    this.#youngFrom = -1n;
    this.#forgotten = -1n;
    this.#settle(() => true, false);
  }

  /** Events of a request that were appended up to a position; undefined: they were not heard, or are others. */
  async eventsOf(
    { stream, events }: EncodedRequest,
    revision: number,
    position: bigint,
  ): Promise<readonly StoredEvent[] | undefined> {
    if (!(await this.#reached(position))) return undefined;
    const there = events.flatMap(({ id }, index) => {
      const event = this.#events.get(keyOf(stream, revision + index));
      return event?.id === id ? event : [];
    });
    return there.length === events.length ? there : undefined;
  }

  /**
   * Last revision of a stream once everything up to `beside` was in the log, -1 without events; undefined: it has to be
   * read. Of two streams that are heard of together the one that has no event yet has none from before the other.
   */
  async endOf(stream: string, beside: Beside): Promise<number | undefined> {
    if (!(await this.#reached(beside.position))) return undefined;
    const known = this.#streamOf(stream);
    if (known !== undefined) return known.revision;
    const first = this.#streamOf(beside.stream)?.first;
    return first !== undefined && first > this.#forgotten ? -1 : undefined;
  }

  #streamOf(stream: string): HeardStream | undefined {
    return this.#young.get(stream) ?? this.#old.get(stream);
  }

  #reached(position: bigint): Promise<boolean> {
    if (this.#highest >= position) return Promise.resolve(true);
    if (!this.#isLive) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        resolve(false);
      }, PATIENCE_MS);
      const waiter = { position, resolve, timer };
      this.#waiting.push(waiter);
    });
  }

  #settle(isOver: (waiter: Waiter) => boolean, isReached = true): void {
    const over = this.#waiting.filter(isOver);
    this.#waiting = this.#waiting.filter((waiter) => !isOver(waiter));
    for (const { resolve, timer } of over) {
      clearTimeout(timer);
      resolve(isReached);
    }
  }
}
