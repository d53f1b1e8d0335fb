/**
 * One sweep: everything whose deadline had passed at its start, oldest first, in bounded pages. Each job is judged on
 * what is known now; what lives is armed anew, what is due becomes a command that goes the way of any other, with the
 * revision and the number of accepted calls it was judged on. One bad job never stops a sweep.
 */
import { performance } from 'node:perf_hooks';
import { from, lastValueFrom, mergeMap, toArray } from 'rxjs';
import { decide } from '../domain/decide.js';
import type { Rule } from '../domain/job-events.js';
import type { Contexts } from '../commands/contexts.js';
import type { Outcome } from '../commands/envelope.js';
import { PreconditionFailed } from '../commands/errors.js';
import { Raced } from '../commands/verification.js';
import type { EventStore } from '../event-store/event-store.js';
import type { Clock } from '../leases/clock.js';
import type { Absence } from '../leases/grace.js';
import type { DueCursor, DueLease, Lease, Leases } from '../leases/leases.js';
import { replayJob } from '../projections/jobs/job-history.js';
import type { JobRows } from '../projections/jobs/job-rows.js';
import { repairRow } from '../projections/jobs/repair-row.js';
import type { StoredJob } from '../projections/jobs/stored-job.js';
import { bounds, judge, type AskedBy, type DueWork } from './judge.js';
import { reapSaga, type ReapJob } from './reap.saga.js';

export type SweepVerdict = 'failed' | 'requeued' | 'cancelled' | 'moved' | 'finalised' | 'live' | 'raced' | 'error';

export interface SweptJob {
  readonly jobId: string;
  readonly rule: Rule | null;
  readonly verdict: SweepVerdict;
}

export interface SweepReport {
  /** The sum of the eight that follow. */
  readonly due: number;
  readonly reaped: number;
  readonly requeued: number;
  readonly cancelled: number;
  readonly moved: number;
  readonly finalised: number;
  readonly skippedLive: number;
  readonly raced: number;
  readonly errors: number;
  /** Age of the most overdue job that was found, ms. */
  readonly mostOverdueMs: number;
  readonly durationMs: number;
  readonly dryRun: boolean;
  /** The first 1,000, oldest first. */
  readonly jobs: readonly SweptJob[];
}

export interface SweepDependencies {
  readonly store: EventStore;
  readonly leases: Leases;
  readonly rows: JobRows;
  readonly contexts: Contexts;
  readonly clock: Clock;
  /** The last time that the ledger was away. */
  readonly absence: () => Promise<Absence | null>;
  /** Sends the command on its way: through the command bus. */
  readonly execute: (command: ReapJob) => Promise<Outcome>;
  readonly onError: (jobId: string, error: unknown) => void;
}

const PAGE = 500;
/** A job that moved while it was judged is judged again this often. */
const ROUNDS = 5;
const MAX_LISTED = 1_000;

export class Sweep {
  private readonly swept: SweptJob[] = [];
  private mostOverdueMs = 0;
  private absence: Absence | null = null;
  private graceEndsAt = Infinity;

  constructor(
    private readonly on: SweepDependencies,
    private readonly dryRun: boolean,
    private readonly askedBy: AskedBy = {},
  ) {}

  /** When the first of the leases that lapsed while the ledger was away has had its grace, epoch ms. */
  get nextGraceAt(): number {
    return this.graceEndsAt;
  }

  async run(): Promise<SweepReport> {
    const began = performance.now();
    const upTo = this.on.clock.now();
    let cursor: DueCursor | null = null;
    for (;;) {
      const page: readonly DueLease[] = await this.on.leases.due(upTo, cursor, PAGE);
      const oldest = page[0];
      if (oldest !== undefined) this.mostOverdueMs = Math.max(this.mostOverdueMs, upTo - oldest.deadlineAt);
      await this.page(page);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) break;
      cursor = { deadlineAt: last.deadlineAt, jobId: last.jobId };
    }
    return this.report(performance.now() - began);
  }

  private async page(page: readonly DueLease[]): Promise<void> {
    // Anew for each page: the ledger may have been away in the middle of a sweep.
    this.absence = await this.on.absence();
    let left = page;
    for (let round = 1; left.length > 0; round += 1) {
      const raced = await this.round(left, round === 1);
      if (raced.length === 0) return;
      if (round === ROUNDS) {
        for (const jobId of raced) this.swept.push({ jobId, rule: null, verdict: 'raced' });
        return;
      }
      const moved = await this.on.leases.find(raced);
      for (const jobId of raced) if (!moved.has(jobId)) this.swept.push({ jobId, rule: null, verdict: 'raced' });
      left = [...moved.values()].map((lease) => ({ ...lease, deadlineAt: this.on.clock.now() }));
    }
  }

  /** Judges and acts once; returns the jobs that moved meanwhile. */
  private async round(leases: readonly DueLease[], isFirst: boolean): Promise<readonly string[]> {
    const work = await this.gather(leases, isFirst);
    await this.rearm(work);
    if (this.dryRun) {
      for (const item of work) this.wouldDo(item);
      return [];
    }
    const acted = from(work).pipe(
      reapSaga,
      mergeMap((command) => this.act(command)),
      toArray(),
    );
    return (await lastValueFrom(acted)).filter((jobId) => jobId !== null);
  }

  /** The jobs of the leases; one that cannot be read is an error of its own. */
  private async gather(leases: readonly DueLease[], isFirst: boolean): Promise<readonly DueWork[]> {
    // What raced may have been judged on a row that is wrong: then the log is asked.
    const ids = isFirst ? leases.map(({ jobId }) => jobId) : [];
    const rows = await this.on.rows.load(ids);
    const now = this.on.clock.now();
    const { absence, askedBy } = this;
    const work: DueWork[] = [];
    for (const lease of leases) {
      try {
        const stored = await this.knownOf(lease, rows.get(lease.jobId));
        work.push({ lease, stored, policy: this.on.contexts.policyOf(stored.job.spec), now, absence, askedBy });
      } catch (error) {
        this.fail(lease.jobId, null, error);
      }
    }
    return work;
  }

  /** A lease row is dropped on the word of the log alone, and a wrong row of a job makes no second one. */
  private async knownOf(lease: Lease, row: StoredJob | undefined): Promise<StoredJob> {
    if (row !== undefined && bounds(lease, row)) return row;
    const { store, rows } = this.on;
    const stored = this.dryRun
      ? (await replayJob(store, lease.jobId)).stored
      : await repairRow(store, rows, lease.jobId);
    if (stored === null) throw new Error('its events are not in the log');
    return stored;
  }

  private async rearm(work: readonly DueWork[]): Promise<void> {
    const live = work.flatMap((item) => {
      const judgement = judge(item);
      const { jobId, beats, expiresAt } = item.lease;
      if (judgement.kind !== 'live') return [];
      const { rearmAt } = judgement;
      // No row says a deadline after the end of its lease: a grace is this sweep's to remember.
      if (rearmAt !== null && expiresAt !== null && rearmAt > expiresAt)
        this.graceEndsAt = Math.min(this.graceEndsAt, rearmAt);
      return [{ jobId, beats, deadlineAt: rearmAt }];
    });
    for (const { jobId } of live) this.swept.push({ jobId, rule: null, verdict: 'live' });
    if (!this.dryRun) await this.on.leases.rearm(live);
  }

  /** A dry run decides, and appends nothing. */
  private wouldDo(work: DueWork): void {
    const judgement = judge(work);
    if (judgement.kind === 'live') return;
    const { rule, clocks } = judgement;
    const { job, lastActivityPosition } = work.stored;
    const context = this.on.contexts.of(job.spec);
    const events = decide(job, { name: 'reap', clocks, lastActivityPosition }, context);
    const verdict = verdictOf(
      rule,
      events.map(({ type }) => type),
    );
    this.swept.push({ jobId: job.id, rule, verdict });
  }

  private async act(command: ReapJob): Promise<string | null> {
    const { jobId, rule } = command;
    try {
      const { events } = await this.on.execute(command);
      if (events.length === 0) return jobId;
      this.swept.push({ jobId, rule, verdict: verdictOf(rule, events) });
      return null;
    } catch (error) {
      if (error instanceof Raced || error instanceof PreconditionFailed) return jobId;
      this.fail(jobId, rule, error);
      return null;
    }
  }

  private fail(jobId: string, rule: Rule | null, error: unknown): void {
    this.swept.push({ jobId, rule, verdict: 'error' });
    this.on.onError(jobId, error);
  }

  private report(durationMs: number): SweepReport {
    const count = (verdict: SweepVerdict): number => this.swept.filter((job) => job.verdict === verdict).length;
    return {
      due: this.swept.length,
      reaped: count('failed'),
      requeued: count('requeued'),
      cancelled: count('cancelled'),
      moved: count('moved'),
      finalised: count('finalised'),
      skippedLive: count('live'),
      raced: count('raced'),
      errors: count('error'),
      mostOverdueMs: this.mostOverdueMs,
      durationMs: Math.round(durationMs),
      dryRun: this.dryRun,
      jobs: this.swept.slice(0, MAX_LISTED),
    };
  }
}

const verdictOf = (rule: Rule, events: readonly string[]): SweepVerdict => {
  if (events.includes('JobFailed') || events.includes('JobTimedOut')) return 'failed';
  if (events.includes('JobCancelled')) return 'cancelled';
  return rule === 'due' ? 'moved' : 'requeued';
};
