/**
 * What an attempt has done: the result so far, which is also the checkpoint, and what of it the ledger has not been
 * told. Told are progress first, then the checkpoint: the ledger sets the counts of the next attempt to what they were
 * when the checkpoint was saved, so both always speak of the same entries.
 */
import type { AttemptContext } from '../../client/client.js';
import { addTallies, EMPTY_TALLY, type Tally } from './tally.js';

/** What a completed job has as its result. */
export interface JobResult extends Tally {
  /** Of the files when compressed with gzip. */
  readonly compressedBytes: number;
  /** The first of them. */
  readonly unreadablePaths: readonly string[];
}

/** The result so far, and the last entry that is in it. */
export interface Checkpoint extends JobResult {
  readonly after: string;
}

/** The stage of the progress that counts bytes; the job's own counts entries. */
export const BYTES_STAGE = 'bytes';

/** Longest time that work goes unreported. */
const REPORT_MS = 500;
/** A result is at most 256 KiB. */
const NAMED_PATHS = 20;

const NOTHING: JobResult = { ...EMPTY_TALLY, compressedBytes: 0, unreadablePaths: [] };

export class AttemptTally {
  #total: JobResult;
  #after: string;
  #unreported = EMPTY_TALLY;
  #reportedAt = performance.now();

  constructor(private readonly context: AttemptContext) {
    const saved = context.lastCheckpoint as Checkpoint | null;
    const { after, ...result } = saved ?? { ...NOTHING, after: '' };
    this.#total = result;
    this.#after = after;
  }

  get result(): JobResult {
    return this.#total;
  }

  /** Path of the last entry that was added, by this attempt or an earlier one; empty when there is none. */
  get after(): string {
    return this.#after;
  }

  get isReportDue(): boolean {
    return performance.now() - this.#reportedAt >= REPORT_MS;
  }

  add(path: string, tally: Tally, compressedBytes: number): void {
    const { unreadablePaths } = this.#total;
    const isNamed = tally.unreadable > 0 && unreadablePaths.length < NAMED_PATHS;
    this.#total = {
      ...addTallies(this.#total, tally),
      compressedBytes: this.#total.compressedBytes + compressedBytes,
      unreadablePaths: isNamed ? [...unreadablePaths, path] : unreadablePaths,
    };
    this.#after = path;
    this.#unreported = addTallies(this.#unreported, tally);
  }

  /** Tells what has not been told. @throws when the ledger refuses it: the job is another's. */
  async report(): Promise<void> {
    const { files, bytes, unreadable, skipped } = this.#unreported;
    this.#unreported = EMPTY_TALLY;
    const processed = files + unreadable + skipped;
    await Promise.all([
      processed > 0 && this.context.progress({ processed, failed: unreadable, skipped }),
      bytes > 0 && this.context.progress({ stage: BYTES_STAGE, processed: bytes }),
    ]);
    this.#reportedAt = performance.now();
  }

  /** Saves where another attempt may go on. */
  async save(): Promise<void> {
    await this.report();
    if (this.#after !== '') await this.context.checkpoint({ ...this.#total, after: this.#after } satisfies Checkpoint);
  }
}
