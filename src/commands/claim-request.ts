/** What a claim asks for, and what it gets. */
import type { ClaimFilter } from '../leases/leases.js';
import type { StoredJob } from '../projections/jobs/stored-job.js';
import type { Idempotency, Origin, Outcome } from './envelope.js';

export interface ClaimRequest {
  readonly workerId: string;
  readonly filter: ClaimFilter;
  /** 1–1,000. */
  readonly max: number;
  /** How long to wait for the first job, ms; 0: not at all. */
  readonly waitMs: number;
  /** Null: the policy's. */
  readonly leaseMs: number | null;
  readonly start: boolean;
  readonly origin: Origin;
  readonly idempotency: Idempotency | null;
  /** Aborted when the client hung up: it is leased nothing. */
  readonly signal: AbortSignal;
}

export interface ClaimedJob {
  readonly stored: StoredJob;
  readonly outcome: Outcome;
}
