/**
 * Jobs that were due and that a sweep could not judge or end: one that somebody holds locked, one that kept moving, one
 * whose history is broken. Each is tried again soon, and later each time, for as long as it stays so.
 */
import type { SweepReport } from './sweep.js';

/** After the first sweep that could not; it doubles. */
const FIRST_MS = 1_000;

export class Unsettled {
  /** How many sweeps in a row found it so, by job. */
  private tries = new Map<string, number>();

  note({ jobs }: SweepReport): void {
    const left = jobs.filter(({ verdict }) => verdict === 'error' || verdict === 'raced');
    this.tries = new Map(left.map(({ jobId }) => [jobId, (this.tries.get(jobId) ?? 0) + 1]));
  }

  /** When one of them is to be tried again, ms after that sweep; infinite: never. */
  get againMs(): number {
    const least = Math.min(...this.tries.values());
    return FIRST_MS * 2 ** (least - 1);
  }
}
