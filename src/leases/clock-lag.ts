import type { Clock } from './clock.js';

/** Told when the clock of the database fell behind what is recorded, and when it has caught up. */
export interface ClockLog {
  /** By whole milliseconds. */
  readonly fellBehind: (lagMs: number) => void;
  readonly caughtUp: () => void;
}

/** A step back by less stands nothing still that anybody would miss, ms. */
const MAX_LAG_MS = 2_000;

/**
 * How far the clock of the database is behind what is recorded. Recorded times never fall, and delays, leases and other
 * deadlines are held against the clock: after it was set back they stand still until it has caught up.
 */
export class ClockLag {
  /** Where the log is elsewhere, an event of another stream may have an earlier time than one before it. */
  private newestMs = Number.NEGATIVE_INFINITY;
  private isBehind = false;

  constructor(
    private readonly head: () => Promise<{ readonly at: string | null }>,
    private readonly clock: Clock & { readonly sample: () => Promise<void> },
    private readonly log: ClockLog,
  ) {}

  /**
   * Looks now; 0 while it is not far behind.
   * @throws Unavailable when the log or the database is away
   */
  async look(): Promise<number> {
    const { at } = await this.head();
    if (at !== null) this.newestMs = Math.max(this.newestMs, Date.parse(at));
    // A clock that was set forwards meanwhile is not known yet: it is measured once a second.
    if (this.lagMs() > MAX_LAG_MS) await this.clock.sample();
    const lagMs = this.lagMs();
    const isBehind = lagMs > MAX_LAG_MS;
    if (isBehind !== this.isBehind) {
      this.isBehind = isBehind;
      if (isBehind) this.log.fellBehind(lagMs);
      else this.log.caughtUp();
    }
    return isBehind ? lagMs : 0;
  }

  private lagMs(): number {
    return this.newestMs - this.clock.now();
  }
}
