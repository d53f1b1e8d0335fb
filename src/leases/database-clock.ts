import { performance } from 'node:perf_hooks';
import type { Pool } from 'pg';
import type { Clock } from './clock.js';
import { ClockOffset } from './clock-offset.js';

/** How often the offset is measured. */
const SAMPLE_MS = 1_000;

/**
 * The database's time, known by its offset to this process's monotonic clock: never ahead of it, so what is decided now
 * is recorded no earlier. While the database is away the last offset serves: nothing is decided then that could be
 * appended.
 */
export class DatabaseClock implements Clock {
  private readonly offset = new ClockOffset();
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
    return this.offset.at(performance.now());
  }

  private async sample(): Promise<void> {
    const before = performance.now();
    const { rows } = await this.pool.query<{ ms: number }>({
      name: 'reading the time of the database',
      text: 'select extract(epoch from clock_timestamp())::float8 * 1000 as ms',
    });
    this.offset.add({ before, databaseMs: rows[0]!.ms, after: performance.now() });
  }
}
