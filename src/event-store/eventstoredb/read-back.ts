/**
 * Reads back what was just appended: the server answers an append with the position of its last event alone, and says of
 * ids that it knows what it would say of new ones.
 *
 * Many appends that are in flight together stand together in the log, so what waits is found by one read of that part of
 * it, and a stream is read by itself only for what is not found there.
 */
import type { EncodedRequest } from '../encoded-request.js';
import type { EventStoreDriver, StoredEvent } from './driver.js';

/** Fewer are read stream by stream: each is a short read, and they go together. */
const LEAST = 4;
/** Events of one read of the log, at most. */
const PAGE = 500;
/** Events of others that stand in between, usually. */
const BETWEEN = 50;
/** Events that a look at the log passes, at most, for each that is looked for: the others are other processes'. */
const PASSED = 4;

export interface JustAppended {
  readonly request: EncodedRequest;
  /** Of the first event. */
  readonly revision: number;
  /** Of the last event, as it was answered. */
  readonly position: bigint;
  /** Of an event that stood in the log before it was sent; below 0: none is known. */
  readonly after: bigint;
}

interface Waiting extends JustAppended {
  readonly found: (events: readonly StoredEvent[] | undefined) => void;
  readonly failed: (error: unknown) => void;
}

const keyOf = (stream: string, revision: number): string => `${revision} ${stream}`;

export class ReadBack {
  readonly #driver: EventStoreDriver;
  #waiting: Waiting[] = [];
  #isLooking = false;

  constructor(driver: EventStoreDriver) {
    this.#driver = driver;
  }

  /**
   * The events of the request, when they stand there.
   * @throws Unavailable
   */
  one({ request, revision }: Pick<JustAppended, 'request' | 'revision'>): Promise<readonly StoredEvent[] | undefined> {
    const { stream, events } = request;
    return this.#driver
      .readStream(stream, { from: revision, direction: 'forwards', limit: events.length })
      .then((there) => (isOf(request, there) ? there : undefined));
  }

  /** As `one`, together with others that wait. */
  together(appended: JustAppended): Promise<readonly StoredEvent[] | undefined> {
    return new Promise((found, failed) => {
      this.#waiting.push({ ...appended, found, failed });
      if (this.#isLooking) return;
      this.#isLooking = true;
      // What was answered in the same turn comes along.
      setImmediate(() => void this.#lookForAll());
    });
  }

  async #lookForAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      const isNew = ({ position, after }: JustAppended): boolean => after >= 0n && position > after;
      const fresh = waiting.filter(isNew);
      const left = waiting.filter((each) => !isNew(each));
      if (fresh.length < LEAST) left.push(...fresh);
      else left.push(...(await this.#lookFor(fresh)));
      for (const each of left) this.one(each).then(each.found, each.failed);
    }
    this.#isLooking = false;
  }

  /** @returns what was not found */
  async #lookFor(waiting: readonly Waiting[]): Promise<readonly Waiting[]> {
    const there = new Map<string, StoredEvent>();
    const wanted = waiting.reduce((sum, { request }) => sum + request.events.length, 0);
    const last = waiting.reduce((most, { position }) => (position > most ? position : most), 0n);
    const limit = Math.min(wanted + BETWEEN, PAGE);
    let from = waiting.reduce((least, { after }) => (after < least ? after : least), last);
    try {
      for (let passed = 0; passed <= PASSED * wanted && from < last;) {
        const page = await this.#driver.readAll({ from, direction: 'forwards', limit });
        for (const event of page) there.set(keyOf(event.stream, event.revision), event);
        passed += page.length;
        if (page.length < limit) break;
        from = page.at(-1)!.position;
      }
    } catch {
      // Read by itself each of them says what is wrong.
    }
    return waiting.filter(({ request, revision, found }) => {
      const events = request.events.flatMap((_, index) => there.get(keyOf(request.stream, revision + index)) ?? []);
      if (!isOf(request, events)) return true;
      found(events);
      return false;
    });
  }
}

const isOf = ({ events }: EncodedRequest, there: readonly StoredEvent[]): boolean =>
  events.every(({ id }, index) => there[index]?.id === id);
