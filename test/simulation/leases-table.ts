/** Twin of `leases` (src/leases/migrations/000002-leases.sql and the statements of `PostgresLeases`). */
import type { JobStatus } from '../../src/domain/job-chart.js';
import type { BesideApplier, BesideEntry } from '../../src/event-store/memory/memory-event-store.js';
import {
  LEASES,
  LEASES_DIRECT,
  LEASES_END,
  LEASES_PUT,
  LEASES_RENEW,
  type LeaseDirective,
  type LeaseEnd,
  type LeasePut,
  type LeaseRenewal,
} from '../../src/leases/lease-rows.js';
import { type Absence, graceOf } from '../../src/leases/grace.js';
import type { Beat, DueCursor, DueLease, Lease, Leases, Renewed } from '../../src/leases/leases.js';
import type { JobRecord } from './jobs-table.js';

export interface LeaseRecord extends Lease {
  readonly leaseMs: number | null;
  readonly deadlineAt: number | null;
}

/** `least` and `greatest` of SQL pass over nulls. */
const least = (...values: (number | null)[]): number | null => {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.min(...known);
};

const isOf = (row: LeaseRecord | undefined, { run, attempt }: Pick<Beat, 'run' | 'attempt'>): row is LeaseRecord =>
  row !== undefined && row.run === run && row.attempt === attempt && row.workerId !== null;

const toLease = ({ leaseMs: _leaseMs, deadlineAt: _deadlineAt, ...lease }: LeaseRecord): Lease => lease;

const standsUntil = (row: LeaseRecord, absence: Absence | null): number | null =>
  graceOf(row, absence) ?? row.expiresAt;

const byDeadline = (a: DueCursor, b: DueCursor): number =>
  a.deadlineAt - b.deadlineAt || (a.jobId < b.jobId ? -1 : a.jobId > b.jobId ? 1 : 0);

type Due = LeaseRecord & { readonly deadlineAt: number };

const toDue = ({ leaseMs: _leaseMs, ...lease }: Due): DueLease => lease;

export class LeasesTable implements Leases {
  readonly rows = new Map<string, LeaseRecord>();
  /** The last row of each job that an append ended: what its end is to be judged by. */
  readonly ended = new Map<string, LeaseRecord>();
  /** How often a lease was given or renewed, by job, run and attempt. */
  readonly given = new Map<string, number>();
  /** Called for each bare heartbeat that is accepted. */
  onBeat: (beat: Beat) => void = () => undefined;

  constructor(
    private readonly now: () => number,
    private readonly jobs: ReadonlyMap<string, JobRecord>,
  ) {}

  private numbers = 0;

  private firstBeat(): number {
    this.numbers += 1;
    return this.numbers * 1_000_000;
  }

  readonly appliers: readonly [string, BesideApplier][] = [
    // In the order of an append: the end of a lease comes before what is put in its place.
    [
      LEASES_END.name,
      {
        check: (entries) => {
          const moved = (entries as BesideEntry<LeaseEnd>[]).filter(
            ({ row }) => row.beats !== null && this.rows.get(row.jobId)?.beats !== row.beats,
          );
          return { as: LEASES, requests: moved.map(({ request }) => request) };
        },
        apply: (entries) => {
          for (const { row } of entries as BesideEntry<LeaseEnd>[]) this.end(row.jobId);
        },
      },
    ],
    [LEASES_PUT.name, { apply: (entries, { at }) => this.put(entries as BesideEntry<LeasePut>[], at) }],
    [
      LEASES_RENEW.name,
      {
        check: (entries) => {
          const strangers = (entries as BesideEntry<LeaseRenewal>[]).filter(
            ({ row }) => !isOf(this.rows.get(row.jobId), row),
          );
          return { as: LEASES, requests: strangers.map(({ request }) => request) };
        },
        apply: (entries, { at }) => this.renewAll(entries as BesideEntry<LeaseRenewal>[], at),
      },
    ],
    [
      LEASES_DIRECT.name,
      {
        apply: (entries) => {
          for (const { row } of entries as BesideEntry<LeaseDirective>[]) this.direct(row);
        },
      },
    ],
  ];

  private put(entries: readonly BesideEntry<LeasePut>[], at: number): void {
    for (const { row } of entries) {
      const { jobId, run, attempt, workerId, leaseMs, expiresAt, deadlineAt } = row;
      const before = this.rows.get(jobId);
      if (before !== undefined) this.ended.set(jobId, before);
      this.rows.set(jobId, {
        ...{ jobId, run, attempt, workerId, leaseMs, deadlineAt, beats: this.firstBeat(), directive: 'continue' },
        expiresAt: workerId === null ? null : Math.max(expiresAt ?? 0, at + (leaseMs ?? 0)),
        lastBeatAt: workerId === null ? null : at,
      });
    }
  }

  private renewAll(entries: readonly BesideEntry<LeaseRenewal>[], at: number): void {
    const byJob = new Map<string, LeaseRenewal[]>();
    for (const { row } of entries) byJob.set(row.jobId, [...(byJob.get(row.jobId) ?? []), row]);
    for (const [jobId, renewals] of byJob) {
      const asked = renewals.flatMap(({ leaseMs }) => (leaseMs === null ? [] : [leaseMs]));
      this.renewed(jobId, at, asked.length === 0 ? null : Math.max(...asked), renewals.length);
    }
  }

  private renewed(jobId: string, at: number, leaseMs: number | null, calls: number): LeaseRecord {
    const row = this.rows.get(jobId)!;
    const expiresAt = at + (leaseMs ?? row.leaseMs ?? 0);
    const deadlineAt = least(row.deadlineAt, expiresAt);
    const after = { ...row, beats: row.beats + calls, lastBeatAt: at, expiresAt, deadlineAt };
    this.rows.set(jobId, after);
    this.give(row, calls);
    return after;
  }

  private give({ jobId, run, attempt }: Beat | LeaseRecord, calls: number): void {
    const key = `${jobId}/${run}/${attempt}`;
    this.given.set(key, (this.given.get(key) ?? 0) + calls);
  }

  private direct({ jobId, directive, deadlineAt }: LeaseDirective): void {
    const row = this.rows.get(jobId);
    if (row !== undefined) this.rows.set(jobId, { ...row, directive, deadlineAt: least(row.deadlineAt, deadlineAt) });
  }

  private end(jobId: string): void {
    const row = this.rows.get(jobId);
    if (row !== undefined) this.ended.set(jobId, row);
    this.rows.delete(jobId);
  }

  renew(beats: readonly Beat[]): Promise<readonly (Renewed | null)[]> {
    const now = this.now();
    // Several beats of one attempt in one statement renew it once, and are all answered.
    const done = new Map<string, LeaseRecord>();
    for (const beat of beats) {
      if (done.has(beat.jobId) || !isOf(this.rows.get(beat.jobId), beat)) continue;
      this.onBeat(beat);
      done.set(beat.jobId, this.renewed(beat.jobId, now, beat.leaseMs, 1));
    }
    return Promise.resolve(
      beats.map((beat) => {
        const row = done.get(beat.jobId);
        const job = this.jobs.get(beat.jobId);
        if (!isOf(row, beat) || job === undefined) return null;
        const { revision, position } = job;
        const status = job.status as JobStatus;
        return { expiresAt: row.expiresAt!, directive: row.directive, status, revision, position };
      }),
    );
  }

  find(jobIds: readonly string[]): Promise<ReadonlyMap<string, Lease>> {
    const found = jobIds.flatMap((id) => {
      const row = this.rows.get(id);
      return row === undefined ? [] : [[id, toLease(row)] as const];
    });
    return Promise.resolve(new Map(found));
  }

  private armed(): Due[] {
    return [...this.rows.values()].filter((row): row is Due => row.deadlineAt !== null);
  }

  due(upTo: number, after: DueCursor | null, limit: number): Promise<readonly DueLease[]> {
    const rows = this.armed().filter((row) => row.deadlineAt <= upTo && (after === null || byDeadline(row, after) > 0));
    return Promise.resolve(rows.sort(byDeadline).slice(0, limit).map(toDue));
  }

  nextDeadline(after: number): Promise<number | null> {
    return Promise.resolve(
      least(...this.armed().flatMap(({ deadlineAt }) => (deadlineAt > after ? [deadlineAt] : []))),
    );
  }

  overdue(now: number, absence: Absence | null): Promise<{ readonly count: number; readonly oldest: number | null }> {
    const rows = this.armed().filter(
      (row) => row.deadlineAt < now && (row.workerId === null || (standsUntil(row, absence) ?? 0) < now),
    );
    const oldest = least(...rows.map((row) => Math.max(row.deadlineAt, standsUntil(row, absence) ?? row.deadlineAt)));
    return Promise.resolve({ count: rows.length, oldest });
  }

  held(): Promise<number> {
    return Promise.resolve([...this.rows.values()].filter(({ workerId }) => workerId !== null).length);
  }

  silent(now: number, absence: Absence | null, limit: number): Promise<readonly DueLease[]> {
    const rows = this.armed().filter((row) => row.deadlineAt < now && (standsUntil(row, absence) ?? 0) >= now);
    return Promise.resolve(rows.sort(byDeadline).slice(0, limit).map(toDue));
  }

  rejudge(): Promise<void> {
    for (const [id, row] of this.rows) this.rows.set(id, { ...row, deadlineAt: least(row.deadlineAt, this.now()) });
    return Promise.resolve();
  }

  rearm(rows: Parameters<Leases['rearm']>[0]): Promise<void> {
    for (const { jobId, beats, deadlineAt } of rows) {
      const row = this.rows.get(jobId);
      if (row?.beats !== beats) continue;
      if (deadlineAt === null) this.rows.delete(jobId);
      else this.rows.set(jobId, { ...row, deadlineAt });
    }
    return Promise.resolve();
  }

  seed(rows: Parameters<Leases['seed']>[0]): Promise<void> {
    const now = this.now();
    for (const { jobId, revision, run, attempt, workerId, leaseMs, deadlineAt, directive } of rows) {
      const there = this.rows.get(jobId);
      // One that is left from an attempt that ended is replaced.
      const stays = there !== undefined && (there.run - run || there.attempt - attempt) >= 0;
      if (stays || this.jobs.get(jobId)?.revision !== revision) continue;
      const expiresAt = workerId === null ? null : now + (leaseMs ?? 0);
      this.rows.set(jobId, {
        ...{ jobId, run, attempt, workerId, leaseMs, expiresAt, lastBeatAt: null, beats: this.firstBeat(), directive },
        deadlineAt: least(deadlineAt, expiresAt),
      });
      this.give({ jobId, run, attempt, leaseMs }, 1);
    }
    return Promise.resolve();
  }
}
