/** One reading of the database's time; `before` and `after` are this process's monotonic clock around it. All in ms. */
export interface ClockReading {
  readonly before: number;
  readonly databaseMs: number;
  readonly after: number;
}

/** So many readings back is looked for the best one: two clocks drift apart less meanwhile than a trip takes. */
const KEPT = 10;
/** A database whose clock went back by more than this, ms, is followed at once; by less, time stands still meanwhile. */
const STEP_MS = 1_000;

/**
 * The database's time from a few readings of it. A reading proves that the database was at least at `databaseMs` when
 * its answer came, so each gives a lowest offset, and the greatest of them is the best: it is never ahead of the
 * database, and behind by the way back of the fastest answer, no more. A slow trip proves less, and moves nothing.
 */
export class ClockOffset {
  private readings: readonly ClockReading[] = [];
  private bestMs: number | undefined;
  private lastMs = Number.NEGATIVE_INFINITY;

  /** Takes one more reading, and forgets those that it disproves: the database's clock was set back since. */
  add(reading: ClockReading): void {
    const highest = reading.databaseMs - reading.before;
    if (this.readings.some((known) => lowest(known) - highest > STEP_MS)) this.lastMs = Number.NEGATIVE_INFINITY;
    this.readings = [...this.readings.filter((known) => lowest(known) <= highest), reading].slice(-KEPT);
    this.bestMs = Math.max(...this.readings.map(lowest));
  }

  /** Whole epoch ms at an instant of the monotonic clock; it does not fall, but for a step back. Throws before a reading. */
  at(monotonicMs: number): number {
    if (this.bestMs === undefined) throw new Error('the clock was asked before it was started');
    this.lastMs = Math.max(this.lastMs, Math.floor(monotonicMs + this.bestMs));
    return this.lastMs;
  }
}

const lowest = ({ databaseMs, after }: ClockReading): number => databaseMs - after;
