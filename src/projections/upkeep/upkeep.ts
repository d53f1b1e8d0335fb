/**
 * Upkeep: projections are made anew or verified beside the live ones, and the log is walked, while everybody works.
 *
 * A run is a row: what was asked, who holds it, how far it is. The process that was asked works on it; when it dies,
 * another one, or the same after its restart, takes it over once its hold has run out, and goes on from the checkpoint
 * of what was made. A run whose database goes away is let go and taken up again the same way.
 */
import { performance } from 'node:perf_hooks';
import type { Pool } from 'pg';
import { START, Unsupported, type EventStore, type Head, type Position } from '../../event-store/event-store.js';
import { Checkpoints } from '../checkpoint.js';
import { describeError } from '../parked.js';
import type { Projection } from '../projection.js';
import { pauseFor } from '../wake.js';
import { Building, TakenOver } from './building.js';
import { dropRetired } from './fence.js';
import { isPassing } from './passing.js';
import { Rebuild } from './rebuild.js';
import { UpkeepRuns, type UpkeepKind, type UpkeepRun } from './upkeep-runs.js';
import { Verify } from './verify.js';
import { Work } from './work.js';

/** A head of the log that was kept elsewhere. */
export interface KeptHead {
  readonly position: Position;
  readonly hash: string;
}

/** Walks the log of the process's adapter. @returns what it found */
export type WalkLog = (
  kept: KeptHead | null,
  onProgress: (position: Position) => void,
  signal: AbortSignal,
) => Promise<object>;

export interface UpkeepLog {
  /** Once an hour, and soon after the start: what is written down elsewhere is evidence of what the log was. */
  readonly head: (head: Head) => void;
  readonly ended: (run: UpkeepRun) => void;
  readonly failed: (run: UpkeepRun, error: unknown) => void;
}

export interface UpkeepDependencies {
  readonly store: EventStore;
  /** A run holds two connections at most. */
  readonly pool: Pool;
  readonly projections: readonly Projection[];
  /** Of this process. */
  readonly instanceId: string;
  /** Absent: the log is not in the database, and has no chain of hashes that could be walked. */
  readonly walkLog?: WalkLog;
  readonly log: UpkeepLog;
}

/** Between looks for runs that nobody holds, ms. */
const LOOK_MS = 5_000;
const HEAD_MS = 3_600_000;
/** Between two signs of life of a run, ms. */
const RENEW_MS = 500;
/** Between looks at a run that somebody waits for, ms: from the first to the last. */
const WAIT_LOOK_MS = [20, 500] as const;

export class Upkeep {
  readonly runs: UpkeepRuns;
  private readonly checkpoints: Checkpoints;
  private readonly working = new Map<string, Promise<void>>();
  private stopping = new AbortController();
  private looking: Promise<void> | undefined;

  constructor(private readonly on: UpkeepDependencies) {
    this.runs = new UpkeepRuns(on.pool, on.instanceId);
    this.checkpoints = new Checkpoints(on.pool, on.instanceId);
  }

  /** Takes over what others left. Idempotent. */
  start(): void {
    this.looking ??= this.look(this.stopping.signal);
  }

  /** Ends after the pages in hand, and lets other processes go on. Final. */
  async stop(): Promise<void> {
    this.stopping.abort(new Error('the process is stopping'));
    await this.looking;
    await Promise.all(this.working.values());
  }

  /**
   * Begins a run, or joins the one of its kind that is under way.
   * @param subject the name of a projection, or `log`
   * @throws UpkeepBusy; Unsupported for what nothing here could be held against
   */
  async ask(
    kind: UpkeepKind,
    subject: string,
    options: Readonly<Record<string, unknown>>,
    requestedBy: string,
  ): Promise<UpkeepRun & { readonly isNew: boolean }> {
    this.requirePossible(kind, subject);
    const run = await this.runs.begin(kind, subject, options, requestedBy);
    this.workOn(run.id);
    return run;
  }

  private requirePossible(kind: UpkeepKind, subject: string): void {
    if (kind === 'verify-log' && this.on.walkLog === undefined) {
      throw new Unsupported('the log is in EventStoreDB, which keeps no chain of hashes to verify');
    }
    const hasTables = this.on.projections.find(({ name }) => name === subject)?.tables.length !== 0;
    if (kind === 'verify' && !hasTables) {
      throw new Unsupported(`${subject} has no tables of its own to compare: a rebuild replays every job`);
    }
  }

  /** The run when it has ended, or after a time, or when nobody waits any more. */
  async waitFor(id: string, ms: number, signal: AbortSignal): Promise<UpkeepRun | undefined> {
    const until = performance.now() + ms;
    let pause: number = WAIT_LOOK_MS[0];
    for (;;) {
      const run = await this.runs.find(id);
      const left = until - performance.now();
      if (run?.state !== 'running' || left <= 0 || signal.aborted) return run;
      await this.pauseOrEnd(id, Math.min(pause, left), signal);
      pause = Math.min(pause * 2, WAIT_LOOK_MS[1]);
    }
  }

  /** A run of this process is not waited for longer than it takes. */
  private async pauseOrEnd(id: string, ms: number, signal: AbortSignal): Promise<void> {
    const own = this.working.get(id);
    if (own === undefined) return pauseFor(ms, signal);
    const ended = new AbortController();
    const until = AbortSignal.any([signal, ended.signal]);
    void own.then(() => ended.abort());
    return pauseFor(ms, until);
  }

  private workOn(id: string): void {
    if (this.working.has(id) || this.stopping.signal.aborted) return;
    const work = this.take(id)
      .catch(() => undefined)
      .finally(() => this.working.delete(id));
    this.working.set(id, work);
  }

  private async look(signal: AbortSignal): Promise<void> {
    let headAt = -Infinity;
    while (!signal.aborted) {
      for (const id of await this.runs.abandoned().catch(() => [])) this.workOn(id);
      await pauseFor(LOOK_MS, signal);
      // After the pause: a start that is refused says its one line alone. A database that is away is asked again.
      if (performance.now() - headAt >= HEAD_MS && (await this.sayHead(signal))) headAt = performance.now();
    }
  }

  private async sayHead(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    try {
      this.on.log.head(await this.on.store.head());
      return true;
    } catch {
      return false;
    }
  }

  private async take(id: string): Promise<void> {
    const taken = await this.runs.take(id);
    if (taken === undefined) return;
    const work = new Work(taken.run, this.runs, this.stopping.signal);
    const timer = setInterval(() => void work.renew().catch(() => undefined), RENEW_MS);
    try {
      const result = await this.perform(work, taken.isOutdated);
      await work.renew();
      await this.runs.finish(id, { result });
    } catch (error) {
      await this.fail(work, error);
    } finally {
      clearInterval(timer);
      work.end();
    }
    const ended = await this.runs.find(id);
    if (ended?.state !== 'running' && ended !== undefined) this.on.log.ended(ended);
  }

  private async fail({ run, signal }: Work, error: unknown): Promise<void> {
    if (signal.aborted || isPassing(error)) await this.runs.release(run.id).catch(() => undefined);
    else if (!(error instanceof TakenOver)) await this.runs.finish(run.id, { error: describeError(error) });
    if (!signal.aborted) this.on.log.failed(run, error);
  }

  private async perform(work: Work, isOutdated: boolean): Promise<object> {
    const { run, signal } = work;
    if (run.kind === 'verify-log') {
      await work.enter('walking', START);
      let last = 0n;
      const onProgress = (position: Position) => {
        // Positions are dense where a log is walked.
        work.onPage(position, Number(BigInt(position) - last));
        last = BigInt(position);
      };
      return this.on.walkLog!((run.options['kept'] ?? null) as KeptHead | null, onProgress, signal);
    }
    const live = this.on.projections.find(({ name }) => name === run.subject);
    if (live === undefined) throw new Error(`this program has no projection ${run.subject}`);
    const building = new Building(live, { ...this.on, checkpoints: this.checkpoints });
    const on = { ...this.on, checkpoints: this.checkpoints, runs: this.runs };
    if (run.step === 'dropping') {
      await dropRetired(building, on);
      return run.result ?? {};
    }
    if (run.step === 'waiting' || isOutdated || !(await building.isUsable())) {
      await building.begin();
      await work.enter('building', START);
    }
    return run.kind === 'rebuild' ? new Rebuild(building, work, on).run() : new Verify(building, work, on).run();
  }
}
