/**
 * Whether rows of jobs beside a log elsewhere may be searched. In a database that is new, or was restored from an old backup, they
 * are made from the log first. Until then most of those that look claimable are long past: each costs a claim a conflict
 * and some seven reads, and a claim that met only such ones took up to 14 s.
 *
 * Looked at until it is so once in a process: rows that stood at the end are kept there by appends. Nothing waits
 * where nobody makes the rows, or whoever does stands still: then claims read the log job by job.
 */
import { performance } from 'node:perf_hooks';
import { comparePositions, type EventStore, type Position } from '../../event-store/event-store.js';
import { MAX_LAG_MS, type ProjectionStatus, type ProjectionWatch, readPercent } from '../projection-watch.js';
import { JOB_ROWS } from './row-follower.js';

/** What was found is said for so long: a look asks the log and the database. */
const LOOK_MS = 1_000;

/** Thrown when rows cannot be searched yet: nothing was done. */
export class RowsNotMade extends Error {
  constructor(status: ProjectionStatus) {
    super(
      `rows of jobs are made from the log, of which ${readPercent(status)} % is read: until they are there nothing is claimed; ` +
        'repeat the call later, /health/ready says how far it is',
    );
  }
}

export class MadeRows {
  private made = false;
  /** Where the log ended when rows were found far behind. */
  private upTo: Position | undefined;
  private looking: Promise<void> | undefined;
  /** On this process's monotonic clock. */
  private lookedAt = -Infinity;

  constructor(
    private readonly store: EventStore,
    private readonly watch: Pick<ProjectionWatch, 'status'>,
  ) {}

  /** @throws RowsNotMade; Unavailable when the log or the database is away */
  async require(): Promise<void> {
    if (this.made) return;
    if (performance.now() >= this.lookedAt + LOOK_MS) {
      this.lookedAt = performance.now();
      this.looking = this.look();
    }
    await this.looking;
  }

  private async look(): Promise<void> {
    const status = (await this.watch.status()).find(({ name }) => name === JOB_ROWS);
    if (status === undefined || !isMoving(status)) return;
    if (status.lagMs > MAX_LAG_MS) this.upTo ??= (await this.store.head()).position;
    this.made = this.upTo === undefined || comparePositions(status.position, this.upTo) >= 0;
    if (!this.made) throw new RowsNotMade(status);
  }
}

const isMoving = ({ leader, lastError }: ProjectionStatus): boolean => leader !== null && lastError === null;
