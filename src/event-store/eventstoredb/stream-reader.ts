/** Reads streams of the ledger: by revision, and by position. */
import type { Position, ReadStreamOptions, RecordedEvent } from '../event-store.js';
import { comparePositions } from '../event-store.js';
import type { EventStoreDriver } from './driver.js';
import { toRecorded } from './wire-event.js';

/** Events of one call. */
const PAGE = 1_000;

type Direction = 'forwards' | 'backwards';

export class StreamReader {
  readonly #driver: EventStoreDriver;

  constructor(driver: EventStoreDriver) {
    this.#driver = driver;
  }

  async readStream(
    stream: string,
    { from, limit = Infinity, direction = 'forwards', upTo }: ReadStreamOptions,
  ): Promise<readonly RecordedEvent[]> {
    const isIn = (event: RecordedEvent): boolean => upTo === undefined || comparePositions(event.position, upTo) <= 0;
    const events: RecordedEvent[] = [];
    for await (const page of this.#pages(stream, direction, from, limit)) {
      events.push(...page.filter(isIn));
      const isPast = direction === 'forwards' && page.some((event) => !isIn(event));
      if (events.length >= limit || isPast) break;
    }
    return events.slice(0, limit);
  }

  /**
   * Events behind a position (before it, backwards), in order.
   * @param position absent: all of the stream
   */
  async behind(
    stream: string,
    position: Position | undefined,
    options: Omit<ReadStreamOptions, 'from'>,
  ): Promise<readonly RecordedEvent[]> {
    if (position === undefined) return this.readStream(stream, options);
    const isForwards = options.direction !== 'backwards';
    const after = await this.#firstBehind(stream, position, isForwards ? 1 : 0);
    if (isForwards) return this.readStream(stream, { ...options, from: after });
    return after === 0 ? [] : this.readStream(stream, { ...options, from: after - 1 });
  }

  async *#pages(
    stream: string,
    direction: Direction,
    from: number | undefined,
    limit: number,
  ): AsyncGenerator<readonly RecordedEvent[], void, undefined> {
    let next = from;
    for (;;) {
      const size = Math.min(limit, PAGE);
      const page = await this.#driver.readStream(stream, {
        ...{ direction, limit: size },
        ...(next === undefined ? {} : { from: next }),
      });
      yield page.flatMap((event) => toRecorded(event) ?? []);
      const last = page.at(-1);
      if (last === undefined || page.length < size) return;
      next = last.revision + (direction === 'forwards' ? 1 : -1);
      if (next < 0) return;
    }
  }

  /** The first revision whose position is after the given one (at or after it, with `strictly` 0), by halving. */
  async #firstBehind(stream: string, position: Position, strictly: 0 | 1): Promise<number> {
    const at = BigInt(position);
    const [last] = await this.#driver.readStream(stream, { direction: 'backwards', limit: 1 });
    if (last === undefined) return 0;
    let low = 0;
    let high = last.revision + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const [event] = await this.#driver.readStream(stream, { from: middle, direction: 'forwards', limit: 1 });
      const isBehind = event !== undefined && (strictly === 1 ? event.position > at : event.position >= at);
      if (isBehind) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
