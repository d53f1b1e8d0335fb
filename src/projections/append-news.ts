/**
 * Tells that the log has grown: at once by the hint of the log, and by a look at its head in case a hint was lost. One
 * look serves every listener of the process; without news they come less and less often, from one a second to one in
 * four.
 */
import type { EventStore } from '../event-store/event-store.js';

export interface NewsOptions {
  /** Between looks after news, ms; default 1,000. */
  readonly minPollMs?: number;
  /** Between looks after long silence, ms; default 4,000. */
  readonly maxPollMs?: number;
}

export class AppendNews {
  private readonly minPollMs: number;
  private readonly maxPollMs: number;
  private pollMs: number;
  private timer: NodeJS.Timeout | undefined;
  /** How to stop what runs. */
  private stopListening: (() => void) | undefined;
  private head: string | undefined;

  constructor(
    private readonly store: EventStore,
    private readonly tell: () => void,
    { minPollMs = 1_000, maxPollMs = 4_000 }: NewsOptions = {},
  ) {
    this.minPollMs = minPollMs;
    this.maxPollMs = maxPollMs;
    this.pollMs = minPollMs;
  }

  /** Idempotent. */
  start(): void {
    if (this.stopListening !== undefined) return;
    const stopListening = this.store.onAppended(() => {
      this.pollMs = this.minPollMs;
      this.tell();
    });
    this.stopListening = stopListening;
    this.arm(stopListening);
  }

  /** Idempotent. */
  stop(): void {
    this.stopListening?.();
    this.stopListening = undefined;
    clearTimeout(this.timer);
  }

  private arm(run: () => void): void {
    this.timer = setTimeout(() => void this.look(run), this.pollMs);
  }

  private async look(run: () => void): Promise<void> {
    try {
      const { position } = await this.store.head();
      const isNews = position !== this.head;
      this.head = position;
      this.pollMs = isNews ? this.minPollMs : Math.min(2 * this.pollMs, this.maxPollMs);
      if (isNews) this.tell();
    } catch {
      // The log is away: those who listen notice by themselves.
    }
    // Stopped meanwhile, and perhaps started again: then another timer runs.
    if (this.stopListening === run) this.arm(run);
  }
}
