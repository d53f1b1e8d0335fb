/** What is due, as a pure function: from a lease and its job to a verdict. */
import type { Origin } from '../commands/envelope.js';
import { hasTag } from '../domain/job-chart.js';
import type { Rule } from '../domain/job-events.js';
import type { Policy } from '../domain/policy.js';
import { dueRule, nextDeadline, type Clocks } from '../domain/stall-rules.js';
import { type Absence, graceOf } from '../leases/grace.js';
import type { DueLease, Lease } from '../leases/leases.js';
import { lastActivityMs } from '../projections/jobs/job-rows.js';
import type { StoredJob } from '../projections/jobs/stored-job.js';

/** Who asked for a sweep by hand, and why in their words. */
export type AskedBy = Pick<Origin, 'reason' | 'keyId'>;

/** A deadline that fired, and what there is to judge it by. */
export interface DueWork {
  readonly lease: DueLease;
  readonly stored: StoredJob;
  readonly policy: Policy;
  /** Epoch ms. */
  readonly now: number;
  readonly absence: Absence | null;
  /** Of a sweep by hand: kept in the events. */
  readonly askedBy?: AskedBy;
}

export type Judgement =
  /** Nothing is due: look again at `rearmAt`, epoch ms; null: the lease row bounds nothing. */
  | { readonly kind: 'live'; readonly rearmAt: number | null }
  | { readonly kind: 'due'; readonly rule: Rule; readonly clocks: Clocks };

const clocksOf = (lease: Lease, stored: StoredJob, absence: Absence | null): Clocks => ({
  leaseExpiresAt: lease.expiresAt,
  lastBeatAt: lease.lastBeatAt,
  lastActivityAt: lastActivityMs(stored),
  graceUntil: graceOf(lease, absence),
});

/**
 * Whether the lease row bounds the job as it is known. When it does not, one of the two is old: the row may be left
 * from an attempt that ended, the job may have been read from a row that was lost or edited.
 */
export const bounds = (lease: Lease, { job }: StoredJob): boolean =>
  hasTag(job.status, 'reapable') &&
  lease.run === job.run &&
  lease.attempt === job.attempt &&
  (lease.workerId === null) === (job.lease === null);

export const judge = ({ lease, stored, policy, now, absence }: DueWork): Judgement => {
  const { job } = stored;
  if (!bounds(lease, stored)) return { kind: 'live', rearmAt: null };
  const clocks = clocksOf(lease, stored, absence);
  const rule = dueRule(job, clocks, policy, now);
  if (rule !== null) return { kind: 'due', rule, clocks };
  return { kind: 'live', rearmAt: nextDeadline(job, clocks, policy)?.at ?? null };
};
