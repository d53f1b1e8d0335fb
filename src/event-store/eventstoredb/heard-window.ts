/**
 * The last events that the subscription to the end of the log has brought, whole. Projections and readers of streams
 * that follow the end take them from here: each of them would read them once more, and a read costs this process more
 * than all that it does with what it reads.
 *
 * It holds nothing that is not in the log, in its order and without a gap. What it does not hold is read.
 */
import { performance } from 'node:perf_hooks';
import type { Position, ReadAllOptions, RecordedEvent } from '../event-store.js';
import { comparePositions } from '../event-store.js';
import { bytesOf } from '../event-bytes.js';
import { eventTest } from '../event-filter.js';
import type { TailPage } from '../subscription.js';
import type { StoredEvent } from './driver.js';
import { toRecorded } from './wire-event.js';

const MAX_EVENTS = 8_192;
const MAX_BYTES = 8 * 1_048_576;
/** After a silence of so long, ms, it is the log that is asked: of a subscription that hangs nothing is heard either. */
const FRESH_MS = 1_000;

export class HeardWindow {
  /** In the order of the log; those before `#first` were dropped. */
  #heard: (RecordedEvent | undefined)[] = [];
  #first = 0;
  #bytes = 0;
  #at = -Infinity;
  readonly #now: () => number;

  /** @param now of a clock that never goes back, ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  add(stored: StoredEvent): void {
    this.#at = this.#now();
    const event = toRecorded(stored);
    if (event === undefined) return;
    this.#heard.push(event);
    this.#bytes += bytesOf(event);
    while (this.#bytes > MAX_BYTES || this.#heard.length - this.#first > MAX_EVENTS) {
      this.#bytes -= bytesOf(this.#heard[this.#first]!);
      this.#heard[this.#first] = undefined;
      this.#first += 1;
    }
    if (this.#first < MAX_EVENTS) return;
    this.#heard = this.#heard.slice(this.#first);
    this.#first = 0;
  }

  clear(): void {
    this.#heard = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#at = -Infinity;
  }

  /** The page as the log has it, but for what was appended in the last moments; undefined: it has to be read. */
  page({ after, limit, filter }: ReadAllOptions): TailPage | undefined {
    const oldest = this.#heard[this.#first];
    if (oldest === undefined || after === undefined || !this.#isFresh()) return undefined;
    if (comparePositions(after, oldest.position) < 0) return undefined;
    const test = eventTest(filter);
    const events: RecordedEvent[] = [];
    let next = after;
    for (let index = this.#behind(after); index < this.#heard.length; index += 1) {
      if (events.length === limit) return { events, next, atEnd: false };
      const event = this.#heard[index]!;
      next = event.position;
      if (test(event)) events.push(event);
    }
    return { events, next, atEnd: true };
  }

  /** The event that stands exactly there; undefined: that has to be read. */
  at(position: Position): RecordedEvent | undefined {
    if (!this.#isFresh()) return undefined;
    const event = this.#heard[this.#behind(position) - 1];
    return event?.position === position ? event : undefined;
  }

  #isFresh(): boolean {
    return this.#now() <= this.#at + FRESH_MS;
  }

  /** Index of the first event behind a position. */
  #behind(position: Position): number {
    let [low, high] = [this.#first, this.#heard.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (comparePositions(this.#heard[middle]!.position, position) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
