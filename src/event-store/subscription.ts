/**
 * A reader that follows the end of a log: pages, then waits to be woken or for the poll, and reads again.
 *
 * A wake-up is a hint. Losing one costs a poll interval, never an event; a log that cannot be reached is asked again
 * at the same pace.
 */
import type { CaughtUp, Page, Position, RecordedEvent, SubscribeOptions } from './event-store.js';
import { Unavailable } from './event-store.js';

export interface TailPage extends Page {
  /** Whether `next` was the end when the page was read. */
  readonly atEnd: boolean;
}

export interface TailSource {
  read(after: Position, limit: number): Promise<TailPage>;
  onAppended(listener: () => void): () => void;
  /** Longest wait between two looks, in milliseconds; absent: wake-ups are never lost. */
  readonly pollMs?: number;
  /** Throws when events are missing between `after` and the page, in it, or after. Then the page is read again. */
  readonly verify?: (after: Position, page: TailPage) => void;
}

const DEFAULT_PAGE_SIZE = 500;
/** A page with a hole can only come from a log that was tampered with: look again, then say so. */
const REREADS = 5;

/** Waits that a wake-up, the signal, or a time ends. A wake-up before the wait ends it at once. */
class Pause {
  #woken = false;
  #resume: (() => void) | undefined;

  readonly wake = (): void => {
    this.#woken = true;
    this.#resume?.();
  };

  /** To be called before the log is read: what happens from then on ends the wait. */
  arm(): void {
    this.#woken = false;
  }

  async wait(signal: AbortSignal, ms?: number): Promise<void> {
    if (this.#woken || signal.aborted) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
      signal.addEventListener('abort', this.wake, { once: true });
      if (ms !== undefined) timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    signal.removeEventListener('abort', this.wake);
    this.#resume = undefined;
  }
}

const aborted = Symbol('aborted');

/** The page, or `aborted` as soon as the signal says so: nobody waits for an answer that nobody wants. */
const unlessAborted = async (signal: AbortSignal, page: Promise<TailPage>): Promise<TailPage | typeof aborted> => {
  let stop: (() => void) | undefined;
  const cancelled = new Promise<typeof aborted>((resolve) => {
    stop = () => resolve(aborted);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([page, cancelled]);
  } finally {
    signal.removeEventListener('abort', stop!);
  }
};

export async function* tail(
  source: TailSource,
  { after, signal, pageSize = DEFAULT_PAGE_SIZE }: SubscribeOptions,
): AsyncGenerator<readonly RecordedEvent[] | CaughtUp, void, undefined> {
  const pause = new Pause();
  const stopListening = source.onAppended(pause.wake);
  let cursor = after;
  let caughtUpTo: Position | undefined;
  let holes = 0;
  try {
    while (!signal.aborted) {
      pause.arm();
      let page: TailPage | typeof aborted;
      try {
        page = await unlessAborted(signal, source.read(cursor, pageSize));
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        await pause.wait(signal, source.pollMs);
        continue;
      }
      if (page === aborted) return;
      try {
        source.verify?.(cursor, page);
      } catch (error) {
        holes += 1;
        if (holes > REREADS) throw error;
        await pause.wait(signal, source.pollMs);
        continue;
      }
      holes = 0;
      cursor = page.next;
      if (page.events.length > 0) yield page.events;
      if (!page.atEnd) continue;
      if (caughtUpTo !== cursor) yield { caughtUp: cursor };
      caughtUpTo = cursor;
      await pause.wait(signal, source.pollMs);
    }
  } finally {
    stopListening();
  }
}
