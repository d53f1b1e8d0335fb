/**
 * Runs the projections of this process. Each has a loop of its own, so one that fails holds up no other.
 *
 * An idle process asks the log for its head once in four seconds, and nothing else.
 */
import type { Pool } from 'pg';
import type { EventStore } from '../event-store/event-store.js';
import { AppendNews, type NewsOptions } from './append-news.js';
import { Checkpoints } from './checkpoint.js';
import type { Projection } from './projection.js';
import { ProjectionLoop, type LoopOptions, type ProjectionLog } from './projection-loop.js';

export interface RunnerDependencies {
  readonly store: EventStore;
  /** Of `createLogPool`: a projection in work holds one connection. */
  readonly pool: Pool;
  readonly projections: readonly Projection[];
  /** Of this process: unlike every other's, also that of the same one before a restart. */
  readonly instanceId: string;
  readonly log: ProjectionLog;
}

export type RunnerOptions = Partial<LoopOptions> & NewsOptions;

const DEFAULTS: LoopOptions = { pageSize: 1_000, leadMs: 3_000, gapMs: 200 };

export class ProjectionRunner {
  private readonly loops: readonly ProjectionLoop[];
  private readonly news: AppendNews;

  /** Defaults: pages of 1,000 events, a lead of 3 s, 200 ms between pages that are not full. */
  constructor(on: RunnerDependencies, options: RunnerOptions = {}) {
    const checkpoints = new Checkpoints(on.pool, on.instanceId);
    this.loops = on.projections.map(
      (projection) => new ProjectionLoop({ ...on, checkpoints }, projection, { ...DEFAULTS, ...options }),
    );
    this.news = new AppendNews(on.store, () => this.loops.forEach((loop) => loop.wake()), options);
  }

  /** Needs no database: what is away is waited for. Idempotent. */
  start(): void {
    this.news.start();
    this.loops.forEach((loop) => loop.start());
  }

  /** Ends after the pages in hand, and lets other processes lead at once. Idempotent. */
  async stop(): Promise<void> {
    this.news.stop();
    await Promise.all(this.loops.map((loop) => loop.stop()));
  }

  /** Somebody waits: what is in the log now is applied without a gap. */
  hurry(name: string): void {
    for (const loop of this.loops) if (loop.projection.name === name) loop.hurry();
  }

  /** Whether this process leads the projection, as far as it knows. */
  leads(name: string): boolean {
    return this.loops.some((loop) => loop.projection.name === name && loop.leads);
  }
}
