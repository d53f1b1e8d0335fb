/**
 * Lines of an attempt's log, sent together: once a second, when a call's worth has gathered, and at the end. Logs are
 * for people: what cannot be delivered is reported and dropped, and a job that logs faster than the ledger takes loses
 * lines, says how many, and never grows memory.
 */
import type { Json, LogLevel, LogLine } from '../api/contract.js';
import type { Clock } from './clock.js';
import { wireText } from './wire-text.js';

const FLUSH_AFTER_MS = 1_000;
const LINES_A_CALL = 1_000;
const MAX_LINES = 10_000;

export class LogBuffer {
  #lines: LogLine[] = [];
  #dropped = 0;
  #flushing: Promise<void> | null = null;
  #cancelFlush: (() => void) | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly send: (lines: readonly LogLine[]) => Promise<unknown>,
    private readonly onError: (error: unknown) => void,
  ) {}

  add(level: LogLevel, message: string, fields?: Json): void {
    if (this.#lines.length >= MAX_LINES) {
      this.#dropped += 1;
      return;
    }
    const line = { level, message: wireText(message, 4_000), at: new Date().toISOString() };
    this.#lines.push(fields === undefined ? line : { ...line, fields: serialisable(fields) });
    if (this.#lines.length >= LINES_A_CALL) void this.flush();
    else this.#cancelFlush ??= this.clock.after(FLUSH_AFTER_MS, () => void this.flush());
  }

  /** Sends what there is, and what comes meanwhile. Never rejects. */
  flush(): Promise<void> {
    this.#cancelFlush?.();
    this.#cancelFlush = null;
    this.#flushing ??= this.#sendAll().finally(() => {
      this.#flushing = null;
    });
    return this.#flushing;
  }

  async #sendAll(): Promise<void> {
    while (this.#lines.length > 0) {
      const lines = this.#lines.splice(0, LINES_A_CALL);
      if (this.#dropped > 0) {
        lines[lines.length - 1] = {
          level: 'warn',
          message: `${this.#dropped + 1} log lines dropped: too many at once`,
        };
        this.#dropped = 0;
      }
      try {
        await this.send(lines);
      } catch (error) {
        this.onError(error);
      }
    }
  }
}

/** A line that JSON cannot hold must not take those around it down. */
const serialisable = (fields: Json): Json => {
  try {
    return JSON.parse(JSON.stringify(fields)) as Json;
  } catch (error) {
    return { unserialisable: String(error) };
  }
};
