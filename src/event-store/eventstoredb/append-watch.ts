/**
 * Hears of appends of other processes, by one subscription to the end of the log for all who want to know.
 *
 * A hint and no more: when it breaks the readers go on polling, and it is made again in the background, later each time
 * that it fails. After each time it was made everybody is woken once, for what was missed meanwhile.
 */
import type { EventStoreDriver, StoredEvent } from './driver.js';
import type { HeardLog } from './heard-log.js';

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

export class AppendWatch {
  readonly #driver: EventStoreDriver;
  readonly #heard: HeardLog;
  readonly #listeners = new Set<{ readonly wake: () => void; readonly broke: () => void }>();
  #stop: (() => void) | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #started = false;
  #closed = false;

  /** @param heard is told what comes */
  constructor(driver: EventStoreDriver, heard: HeardLog) {
    this.#driver = driver;
    this.#heard = heard;
  }

  /** Subscribes at the first call. */
  listen(wake: () => void, broke: () => void = () => undefined): () => void {
    // Wrapped, so that the same function may listen twice.
    const entry = { wake, broke };
    this.#listeners.add(entry);
    if (!this.#started && !this.#closed) {
      this.#started = true;
      this.#subscribe();
    }
    return () => void this.#listeners.delete(entry);
  }

  readonly wake = (): void => {
    for (const { wake } of this.#listeners) wake();
  };

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#listeners.clear();
    this.#stop?.();
    this.#heard.forget();
  }

  #subscribe(): void {
    const onEvent = (event?: StoredEvent): void => {
      this.#retryMs = FIRST_RETRY_MS;
      if (event === undefined) this.#heard.begin();
      else this.#heard.hear(event);
      this.wake();
    };
    this.#stop = this.#driver.subscribeToEnd(onEvent, () => {
      this.#heard.forget();
      if (this.#closed) return;
      for (const { broke } of this.#listeners) broke();
      this.#retry = setTimeout(() => {
        this.#subscribe();
        this.wake();
      }, this.#retryMs);
      this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    });
  }
}
