/** How an append writes the rows of `leases`. Times are epoch ms. */
import type { Directive } from '../domain/directive.js';
import type { BesideTable } from '../event-store/beside-table.js';

/** Of every table here: the rows that an append changes. */
const changes = { lockedFn: 'jobledger.locked_leases', id: ({ jobId }: { readonly jobId: string }) => jobId };

/** A new lease, or the deadline of a job that nobody holds (`workerId` null). */
export interface LeasePut {
  readonly jobId: string;
  readonly run: number;
  readonly attempt: number;
  readonly workerId: string | null;
  readonly leaseMs: number | null;
  readonly expiresAt: number | null;
  readonly deadlineAt: number | null;
}

export const LEASES_PUT: BesideTable<LeasePut> = {
  name: 'leases_put',
  fn: 'jobledger.leases_put',
  changes,
  around: { after: 'jobledger.leases_put_after' },
  type: 'jobledger.lease_put',
  columns: [
    { type: 'uuid', value: (row) => row.jobId },
    { type: 'int4', value: (row) => row.run },
    { type: 'int4', value: (row) => row.attempt },
    { type: 'text', value: (row) => row.workerId },
    { type: 'int8', value: (row) => row.leaseMs },
    { type: 'timestamptz', value: (row) => row.expiresAt },
    { type: 'timestamptz', value: (row) => row.deadlineAt },
  ],
};

/** An accepted call of the attempt that holds the job. Refused as `leases` when it does not. */
export interface LeaseRenewal {
  readonly jobId: string;
  readonly run: number;
  readonly attempt: number;
  /** For this renewal only; null: the lease's own. */
  readonly leaseMs: number | null;
}

export const LEASES_RENEW: BesideTable<LeaseRenewal> = {
  name: 'leases_renew',
  fn: 'jobledger.leases_renew',
  changes,
  around: {
    before: 'jobledger.leases_renew_before',
    after: 'jobledger.leases_renew_after',
    undo: 'jobledger.leases_renew_undo',
  },
  type: 'jobledger.lease_renewal',
  columns: [
    { type: 'uuid', value: (row) => row.jobId },
    { type: 'int4', value: (row) => row.run },
    { type: 'int4', value: (row) => row.attempt },
    { type: 'int8', value: (row) => row.leaseMs },
  ],
};

export interface LeaseEnd {
  readonly jobId: string;
  /** Of the row that the end was judged on: refused as `leases` when it moved or is gone. Null: whatever there is. */
  readonly beats: number | null;
}

export const LEASES_END: BesideTable<LeaseEnd> = {
  name: 'leases_end',
  fn: 'jobledger.leases_end',
  changes,
  around: {
    before: 'jobledger.leases_end_before',
    after: 'jobledger.leases_end_after',
    undo: 'jobledger.leases_end_undo',
  },
  type: 'jobledger.lease_end',
  columns: [
    { type: 'uuid', value: (row) => row.jobId },
    { type: 'int8', value: (row) => row.beats },
  ],
};

export interface LeaseDirective {
  readonly jobId: string;
  readonly directive: Directive;
  readonly deadlineAt: number | null;
}

export const LEASES_DIRECT: BesideTable<LeaseDirective> = {
  name: 'leases_direct',
  fn: 'jobledger.leases_direct',
  changes,
  around: { after: 'jobledger.leases_direct_after' },
  type: 'jobledger.lease_directive',
  columns: [
    { type: 'uuid', value: (row) => row.jobId },
    { type: 'text', value: (row) => row.directive },
    { type: 'timestamptz', value: (row) => row.deadlineAt },
  ],
};

/** `BesideRefused.table` when a lease was not the caller's, or moved since it was judged. */
export const LEASES = 'leases';
