/** What the log counts, as metrics: read when somebody looks, so that every process of an installation says the same. */
import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { CounterQueries, type CounterTotals } from '../projections/counters/counter-queries.js';
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

  reset(): void {
    for (const counter of this.counters) counter.reset();
  }
}

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

  constructor(
    private readonly telemetry: Telemetry,
    private readonly counters: CounterQueries,
    private readonly projections: ProjectionWatch,
    private readonly reaper: ReaperWatch,
    private readonly readiness: Readiness,
    @Inject(LEASES) private readonly leases: Leases,
  ) {
    const registers = [telemetry.registry];
    const log = new LogCounters(telemetry);
    this.log = log;
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
    this.jobs = new Gauge({ name: 'jobledger_jobs', help: 'Jobs by status', labelNames: ['status'], registers });
    this.sweeps = new Counter({
      name: 'jobledger_sweeps_total',
      help: 'Sweeps of the reaper, of all processes; those by hand do not count',
      registers,
    });
    this.lastSweep = new Gauge({
      name: 'jobledger_last_sweep_timestamp_seconds',
      help: 'When the last sweep ended, of all processes, in seconds since 1970; 0 when there was none',
      registers,
    });
    this.leasesHeld = new Gauge({ name: 'jobledger_leases_held', help: 'Leases that workers hold', registers });
    this.ready = new Gauge({
      name: 'jobledger_ready',
      help: '1 at the status that /health/ready of this process tells, 0 at the others',
      labelNames: ['status'],
      registers,
    });
    this.mostOverdue = new Gauge({
      name: 'jobledger_most_overdue_seconds',
      help: 'Age of the most overdue job that nobody has reaped; 0 when there is none',
      registers,
    });
    this.lagEvents = new Gauge({
      name: 'jobledger_projection_lag_events',
      help: 'Events between a projection and the head of the log',
      labelNames: ['projection'],
      registers,
    });
    this.lagSeconds = new Gauge({
      name: 'jobledger_projection_lag_seconds',
      help: 'Age of the first event that a projection has not applied',
      labelNames: ['projection'],
      registers,
    });
  }

  /** In the text format of Prometheus. While the database is away, what it counts is as it was last seen. */
  async render(): Promise<{ readonly contentType: string; readonly text: string }> {
    await Promise.all([
      this.readCounters(),
      this.readProjections(),
      this.readReaper(),
      this.readLeases(),
      this.readReadiness(),
    ]);
    const { registry } = this.telemetry;
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  private async readCounters(): Promise<void> {
    const read = await within(READ_MS, Promise.all([this.counters.counters(), this.counters.totals()]));
    if (read === undefined) return;
    const [{ byStatus }, totals] = read;
    for (const [status, n] of Object.entries(byStatus)) this.jobs.set({ status: status }, n);
    this.log.reset();
    for (const [name, counter] of Object.entries(this.totals)) counter.inc(totals[name as Total]);
    for (const [type, n] of Object.entries(totals.eventsByType)) this.events.inc({ type }, n);
    for (const [rule, n] of Object.entries(totals.reapedByRule)) this.reaped.inc({ rule }, n);
  }

  private async readProjections(): Promise<void> {
    const status = await within(READ_MS, this.projections.status());
    for (const { name: projection, lagEvents, lagMs } of status ?? []) {
      this.lagEvents.set({ projection }, lagEvents);
      this.lagSeconds.set({ projection }, lagMs / MS_PER_SECOND);
    }
  }

  private async readReaper(): Promise<void> {
    const status = await within(READ_MS, this.reaper.status());
    if (status === undefined) return;
    this.mostOverdue.set(status.mostOverdueMs / MS_PER_SECOND);
    this.sweeps.reset();
    this.sweeps.inc(status.sweeps);
    this.lastSweep.set(status.lastSweepAt === null ? 0 : Date.parse(status.lastSweepAt) / MS_PER_SECOND);
  }

  private async readLeases(): Promise<void> {
    const held = await within(READ_MS, this.leases.held());
    if (held !== undefined) this.leasesHeld.set(held);
  }

  /** Tells it too when the database is away: each check has a time limit. */
  private async readReadiness(): Promise<void> {
    const now = (await this.readiness.check()).status;
    for (const status of STATUSES) this.ready.set({ status }, status === now ? 1 : 0);
  }
}
