/** Where streams end, as far as this process knows. Another may have appended since: an append at a revision finds out. */
import { NO_STREAM } from '../append-plan.js';
import { Recent } from '../recent.js';

export interface StreamTail {
  /** Of the last event; `NO_STREAM` when there is none. */
  readonly revision: number;
  /** Recorded time of the last event, epoch ms. */
  readonly at: number;
}

export const EMPTY_TAIL: StreamTail = { revision: NO_STREAM, at: -Infinity };

/** A tail is about 150 bytes. */
const CAPACITY = 50_000;

export class StreamTails {
  readonly #tails = new Recent<string, StreamTail>(CAPACITY);

  get(stream: string): StreamTail | undefined {
    return this.#tails.get(stream);
  }

  set(stream: string, tail: StreamTail): void {
    this.#tails.set(stream, tail);
  }

  forget(stream: string): void {
    this.#tails.delete(stream);
  }
}
