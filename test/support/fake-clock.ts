import type { Clock } from '../../src/client/client.js';

interface Timer {
  readonly at: number;
  readonly ms: number;
  readonly run: () => void;
}

/** A clock that moves only when told, for code whose I/O is real and whose waiting is not. */
export class FakeClock implements Clock {
  #now = 0;
  #timers = new Set<Timer>();
  #watchers = new Set<() => void>();

  now(): number {
    return this.#now;
  }

  /** No luck: a back-off is as long as it gets. */
  random(): number {
    return 1;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, ms, run };
    this.#timers.add(timer);
    for (const check of this.#watchers) check();
    return () => this.#timers.delete(timer);
  }

  /** Waits until something waits for exactly `ms`, and lets that long pass. */
  async elapse(ms: number): Promise<void> {
    await this.waiting(ms);
    this.advance(ms);
  }

  /** Waits until something waits for exactly `ms`. */
  waiting(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (![...this.#timers].some((timer) => timer.ms === ms)) return;
        this.#watchers.delete(check);
        resolve();
      };
      this.#watchers.add(check);
      check();
    });
  }

  /** The process was frozen for `ms`: what fell due happens now, late. */
  jump(ms: number): void {
    this.#now += ms;
    this.advance(0);
  }

  /** Lets `ms` pass, with all that falls due in it. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = until;
  }
}
