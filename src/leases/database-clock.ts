import { performance } from 'node:perf_hooks';
import type { Pool } from 'pg';
import type { Clock } from './clock.js';

/** How often the offset is measured. */
const SAMPLE_MS = 1_000;

/**
 * The database's time, known by its offset to this process's monotonic clock. While the database is away the last
 * offset serves: nothing is decided then that could be appended.
 */
export class DatabaseClock implements Clock {
  private offsetMs: number | null = null;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly pool: Pool) {}

  /** Measures once, then every second until `stop`. */
  async start(): Promise<void> {
    await this.sample();
    this.timer = setInterval(() => void this.sample().catch(() => undefined), SAMPLE_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  now(): number {
    if (this.offsetMs === null) throw new Error('the clock was asked before it was started');
    return Math.floor(performance.now() + this.offsetMs);
  }

  private async sample(): Promise<void> {
    const before = performance.now();
    const { rows } = await this.pool.query<{ ms: number }>({
      name: 'reading the time of the database',
      text: 'select extract(epoch from clock_timestamp())::float8 * 1000 as ms',
    });
    const after = performance.now();
    // The answer was made somewhere between: its middle is off by half the trip at most.
    this.offsetMs = (rows[0]?.ms ?? Date.now()) - (before + after) / 2;
  }
}
