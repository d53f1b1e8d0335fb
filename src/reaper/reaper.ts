/**
 * The reaper: ends or moves on every job whose stall rule is due. It sweeps every interval (60 s by default), at once
 * when the next deadline is nearer, and soon again when it could not judge a job. It has no SQL that changes a job: it
 * sends commands like anybody.
 *
 * Danger: a reaper that dies unseen leaves dead jobs running. So each sweep is recorded, and whoever is asked computes
 * the age of the most overdue job from the leases (`ReaperWatch`), not from what the reaper says of itself.
 *
 * One instance leads, for a few seconds at a time; a frozen or dead one loses the lead. Two that sweep at once do no
 * harm: the second finds each job moved. Beside a newer program an older one leads a sweep at a time.
 */
import type { Contexts } from '../commands/contexts.js';
import type { EventStore } from '../event-store/event-store.js';
import type { Clock } from '../leases/clock.js';
import type { Absence } from '../leases/grace.js';
import type { Leases } from '../leases/leases.js';
import type { JobRows } from '../projections/jobs/job-rows.js';
import type { Housekeeping } from './housekeeping.js';
import type { AskedBy } from './judge.js';
import { Sweep, type SweepDependencies, type SweepReport } from './sweep.js';
import { leadMsOf, type Sweeps } from './sweeps.js';
import { Unsettled } from './unsettled.js';

export interface ReaperOptions {
  /** Longest time between two sweeps, ms, from 100. */
  readonly intervalMs: number;
  /** The configured default policy, as text: deadlines are judged anew when it changed. */
  readonly policy: string;
}

export interface ReaperLog {
  readonly swept: (report: SweepReport) => void;
  readonly failed: (error: unknown, consecutive: number) => void;
  /** Of what is done beside the sweeps: those go on. */
  readonly housekeepingFailed: (error: unknown) => void;
}

export interface ReaperDependencies extends SweepDependencies {
  readonly store: EventStore;
  readonly leases: Leases;
  readonly rows: JobRows;
  readonly contexts: Contexts;
  readonly clock: Clock;
  readonly sweeps: Sweeps;
  readonly housekeeping: Pick<Housekeeping, 'begin'>;
  /** Whether a newer jobledger writes to the log: then this one keeps no lead, for there may be jobs that it cannot read. */
  readonly isOutdated: () => Promise<boolean>;
  readonly log: ReaperLog;
}

/** Nearer deadlines are not looked for more often than this. */
const PEEK_MS = 500;
/** A sweep by itself follows the last one after this at the earliest. */
const MIN_GAP_MS = 50;

export class Reaper {
  private stopped = true;
  private running: Promise<void> | undefined;
  private wakeUp: (() => void) | undefined;
  private consecutiveErrors = 0;
  private sweptUpTo = 0;
  private graceEndsAt = Infinity;
  private readonly unsettled = new Unsettled();

  constructor(
    private readonly on: ReaperDependencies,
    private readonly options: ReaperOptions,
  ) {}

  /** Handles all that is due now; for an operator, a test, and the loop. */
  async sweep(dryRun = false, askedBy: AskedBy = {}): Promise<SweepReport> {
    return this.run(new Sweep(this.on, dryRun, askedBy));
  }

  private async run(sweep: Sweep): Promise<SweepReport> {
    const report = await sweep.run();
    if (report.dryRun) return report;
    this.graceEndsAt = sweep.nextGraceAt;
    this.on.log.swept(report);
    return report;
  }

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.running = this.loop();
  }

  /** Ends after the sweep in hand; idempotent. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.wakeUp?.();
    await this.running;
    this.running = undefined;
  }

  private async loop(): Promise<void> {
    const unsubscribe = this.on.store.onAppended(() => (this.news = true));
    while (!this.stopped) {
      const began = performance.now();
      const leads = await this.turn();
      await this.rest(began, leads);
    }
    unsubscribe();
    await this.on.sweeps.resign().catch(() => undefined);
  }

  private news = false;

  private get leadMs(): number {
    return leadMsOf(this.options.intervalMs);
  }

  private async turn(): Promise<boolean> {
    try {
      if (!(await this.on.sweeps.lead(this.leadMs))) return false;
      if (await this.on.sweeps.policyChanged(this.options.policy)) await this.on.leases.rejudge();
      void this.on.housekeeping.begin();
      this.sweptUpTo = this.on.clock.now();
      let firstError: string | null = null;
      const onError = (jobId: string, error: unknown): void => {
        firstError ??= `job ${jobId}: ${messageOf(error)}`;
        this.on.onError(jobId, error);
      };
      const report = await this.run(new Sweep({ ...this.on, onError, absence: () => this.absence() }, false));
      this.unsettled.note(report);
      await this.on.sweeps.record(report, firstError, this.options.intervalMs);
      this.consecutiveErrors = 0;
      return await this.keepsLead();
    } catch (error) {
      this.consecutiveErrors += 1;
      this.on.log.failed(error, this.consecutiveErrors);
      await this.on.sweeps
        .recordError(messageOf(error), this.consecutiveErrors, this.options.intervalMs)
        .catch(() => undefined);
      return false;
    }
  }

  /** With the lead renewed: what is away just now is known too, and a long sweep is no absence. */
  private async absence(): Promise<Absence | null> {
    await this.on.sweeps.lead(this.leadMs);
    return this.on.sweeps.absence();
  }

  /** An outdated one sweeps while nobody newer does: between its sweeps the lead is free. */
  private async keepsLead(): Promise<boolean> {
    if (!(await this.on.isOutdated())) return true;
    await this.on.sweeps.resign();
    return false;
  }

  /** Sleeps until the interval is over or a nearer deadline passes; keeps the lead meanwhile. */
  private async rest(began: number, leads: boolean): Promise<void> {
    const { intervalMs } = this.options;
    const until = began + Math.min(intervalMs, leads ? this.unsettled.againMs : this.leadMs / 2);
    let nearest = leads ? await this.nearest() : Infinity;
    let ledAt = performance.now();
    while (!this.stopped) {
      const now = performance.now();
      if (now >= until || this.on.clock.now() > nearest) break;
      const toDeadline = nearest - this.on.clock.now() + 1;
      await this.sleep(Math.max(1, Math.min(until - now, toDeadline, PEEK_MS)));
      if (!leads) continue;
      if (performance.now() - ledAt > this.leadMs / 3) {
        ledAt = performance.now();
        if (!(await this.on.sweeps.lead(this.leadMs).catch(() => true))) return;
      }
      if (this.news) {
        this.news = false;
        nearest = await this.nearest();
      }
    }
    const gap = MIN_GAP_MS - (performance.now() - began);
    if (gap > 0 && !this.stopped) await this.sleep(gap);
  }

  /** Of what was due at the last sweep and still is `unsettled` knows. */
  private async nearest(): Promise<number> {
    const deadline = (await this.on.leases.nextDeadline(this.sweptUpTo).catch(() => null)) ?? Infinity;
    return Math.min(deadline, this.graceEndsAt);
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
