/**
 * Leases, deadlines and claim reservations: operational state. Expiry is set and tested only by the database's clock.
 * The interfaces are what commands and reaper ask for; `PostgresLeases` answers from the tables of migration 000002.
 */
import type { JobStatus } from '../domain/job-chart.js';
import type { Position } from '../event-store/event-store.js';
import type { Directive } from '../domain/directive.js';
import type { Absence } from './grace.js';

export interface Lease {
  readonly jobId: string;
  readonly run: number;
  readonly attempt: number;
  /** Null: nobody holds the job, it only has a deadline. */
  readonly workerId: string | null;
  /** Epoch ms; null when nobody holds the job. */
  readonly expiresAt: number | null;
  readonly lastBeatAt: number | null;
  /** Rises with each accepted call, and is another for each row that a job ever had: what a fence compares. */
  readonly beats: number;
  readonly directive: Directive;
}

/** A bare heartbeat: it renews the lease and is no history. */
export interface Beat {
  readonly jobId: string;
  readonly run: number;
  readonly attempt: number;
  /** For this renewal only; null: the lease's own. */
  readonly leaseMs: number | null;
}

export interface Renewed {
  /** Epoch ms. */
  readonly expiresAt: number;
  readonly directive: Directive;
  /** The job as its row has it: what the beat's answer says. */
  readonly status: JobStatus;
  readonly revision: number;
  readonly position: Position;
}

export interface DueLease extends Lease {
  /** Epoch ms. */
  readonly deadlineAt: number;
}

/** Where a sweep goes on: leases are handed out by deadline, then id. */
export interface DueCursor {
  readonly deadlineAt: number;
  readonly jobId: string;
}

export interface Leases {
  /** Renews what still is the caller's; null for a beat whose lease is not. A row that somebody has locked is not waited for. */
  renew(beats: readonly Beat[]): Promise<readonly (Renewed | 'locked' | null)[]>;
  find(jobIds: readonly string[]): Promise<ReadonlyMap<string, Lease>>;
  /** Up to `limit` rows whose deadline was before `upTo` (epoch ms), oldest first, after the cursor. */
  due(upTo: number, after: DueCursor | null, limit: number): Promise<readonly DueLease[]>;
  /** The nearest deadline after an instant, epoch ms; null when there is none. */
  nextDeadline(after: number): Promise<number | null>;
  /** What passed its deadline for certain: nobody holds it, or its lease lapsed and has no grace (any more). */
  overdue(now: number, absence: Absence | null): Promise<{ readonly count: number; readonly oldest: number | null }>;
  /** Leases that a worker has, lapsed ones that nobody ended included. */
  held(): Promise<number>;
  /** Deadlines that passed although the lease lives or has its grace: only the job says whether a rule is due. */
  silent(now: number, absence: Absence | null, limit: number): Promise<readonly DueLease[]>;
  /**
   * Makes every deadline due, so that each is judged by the policy in force and armed anew. One that somebody has locked just
   * now is judged by it when it fires.
   */
  rejudge(): Promise<void>;
  /**
   * Moves deadlines that fired without a verdict. A row that was renewed or ended since (another `beats`) is left
   * alone: whoever moved it armed it. Null: the row bounds nothing, and goes; if the job needs one, it is made again.
   */
  rearm(
    rows: readonly { readonly jobId: string; readonly beats: number; readonly deadlineAt: number | null }[],
  ): Promise<void>;
  /**
   * Makes rows that were lost, with a full lease of grace; rows that are there stay. Of a job that is not at the given
   * revision any more none is made: its lease may have ended, and a row that nothing ends would let a zombie beat.
   */
  seed(
    rows: readonly {
      readonly jobId: string;
      readonly revision: number;
      readonly run: number;
      readonly attempt: number;
      readonly workerId: string | null;
      readonly leaseMs: number | null;
      readonly deadlineAt: number | null;
      readonly directive: Directive;
    }[],
  ): Promise<void>;
}

/** What a claim may take. Absent: any. */
export interface ClaimFilter {
  readonly queues?: readonly string[];
  readonly types?: readonly string[];
}

/** A candidate of a claim, as its row was when it was found; undefined when that cannot be read. */
export interface Reserved<Row> {
  readonly jobId: string;
  readonly row: Row | undefined;
}

/** That there are jobs of this type in this queue. */
export interface Offer {
  readonly queue: string;
  readonly type: string;
}

export interface Reservations<Row> {
  /** What can be claimed now, also what is held for a moment: whatever is not in it, no search would find. Each once. */
  offered(): Promise<readonly Offer[]>;
  /**
   * Holds up to `limit` claimable jobs for a moment, by priority, then `availableAt` or else `createdAt`, then id, so
   * that claimers do not run after the same ones. A hint: whoever appends first has the job.
   */
  reserve(filter: ClaimFilter, limit: number): Promise<readonly Reserved<Row>[]>;
  /** Gives back what was not claimed. */
  release(jobIds: readonly string[]): Promise<void>;
}
