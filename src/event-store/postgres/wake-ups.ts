/**
 * When an append wakes the listeners of other processes. Each NOTIFY signals every one of them and sends it a message,
 * which costs a small append as much as its own work; so there is one at once, and then at most one in `GAP_MS`. What was
 * appended in between is told at its end.
 */
import { performance } from 'node:perf_hooks';
import { asText } from './connection.js';
import type { PipelinedConnection } from './pipelined-connection.js';

const GAP_MS = 10;

const WAKE_UP = {
  name: 'wake-up',
  text: `select pg_notify('jobledger', '')`,
  rowMode: 'array',
  types: asText,
} as const;

export class WakeUps {
  readonly #connection: PipelinedConnection;
  #last = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(connection: PipelinedConnection) {
    this.#connection = connection;
  }

  /** Whether the append that is about to be sent tells; if not, it is told of later. */
  take(): boolean {
    const now = performance.now();
    if (now - this.#last >= GAP_MS) {
      this.#last = now;
      return true;
    }
    this.tellLater();
    return false;
  }

  /** To be called when an append that was to tell wrote nothing: it may have stood for one before it. */
  tellLater(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#last = performance.now();
        // A hint: who misses it polls.
        this.#connection.execute('waking up', WAKE_UP).catch(() => undefined);
      },
      Math.max(0, this.#last + GAP_MS - performance.now()),
    );
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
