/**
 * When an append wakes the listeners of other processes. Each NOTIFY signals every one of them and sends it a message,
 * and costs a small append as much as its own work. So none is sent while nobody else listens, which is looked up once
 * a second while appends come; otherwise there is one at once, and then at most one in `GAP_MS`. What was appended in
 * between is told at its end.
 */
import { performance } from 'node:perf_hooks';
import { asText } from './connection.js';
import type { PipelinedConnection } from './pipelined-connection.js';

const GAP_MS = 10;
/** Between looks for listeners. Who begins to listen is woken after this at the latest, and polls meanwhile. */
const LOOK_MS = 1_000;

const WAKE_UP = {
  name: 'wake-up',
  text: `select pg_notify('jobledger', '')`,
  rowMode: 'array',
  types: asText,
} as const;

export class WakeUps {
  readonly #connection: PipelinedConnection;
  readonly #hasListeners: () => Promise<boolean>;
  #isHeard = true;
  #last = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;
  /** Something was appended that nobody was told of, since nobody listened. */
  #untold = false;
  #closed = false;

  /** @param hasListeners whether another process listens now */
  constructor(connection: PipelinedConnection, hasListeners: () => Promise<boolean>) {
    this.#connection = connection;
    this.#hasListeners = hasListeners;
  }

  /** Whether the append that is about to be sent tells; if not, it is told of later, if there is anybody to tell. */
  take(): boolean {
    this.#lookLater();
    if (!this.#isHeard) {
      this.#untold = true;
      return false;
    }
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
    clearTimeout(this.#look);
    this.#timer = undefined;
  }

  #lookLater(): void {
    if (this.#look !== undefined || this.#closed) return;
    this.#look = setTimeout(() => void this.#lookNow(), LOOK_MS);
    this.#look.unref();
  }

  async #lookNow(): Promise<void> {
    // What is not known is told: one NOTIFY too many does no harm.
    this.#isHeard = await this.#hasListeners().catch(() => true);
    this.#look = undefined;
    if (!this.#isHeard || !this.#untold) return;
    this.#untold = false;
    this.tellLater();
  }
}
