/**
 * The grace of leases that lapsed while the ledger was away: their workers could not be heard then, so each stands for
 * its own length more, at most 15 s, once the ledger is back.
 */
import type { Lease } from './leases.js';

/** The last time that no reaper could say that the ledger is there. Epoch ms. */
export interface Absence {
  readonly from: number;
  readonly until: number;
}

/** Longest time that a worker has after an absence to be heard, ms. */
export const MAX_GRACE_MS = 15_000;

/**
 * Until when a worker has to be heard, epoch ms. Null where the ledger was there: the lease had lapsed before, was
 * renewed since, or lives longer.
 */
export const graceOf = (
  { expiresAt, lastBeatAt }: Pick<Lease, 'expiresAt' | 'lastBeatAt'>,
  absence: Absence | null,
): number | null => {
  if (absence === null || expiresAt === null || lastBeatAt === null) return null;
  if (expiresAt < absence.from || lastBeatAt > absence.until) return null;
  const until = absence.until + Math.min(expiresAt - lastBeatAt, MAX_GRACE_MS);
  return until > expiresAt ? until : null;
};
