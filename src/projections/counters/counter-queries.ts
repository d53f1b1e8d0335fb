/** The counters as they are asked for. Each question is one statement, so its answer is of one position. */
import type { Pool } from 'pg';
import { JOB_STATUSES, type JobStatus } from '../../domain/job-chart.js';
import type { Position } from '../../event-store/event-store.js';
import { COUNTERS } from './counters.js';

/** In the order of the chart. */
export type StatusCounts = Readonly<Record<JobStatus, number>>;

export interface CountersAnswer {
  readonly position: Position;
  /** Recorded time of the last event that was counted; the database's time while there is none. RFC 3339. */
  readonly at: string;
  readonly total: number;
  readonly byStatus: StatusCounts;
  /** Queues that ever had a job, with the statuses that have one now. */
  readonly byQueue: Readonly<Record<string, Partial<StatusCounts>>>;
  readonly byType: Readonly<Record<string, Partial<StatusCounts>>>;
  /** Without refusals. */
  readonly events: number;
}

/** Counts that only rise, since the first event. */
export interface CounterTotals {
  readonly created: number;
  readonly completed: number;
  /** Timeouts included. */
  readonly failed: number;
  readonly cancelled: number;
  readonly retried: number;
  readonly deadLettered: number;
  /** Attempts that a rule ended or took back, by rule. */
  readonly reapedByRule: Readonly<Record<string, number>>;
  /** Refusals included. */
  readonly eventsByType: Readonly<Record<string, number>>;
}

/** Events that are history of a refused command, and of no job. */
const REFUSAL = 'CommandRefused';

export interface StatusRow {
  readonly status: JobStatus;
  readonly n: number;
}

export const countByStatus = (rows: readonly StatusRow[]): StatusCounts => {
  const counts = new Map<string, number>(JOB_STATUSES.map((status) => [status, 0]));
  for (const { status, n } of rows) counts.set(status, (counts.get(status) ?? 0) + n);
  return Object.fromEntries(counts) as StatusCounts;
};

/** Not by assignment to an object: a name may be `__proto__`. */
const countByName = (
  rows: readonly (StatusRow & { readonly name: string })[],
): Readonly<Record<string, Partial<StatusCounts>>> => {
  const byName = new Map<string, Map<JobStatus, number>>();
  for (const { name, status, n } of rows) {
    const counts = byName.get(name) ?? new Map<JobStatus, number>();
    byName.set(name, counts.set(status, (counts.get(status) ?? 0) + n));
  }
  return Object.fromEntries([...byName].map(([name, counts]) => [name, Object.fromEntries(counts)]));
};

interface CountersRow {
  position: string;
  at: Date;
  events: string;
  counts: readonly (StatusRow & { readonly queue: string; readonly type: string })[] | null;
}

export class CounterQueries {
  constructor(private readonly pool: Pool) {}

  async counters(): Promise<CountersAnswer> {
    const { rows } = await this.pool.query<CountersRow>({
      name: 'counters-read',
      text: `select p.position::text, coalesce(p.at, now()) as at,
          (select coalesce(sum(n), 0)::text from jobledger.counters_totals
            where name = 'events' and label <> $2) as events,
          (select json_agg(json_build_object('queue', queue, 'type', type, 'status', status, 'n', n)
              order by queue, type)
            from jobledger.counters_by_status where n <> 0) as counts
        from (select 1) one left join lateral (
          select coalesce(max(position), 0) as position, max(at) as at from jobledger.projections where name = $1
        ) p on true`,
      values: [COUNTERS.name, REFUSAL],
    });
    const { position, at, events, counts } = rows[0]!;
    const found = counts ?? [];
    return {
      position,
      at: at.toISOString(),
      total: found.reduce((sum, { n }) => sum + n, 0),
      byStatus: countByStatus(found),
      byQueue: countByName(found.map((row) => ({ ...row, name: row.queue }))),
      byType: countByName(found.map((row) => ({ ...row, name: row.type }))),
      events: Number(events),
    };
  }

  async totals(): Promise<CounterTotals> {
    const { rows } = await this.pool.query<{ name: string; label: string; n: string }>({
      name: 'counters-totals-read',
      text: 'select name, label, n from jobledger.counters_totals order by name, label',
    });
    const labelled = (name: string) =>
      new Map(rows.filter((row) => row.name === name).map(({ label, n }) => [label, Number(n)]));
    const events = labelled('events');
    const count = (...types: string[]) => types.reduce((sum, type) => sum + (events.get(type) ?? 0), 0);
    return {
      created: count('JobCreated'),
      completed: count('JobCompleted'),
      failed: count('JobFailed', 'JobTimedOut'),
      cancelled: count('JobCancelled'),
      retried: count('JobRetried'),
      deadLettered: count('JobDeadLettered'),
      reapedByRule: Object.fromEntries(labelled('reaped')),
      eventsByType: Object.fromEntries(events),
    };
  }
}
