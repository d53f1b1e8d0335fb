/** What the log counts, as metrics: read when somebody looks, so that every process of an installation says the same. */
import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { CounterQueries, type CounterTotals } from '../projections/counters/counter-queries.js';
import { QueueQueries } from '../projections/counters/queue-queries.js';
import { Upkeep } from '../projections/upkeep/upkeep.js';
import { findingOf } from './upkeep-view.js';
import { ProjectionWatch } from '../projections/projection-watch.js';
import { ReaperWatch } from '../reaper/reaper-watch.js';
import type { Leases } from '../leases/leases.js';
import { LEASES } from './ports.js';
import { Readiness } from './readiness.js';
import { Telemetry } from '../telemetry.js';
import { within } from './within.js';

/** A scrape has a time limit of its own, 10 s as a rule. */
const READ_MS = 3_000;
const MS_PER_SECOND = 1_000;
/** Names of queues are anybody's: more of them are not told. */
const MAX_QUEUES = 50;
const STATUSES = ['ok', 'degraded', 'unavailable'] as const;

/** Counts of the log without labels. */
type Total = keyof { [Name in keyof CounterTotals as CounterTotals[Name] extends number ? Name : never]: 0 };

/** Counters whose numbers are the log's: set anew at each look. */
class LogCounters {
  private readonly counters: Counter[] = [];

  constructor(private readonly telemetry: Telemetry) {}

  add(name: string, help: string, labelNames: readonly string[] = []): Counter {
    const counter = new Counter({ name, help, labelNames: [...labelNames], registers: [this.telemetry.registry] });
    this.counters.push(counter);
    return counter;
  }

  forget(): void {
    for (const counter of this.counters) forget(counter);
  }
}

/** Of what is not known nothing is told: a reset of a metric without labels would tell 0. */
const forget = (metric: Counter | Gauge): void => {
  const { labelNames } = metric as unknown as { readonly labelNames: readonly string[] };
  if (labelNames.length > 0) metric.reset();
  else metric.remove();
};

@Injectable()
export class LedgerMetrics {
  private readonly log: LogCounters;
  private readonly totals: Readonly<Record<Total, Counter>>;
  private readonly events: Counter;
  private readonly reaped: Counter;
  private readonly jobs: Gauge<'status'>;
  private readonly sweeps: Counter;
  private readonly lastSweep: Gauge;
  private readonly leasesHeld: Gauge;
  private readonly ready: Gauge<'status'>;
  private readonly mostOverdue: Gauge;
  private readonly lagEvents: Gauge<'projection'>;
  private readonly lagSeconds: Gauge<'projection'>;
  private readonly queueOldest: Gauge<'queue'>;
  private readonly verified: Gauge<'subject'>;
  private readonly differences: Gauge<'subject'>;

  constructor(
    private readonly telemetry: Telemetry,
    private readonly counters: CounterQueries,
    private readonly projections: ProjectionWatch,
    private readonly reaper: ReaperWatch,
    private readonly readiness: Readiness,
    @Inject(LEASES) private readonly leases: Leases,
    private readonly queues: QueueQueries,
    private readonly upkeep: Upkeep,
  ) {
    const registers = [telemetry.registry];
    const gauge = <Label extends string = never>(name: string, help: string, ...labelNames: Label[]) =>
      new Gauge<Label>({ name, help, labelNames, registers });
    const log = (this.log = new LogCounters(telemetry));
    this.totals = {
      created: log.add('jobledger_jobs_created_total', 'Jobs created'),
      completed: log.add('jobledger_jobs_completed_total', 'Runs completed'),
      failed: log.add('jobledger_jobs_failed_total', 'Runs failed, timeouts included'),
      cancelled: log.add('jobledger_jobs_cancelled_total', 'Runs cancelled'),
      retried: log.add('jobledger_jobs_retried_total', 'New runs of jobs whose run had ended'),
      deadLettered: log.add('jobledger_jobs_dead_lettered_total', 'Runs that became dead letters'),
    };
    this.events = log.add('jobledger_events_total', 'Events in the log', ['type']);
    this.reaped = log.add('jobledger_jobs_reaped_total', 'Attempts that a rule ended or took back', ['rule']);
    this.jobs = gauge('jobledger_jobs', 'Jobs by status', 'status');
    this.sweeps = new Counter({
      name: 'jobledger_sweeps_total',
      help: 'Sweeps of the reaper, of all processes; those by hand do not count',
      registers,
    });
    this.lastSweep = gauge(
      'jobledger_last_sweep_timestamp_seconds',
      'When the last sweep ended, of all processes, in seconds since 1970; absent when there was none',
    );
    this.leasesHeld = gauge('jobledger_leases_held', 'Leases that workers hold');
    this.ready = gauge(
      'jobledger_ready',
      '1 at the status that /health/ready of this process tells, 0 at the others',
      'status',
    );
    this.mostOverdue = gauge(
      'jobledger_most_overdue_seconds',
      'Age of the most overdue job that nobody has reaped; 0 when there is none',
    );
    this.lagEvents = gauge(
      'jobledger_projection_lag_events',
      'Events between a projection and the head of the log',
      'projection',
    );
    this.lagSeconds = gauge(
      'jobledger_projection_lag_seconds',
      'Age of the first event that a projection has not applied',
      'projection',
    );
    this.queueOldest = gauge(
      'jobledger_queue_oldest_seconds',
      'How long the oldest job that could be claimed has been in its queue, of the 50 queues that have waited longest',
      'queue',
    );
    this.verified = gauge(
      'jobledger_verification_ok',
      '1 when the last verification found all as it should be, or put it right, 0 when not; absent when there was none',
      'subject',
    );
    this.differences = gauge(
      'jobledger_verification_differences',
      'Rows that differed at the last verification of a projection and were not put right',
      'subject',
    );
  }

  /** In the text format of Prometheus. What the database does not answer is left out. */
  async render(): Promise<{ readonly contentType: string; readonly text: string }> {
    await Promise.all([
      this.readCounters(),
      this.readProjections(),
      this.readReaper(),
      this.readLeases(),
      this.readReadiness(),
      this.readQueues(),
      this.readVerifications(),
    ]);
    const { registry } = this.telemetry;
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  private async readCounters(): Promise<void> {
    const read = await within(READ_MS, Promise.all([this.counters.counters(), this.counters.totals()]));
    forget(this.jobs);
    this.log.forget();
    if (read === undefined) return;
    const [{ byStatus }, totals] = read;
    for (const [status, n] of Object.entries(byStatus)) this.jobs.set({ status: status }, n);
    for (const [name, counter] of Object.entries(this.totals)) counter.inc(totals[name as Total]);
    for (const [type, n] of Object.entries(totals.eventsByType)) this.events.inc({ type }, n);
    for (const [rule, n] of Object.entries(totals.reapedByRule)) this.reaped.inc({ rule }, n);
  }

  private async readProjections(): Promise<void> {
    const status = await within(READ_MS, this.projections.status());
    forget(this.lagEvents);
    forget(this.lagSeconds);
    for (const { name: projection, lagEvents, lagMs } of status ?? []) {
      this.lagEvents.set({ projection }, lagEvents);
      this.lagSeconds.set({ projection }, lagMs / MS_PER_SECOND);
    }
  }

  private async readReaper(): Promise<void> {
    const status = await within(READ_MS, this.reaper.status());
    for (const metric of [this.mostOverdue, this.sweeps, this.lastSweep]) forget(metric);
    if (status === undefined) return;
    this.mostOverdue.set(status.mostOverdueMs / MS_PER_SECOND);
    this.sweeps.inc(status.sweeps);
    if (status.lastSweepAt !== null) this.lastSweep.set(Date.parse(status.lastSweepAt) / MS_PER_SECOND);
  }

  private async readLeases(): Promise<void> {
    const held = await within(READ_MS, this.leases.held());
    forget(this.leasesHeld);
    if (held !== undefined) this.leasesHeld.set(held);
  }

  private async readQueues(): Promise<void> {
    const waiting = await within(READ_MS, this.queues.longestWaiting(MAX_QUEUES));
    forget(this.queueOldest);
    for (const { name, ageMs } of waiting ?? []) this.queueOldest.set({ queue: name }, ageMs / MS_PER_SECOND);
  }

  private async readVerifications(): Promise<void> {
    const runs = await within(READ_MS, this.upkeep.runs.lastVerified());
    forget(this.verified);
    forget(this.differences);
    for (const run of runs ?? []) {
      const { isSound, differing } = findingOf(run);
      this.verified.set({ subject: run.subject }, isSound ? 1 : 0);
      if (differing !== null) this.differences.set({ subject: run.subject }, differing);
    }
  }

  /** Tells it too when the database is away: each check has a time limit. */
  private async readReadiness(): Promise<void> {
    const now = (await this.readiness.check()).status;
    for (const status of STATUSES) this.ready.set({ status }, status === now ? 1 : 0);
  }
}
