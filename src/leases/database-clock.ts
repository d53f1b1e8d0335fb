import { performance } from 'node:perf_hooks';
import type { Pool } from 'pg';
import type { Clock } from './clock.js';
import { ClockOffset } from './clock-offset.js';

/**
 * The database's time, known by its offset to this process's monotonic clock: never ahead of it, so what is decided now
 * is recorded no earlier. While the database is away the last offset serves: nothing is decided then that could be
 * appended.
 */
export class DatabaseClock implements Clock {
  private readonly offset = new ClockOffset();

  constructor(private readonly pool: Pool) {}

  now(): number {
    return this.offset.at(performance.now());
  }

  /** Measures the offset: once before the first `now`, then every second. @throws Unavailable when the database is away */
  async sample(): Promise<void> {
    const before = performance.now();
    const { rows } = await this.pool.query<{ ms: number }>({
      name: 'reading the time of the database',
      text: 'select extract(epoch from clock_timestamp())::float8 * 1000 as ms',
    });
    this.offset.add({ before, databaseMs: rows[0]!.ms, after: performance.now() });
  }
}
