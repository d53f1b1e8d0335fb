/** How the reaper does, as anybody can tell: computed from the leases when asked, in any process. */
import type { Contexts } from '../commands/contexts.js';
import type { Clock } from '../leases/clock.js';
import type { Absence } from '../leases/grace.js';
import type { Leases } from '../leases/leases.js';
import type { JobRows } from '../projections/jobs/job-rows.js';
import { judge } from './judge.js';
import { leadMsOf, type ReaperRecord, type Sweeps } from './sweeps.js';

export interface ReaperStatus {
  /** One leads, or did within the length of a lead (2 to 10 s), and swept within two intervals (at least 2 s). */
  readonly alive: boolean;
  readonly leader: string | null;
  readonly instanceId: string;
  readonly sweeps: number;
  readonly lastSweepAt: string | null;
  readonly lastError: string | null;
  readonly consecutiveErrors: number;
  /** Age of the most overdue job that nobody ended yet, ms; 0 when there is none. */
  readonly mostOverdueMs: number;
  readonly overdue: number;
}

/** Living leases with a passed deadline that are judged for one answer. */
const MAX_JUDGED = 1_000;
const MIN_LATE_MS = 2_000;

export class ReaperWatch {
  constructor(
    private readonly on: {
      readonly leases: Leases;
      readonly rows: JobRows;
      readonly contexts: Contexts;
      readonly clock: Clock;
      readonly sweeps: Sweeps;
    },
    /** This process's setting: what counts when no reaper ever said its own. */
    private readonly intervalMs: number,
  ) {}

  async status(): Promise<ReaperStatus> {
    return this.statusOf(await this.on.sweeps.read(), this.on.clock.now());
  }

  private async statusOf(record: ReaperRecord, now: number): Promise<ReaperStatus> {
    const { leases } = this.on;
    const [certain, silent] = await Promise.all([
      leases.overdue(now, record.absence),
      this.stalled(now, record.absence),
    ]);
    const oldest = Math.min(certain.oldest ?? now, ...silent);
    return {
      alive: this.missed(record, now) === null,
      leader: record.leader,
      instanceId: this.on.sweeps.instanceId,
      sweeps: record.sweeps,
      lastSweepAt: instantOf(record.lastSweepAt),
      lastError: record.lastError,
      consecutiveErrors: record.consecutiveErrors,
      mostOverdueMs: Math.max(0, now - oldest),
      overdue: certain.count + silent.length,
    };
  }

  /** Why the reaper is not well; null when it is. */
  async complaint(): Promise<string | null> {
    const now = this.on.clock.now();
    const record = await this.on.sweeps.read();
    const { consecutiveErrors, lastError, overdue, mostOverdueMs } = await this.statusOf(record, now);
    const missed = this.missed(record, now);
    const late =
      overdue === 1 ? `1 job overdue, for ${mostOverdueMs} ms` : `${overdue} jobs overdue, up to ${mostOverdueMs} ms`;
    if (missed !== null) return overdue === 0 ? missed : `${missed}; ${late}`;
    if (consecutiveErrors >= 3) return `${consecutiveErrors} sweeps failed in a row: ${lastError}`;
    return mostOverdueMs > this.lateMs(record) ? late : null;
  }

  /** Why nobody can be said to sweep; null while somebody does. */
  private missed(record: ReaperRecord, now: number): string | null {
    const { leader, ledAt, lastSweepAt } = record;
    if (lastSweepAt === null) return 'no sweep yet';
    // Between two leaders, and two sweeps of an outdated one, nobody leads for a moment.
    if (leader === null && now - (ledAt ?? 0) > leadMsOf(this.intervalOf(record))) {
      return `no reaper leads since ${instantOf(ledAt)}`;
    }
    return now - lastSweepAt > this.lateMs(record) ? `no sweep since ${instantOf(lastSweepAt)}` : null;
  }

  private lateMs(record: ReaperRecord): number {
    return Math.max(MIN_LATE_MS, 2 * this.intervalOf(record));
  }

  private intervalOf({ intervalMs }: ReaperRecord): number {
    return intervalMs ?? this.intervalMs;
  }

  /** Since when jobs with a lease that stands are overdue: their work is silent. */
  private async stalled(now: number, absence: Absence | null): Promise<readonly number[]> {
    const leases = await this.on.leases.silent(now, absence, MAX_JUDGED);
    if (leases.length === 0) return [];
    const rows = await this.on.rows.load(leases.map(({ jobId }) => jobId));
    return leases.flatMap((lease) => {
      const stored = rows.get(lease.jobId);
      if (stored === undefined) return [];
      const policy = this.on.contexts.policyOf(stored.job.spec);
      return judge({ lease, stored, policy, now, absence }).kind === 'due' ? [lease.deadlineAt] : [];
    });
  }
}

const instantOf = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
