/** Twin of `jobs` and `job_facts` (src/projections/migrations/000003-jobs.sql, 000133-bounded-stages.sql), and of the rows that commands load. */
import { hasTag, type JobStatus } from '../../src/domain/job-chart.js';
import { toEpochMs, type Value } from '../../src/domain/job-events.js';
import type { Job } from '../../src/domain/job.js';
import {
  applyDelta,
  initialProgress,
  MAX_STAGES,
  restoreProgress,
  saveProgress,
  type Progress,
  type ProgressDelta,
  type SavedProgress,
} from '../../src/domain/progress.js';
import { jobStream, workStream } from '../../src/domain/streams.js';
import type { EventStore } from '../../src/event-store/event-store.js';
import type { BesideApplier, BesideEntry } from '../../src/event-store/memory/memory-event-store.js';
import {
  JOBS_FACTS,
  JOBS_INSERT,
  JOBS_UPDATE,
  STAGES,
  type FactRow,
  type JobRow,
} from '../../src/projections/jobs/job-row.js';
import { toStoredJob, type JobRows } from '../../src/projections/jobs/job-rows.js';
import type { StoredJob } from '../../src/projections/jobs/stored-job.js';

/** Columns that anything here reads. */
export interface JobRecord {
  readonly type: string;
  readonly queue: string;
  readonly status: string;
  readonly priority: number;
  readonly run: number;
  readonly attempt: number;
  readonly leased: boolean;
  readonly revision: number;
  readonly position: string;
  readonly createdAt: number;
  readonly readyAt: number | null;
  readonly wakeAt: number | null;
  readonly lastEventAt: number;
  readonly lastActivityAt: number | null;
  readonly lastActivityPosition: string | null;
  readonly doc: Job;
  readonly payload: Value;
  readonly result: Value;
  readonly checkpoint: Value;
  readonly progress: Progress | null;
  readonly saved: SavedProgress | null;
}

type Columns<Row> = readonly { readonly value: (row: Row) => unknown }[];

/** The values that the SQL function gets; a new column stops the simulation until its twin knows it. */
const valuesOf = <Row>(columns: Columns<Row>, count: number, row: Row): unknown[] => {
  if (columns.length !== count) throw new Error('the twin of jobs does not know every column: read the migration');
  return columns.map(({ value }) => value(row));
};

/** `with_instant`: chr(1) stands for the recorded time. */
const docAt = (doc: string, at: number): Job =>
  JSON.parse(doc.replaceAll('\u0001', JSON.stringify(new Date(at).toISOString()))) as Job;

const parsed = (json: string | null): Value => (json === null ? null : (JSON.parse(json) as Value));

const factKey = (id: string, run: number, attempt: number, batchId: string): string =>
  JSON.stringify([id, run, attempt, batchId]);

export class JobsTable implements JobRows {
  readonly rows = new Map<string, JobRecord>();
  /** What each row was after an append. */
  readonly past = new Map<string, JobRecord[]>();
  readonly facts = new Set<string>();
  store!: EventStore;

  constructor(private readonly hasLease: (jobId: string) => boolean) {}

  readonly appliers: readonly [string, BesideApplier][] = [
    [JOBS_INSERT.name, { apply: (entries, { at }) => this.insert(entries as BesideEntry<JobRow>[], at) }],
    [
      JOBS_UPDATE.name,
      {
        check: (entries) => {
          const requests = (entries as BesideEntry<JobRow>[])
            .filter(({ row: { job } }) => (this.rows.get(job.id)?.revision ?? Infinity) > job.revision)
            .map(({ request }) => request);
          return { as: 'jobs', requests };
        },
        apply: (entries, { at }) => this.update(entries as BesideEntry<JobRow>[], at),
      },
    ],
    [
      JOBS_FACTS.name,
      {
        check: (entries) => this.checkFacts(entries as BesideEntry<FactRow>[]),
        apply: (entries, { at }) => this.addFacts(entries as BesideEntry<FactRow>[], at),
      },
    ],
  ];

  private write(id: string, row: JobRecord): void {
    this.rows.set(id, row);
    this.past.set(id, [...(this.past.get(id) ?? []), row]);
  }

  private insert(entries: readonly BesideEntry<JobRow>[], at: number): void {
    for (const { row, position } of entries) {
      const values = valuesOf(JOBS_INSERT.columns, 13, row);
      const [id, type, queue, status, priority, , revision] = values as [
        ...[string, string, string, string, number, string, number],
      ];
      const [ready, wakes, availableAt, doc, payload, progress] = values.slice(7) as [
        ...[boolean, boolean, number | null, string, string | null, string | null],
      ];
      if (this.rows.has(id)) throw new Error(`jobs_insert: ${id} is there already`);
      this.write(id, {
        ...{ type, queue, status, priority, revision, position, run: 1, attempt: 0, leased: false, createdAt: at },
        readyAt: ready ? (availableAt ?? at) : null,
        wakeAt: wakes ? availableAt : null,
        ...{ lastEventAt: at, lastActivityAt: null, lastActivityPosition: null, doc: docAt(doc, at) },
        ...{ payload: parsed(payload), result: null, checkpoint: null },
        ...{ progress: parsed(progress) as Progress | null, saved: null },
      });
    }
  }

  private update(entries: readonly BesideEntry<JobRow>[], at: number): void {
    for (const { row, position } of entries) {
      const values = valuesOf(JOBS_UPDATE.columns, 19, row);
      const [id, status, priority, run, attempt, leased, , revision] = values as [
        ...[string, string, number, number, number, boolean, boolean, number],
      ];
      const [ready, wakes, availableAt, activity, doc, set] = values.slice(8) as [
        ...[boolean, boolean, number | null, boolean, string, number],
      ];
      const [payload, result, checkpoint, operation, initial] = values.slice(14) as [
        ...[string | null, string | null, string | null, number, string | null],
      ];
      const before = this.rows.get(id);
      // `where j.revision < r.revision`: an equal one is left as it is.
      if (before === undefined || before.revision >= revision) continue;
      this.write(id, {
        ...before,
        ...{ status, priority, run, attempt, leased, revision, position },
        readyAt: ready ? (availableAt ?? before.createdAt) : null,
        wakeAt: wakes ? availableAt : null,
        lastEventAt: at,
        ...(activity ? { lastActivityAt: at, lastActivityPosition: position } : {}),
        doc: docAt(doc, at),
        ...((set & 1) > 0 ? { payload: parsed(payload) } : {}),
        ...((set & 2) > 0 ? { result: parsed(result) } : {}),
        ...((set & 4) > 0 ? { checkpoint: parsed(checkpoint) } : {}),
        ...progressAfter(before, operation, initial),
      });
    }
  }

  private checkFacts(entries: readonly BesideEntry<FactRow>[]) {
    const isHeld = ({ jobId, run, attempt }: FactRow): boolean => {
      const row = this.rows.get(jobId);
      return row?.leased === true && row.run === run && row.attempt === attempt;
    };
    const strangers = entries.filter(({ row }) => !isHeld(row));
    if (strangers.length > 0) return { as: 'leases', requests: strangers.map(({ request }) => request) };
    const old = entries.filter(({ row }) => this.rows.get(row.jobId)?.revision !== row.revision);
    if (old.length > 0) return { as: 'jobs', requests: old.map(({ request }) => request) };
    const repeats = entries.filter(({ row }) => this.facts.has(keyOfFact(row)));
    if (repeats.length > 0) return { as: 'job_facts', requests: repeats.map(({ request }) => request) };
    return { as: STAGES, requests: this.beyondStages(entries).map(({ request }) => request) };
  }

  /** In the order of the call, as `facts_beyond_stages`. */
  private beyondStages(entries: readonly BesideEntry<FactRow>[]): readonly BesideEntry<FactRow>[] {
    const stagesOf = new Map<string, Set<string>>();
    return entries.filter(({ row: { jobId, fact } }) => {
      const { stage } = fact.data;
      if (stage === null) return false;
      const stages = stagesOf.get(jobId) ?? new Set(Object.keys(this.rows.get(jobId)?.progress?.stages ?? {}));
      stagesOf.set(jobId, stages);
      const isBeyond = !stages.has(stage) && stages.size >= MAX_STAGES;
      if (!isBeyond) stages.add(stage);
      return isBeyond;
    });
  }

  private addFacts(entries: readonly BesideEntry<FactRow>[], at: number): void {
    for (const { row, position } of entries) {
      if (this.facts.has(keyOfFact(row))) throw new Error('jobs_facts: a fact twice in one append');
      this.facts.add(keyOfFact(row));
      const before = this.rows.get(row.jobId)!;
      const delta = JSON.parse(valuesOf(JOBS_FACTS.columns, 6, row)[5] as string) as ProgressDelta;
      this.write(row.jobId, {
        ...before,
        progress: applyDelta(before.progress ?? initialProgress(null), delta),
        ...{ position, lastEventAt: at, lastActivityAt: at, lastActivityPosition: position },
      });
    }
  }

  load(ids: readonly string[]): Promise<ReadonlyMap<string, StoredJob>> {
    const found = ids.flatMap((id) => {
      const stored = this.stored(id);
      return stored === undefined ? [] : [[id, stored] as const];
    });
    return Promise.resolve(new Map(found));
  }

  stored(id: string): StoredJob | undefined {
    const row = this.rows.get(id);
    return row && toStored(row);
  }

  withoutLease(statuses: readonly JobStatus[], limit: number): Promise<readonly StoredJob[]> {
    const wanted: readonly string[] = statuses;
    const found = [...this.rows].filter(([id, { status }]) => wanted.includes(status) && !this.hasLease(id));
    return Promise.resolve(found.slice(0, limit).map(([, row]) => toStored(row)));
  }

  /** Under the log's lock: only when the log did not move since it was replayed. */
  async repair(stored: StoredJob, facts: readonly string[]): Promise<void> {
    const { job } = stored;
    const streams = [jobStream(job.id), workStream(job.id)];
    const last = await Promise.all(
      streams.map((stream) => this.store.readStream(stream, { direction: 'backwards', limit: 1 })),
    );
    const head = Math.max(...last.flat().map(({ position }) => Number(position)));
    if (head !== Number(stored.position)) return;
    this.rows.set(job.id, rowOf(stored));
    for (const batchId of facts) this.facts.add(factKey(job.id, job.run, job.attempt, batchId));
  }

  async drop(jobId: string): Promise<void> {
    const events = await this.store.readStream(jobStream(jobId), { limit: 1 });
    if (events.length === 0) this.rows.delete(jobId);
  }
}

const keyOfFact = ({ jobId, run, attempt, fact }: FactRow): string => factKey(jobId, run, attempt, fact.data.batchId);

const progressAfter = (
  { progress, saved }: JobRecord,
  operation: number,
  initial: string | null,
): Partial<JobRecord> => {
  switch (operation) {
    case 1:
      return { progress: progress && restoreProgress(progress, saved) };
    case 2:
      return { saved: saveProgress(progress ?? initialProgress(null)) };
    case 3:
      return { progress: parsed(initial) as Progress | null, saved: null };
    default:
      return {};
  }
};

const instantMs = (instant: string | null): number | null => (instant === null ? null : toEpochMs(instant));

/** What a repair writes. */
export const rowOf = (stored: StoredJob): JobRecord => {
  const { job, values, position, progress, saved } = stored;
  const claimable = hasTag(job.status, 'claimable');
  const waits = hasTag(job.status, 'waiting');
  const { type, queue } = job.spec;
  const { status, priority, run, attempt, revision } = job;
  return {
    ...{ type, queue, status, priority, run, attempt, leased: job.lease !== null, revision, position },
    createdAt: toEpochMs(job.createdAt),
    readyAt: claimable && !waits ? toEpochMs(job.availableAt ?? job.createdAt) : null,
    wakeAt: claimable && waits ? instantMs(job.availableAt) : null,
    lastEventAt: toEpochMs(stored.lastEventAt),
    lastActivityAt: instantMs(stored.lastActivityAt),
    lastActivityPosition: stored.lastActivityPosition,
    ...{ doc: job, ...values, progress, saved },
  };
};

const dateOf = (ms: number | null): Date | null => (ms === null ? null : new Date(ms));

const toStored = (row: JobRecord): StoredJob => {
  const { doc, payload, result, checkpoint, progress, saved, position } = row;
  return toStoredJob({
    ...{ doc, payload, result, checkpoint, progress, saved_progress: saved, position },
    last_event_at: new Date(row.lastEventAt),
    last_activity_at: dateOf(row.lastActivityAt),
    last_activity_position: row.lastActivityPosition,
  });
};
