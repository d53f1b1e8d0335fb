/** How the reaper does, as anybody can tell: computed from the leases when asked, in any process. */
import type { Contexts } from '../commands/contexts.js';
import type { Clock } from '../leases/clock.js';
import type { Leases } from '../leases/leases.js';
import type { JobRows } from '../projections/jobs/job-rows.js';
import { judge } from './judge.js';
import type { Sweeps } from './sweeps.js';

export interface ReaperStatus {
  /** It swept within two intervals (at least 2 s). */
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
    const now = this.on.clock.now();
    const [record, certain, silent] = await Promise.all([
      this.on.sweeps.read(),
      this.on.leases.overdue(now),
      this.stalled(now),
    ]);
    const oldest = Math.min(certain.oldest ?? now, ...silent);
    const { lastSweepAt } = record;
    return {
      alive: lastSweepAt !== null && now - lastSweepAt <= this.lateMs(record.intervalMs),
      leader: record.leader,
      instanceId: this.on.sweeps.instanceId,
      sweeps: record.sweeps,
      lastSweepAt: lastSweepAt === null ? null : new Date(lastSweepAt).toISOString(),
      lastError: record.lastError,
      consecutiveErrors: record.consecutiveErrors,
      mostOverdueMs: Math.max(0, now - oldest),
      overdue: certain.count + silent.length,
    };
  }

  /** Why the reaper is not well; null when it is. */
  async complaint(): Promise<string | null> {
    const status = await this.status();
    const late = this.lateMs((await this.on.sweeps.read()).intervalMs);
    if (!status.alive) return status.lastSweepAt === null ? 'no sweep yet' : `no sweep since ${status.lastSweepAt}`;
    if (status.consecutiveErrors >= 3) return `${status.consecutiveErrors} sweeps failed in a row: ${status.lastError}`;
    if (status.mostOverdueMs > late) return `a job is overdue for ${status.mostOverdueMs} ms`;
    return null;
  }

  private lateMs(intervalMs: number | null): number {
    return Math.max(MIN_LATE_MS, 2 * (intervalMs ?? this.intervalMs));
  }

  /** Since when jobs with a living lease are overdue: their work is silent. */
  private async stalled(now: number): Promise<readonly number[]> {
    const leases = await this.on.leases.silent(now, MAX_JUDGED);
    if (leases.length === 0) return [];
    const rows = await this.on.rows.load(leases.map(({ jobId }) => jobId));
    return leases.flatMap((lease) => {
      const stored = rows.get(lease.jobId);
      if (stored === undefined) return [];
      const policy = this.on.contexts.policyOf(stored.job.spec);
      return judge({ lease, stored, policy, now, absence: null }).kind === 'due' ? [lease.deadlineAt] : [];
    });
  }
}
