/**
 * Drives one projection along the log: reads a page, applies it, goes on; without news it rests.
 *
 * Of several processes one leads. The others look only when there is news, and take over when the checkpoint stands
 * still behind the head and the lead has run out. One that is too old for what it meets resigns, for a newer one to go
 * on. Whatever goes wrong, the loop lets go of what it knew, waits longer from time to time, and begins again from the
 * checkpoint that the database has.
 */
import { performance } from 'node:perf_hooks';
import type { Pool } from 'pg';
import { comparePositions, type EventStore, type Page } from '../event-store/event-store.js';
import { applyPage, LeftToNewer } from './apply-page.js';
import {
  checkpointAt,
  CheckpointLost,
  LogDiverged,
  VersionMismatch,
  verifyCheckpoint,
  type Checkpoint,
  type Checkpoints,
} from './checkpoint.js';
import { describeError, type ParkedStream } from './parked.js';
import type { Projection } from './projection.js';
import { beginSpan, linksTo } from '../tracing.js';
import { Wake } from './wake.js';

export interface ProjectionLog {
  /**
   * `consecutive` failures of the projection, from 1; it is tried again. Of a log that has diverged once: nothing but a
   * rebuild mends that, and until it changes every try fails in the same way.
   */
  readonly failed: (projection: string, error: unknown, consecutive: number) => void;
  readonly parked: (projection: string, parked: ParkedStream) => void;
}

export interface LoopOptions {
  /** Most events that are applied in one transaction. */
  readonly pageSize: number;
  /** How long a lead lasts without progress, ms: bounds how long a frozen leader holds up the others. */
  readonly leadMs: number;
  /** Between two pages that were not full, ms, unless somebody waits: gathers events, where each page costs a dozen trips. */
  readonly gapMs: number;
}

export interface LoopDependencies {
  readonly store: EventStore;
  readonly pool: Pool;
  readonly checkpoints: Checkpoints;
  readonly log: ProjectionLog;
}

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

export class ProjectionLoop {
  /** Where this process goes on while it leads. */
  private held: Checkpoint | undefined;
  private failures = 0;
  /** What was told of a log that has diverged; undefined once it is the same again. */
  private divergence: string | undefined;
  /** From start to stop. */
  private run: AbortController | undefined;
  private ended: Promise<void> = Promise.resolve();
  /** Until then a lead that has run out is taken though there is no news: its leader may be what was started anew. */
  private eagerUntil = 0;
  private readonly news = new Wake();
  private readonly pause = new Wake();
  private readonly hurried = new Wake();

  constructor(
    private readonly on: LoopDependencies,
    readonly projection: Projection,
    private readonly options: LoopOptions,
  ) {}

  /** Whether this process applied last, as far as it knows. */
  get leads(): boolean {
    return this.held !== undefined;
  }

  start(): void {
    if (this.run !== undefined) return;
    this.run = new AbortController();
    this.ended = this.drive(this.run.signal, this.ended);
  }

  wake(): void {
    this.news.wake();
  }

  /** Somebody waits for what is in the log now: the next page is not put off. */
  hurry(): void {
    this.hurried.wake();
  }

  /** Ends after the page in hand. */
  async stop(): Promise<void> {
    this.run?.abort();
    this.run = undefined;
    this.news.wake();
    this.pause.wake();
    this.hurried.wake();
    await this.ended;
  }

  private async drive(signal: AbortSignal, before: Promise<void>): Promise<void> {
    await before;
    this.pause.clear();
    this.eagerUntil = performance.now() + 1.5 * this.options.leadMs;
    let isKnown = false;
    while (!signal.aborted) {
      try {
        if (!isKnown) await this.on.checkpoints.ensure(this.projection);
        isKnown = true;
        await this.turn(signal);
        this.failures = 0;
      } catch (error) {
        await this.recover(error);
      }
    }
    this.held = undefined;
    await this.on.checkpoints.resign(this.projection.name).catch(() => undefined);
  }

  private async turn(signal: AbortSignal): Promise<void> {
    const from = this.held ?? (await this.takeLead(signal));
    if (from === undefined) return;
    const began = performance.now();
    this.news.clear();
    this.hurried.clear();
    const { types } = this.projection;
    const page = await this.on.store.readAll({
      after: from.position,
      limit: this.options.pageSize,
      following: true,
      ...(types && { filter: { types } }),
    });
    // Each time: a log may be restored from a backup while this process sleeps, and no statement of it fails.
    await verifyCheckpoint(this.on.store, this.projection.name, from);
    this.divergence = undefined;
    if (page.next === from.position) {
      if (!signal.aborted) await this.news.wait();
      return;
    }
    this.held = await this.apply(from, page);
    const rest = (this.projection.gapMs ?? this.options.gapMs) - (performance.now() - began);
    if (page.events.length < this.options.pageSize && rest > 0 && !signal.aborted) await this.hurried.wait(rest);
  }

  /** @returns undefined when another process applied the page. */
  private async apply(from: Checkpoint, page: Page): Promise<Checkpoint | undefined> {
    const { projection, options, on } = this;
    const to = await checkpointAt(on.store, page, from);
    const step = { from: from.position, to, events: page.events, leadMs: options.leadMs };
    const { span } = beginSpan(`project ${projection.name}`, null);
    if (span.isRecording()) {
      span.setAttributes({ 'jobledger.projection': projection.name, 'jobledger.events': page.events.length });
      span.addLinks(linksTo(page.events.map(({ metadata }) => metadata['traceparent'])));
    }
    try {
      const parked = await applyPage({ ...on, projection }, step);
      parked?.forEach((stream) => on.log.parked(projection.name, stream));
      return parked === undefined ? undefined : to;
    } finally {
      span.end();
    }
  }

  /**
   * Takes the lead where nobody has it.
   * @returns undefined when another process leads: then some time has passed.
   */
  private async takeLead(signal: AbortSignal): Promise<Checkpoint | undefined> {
    const { checkpoints, store } = this.on;
    const { name, version } = this.projection;
    this.news.clear();
    const [row] = await checkpoints.read([name]);
    if (row === undefined) throw new CheckpointLost(name);
    if (row.version !== version) throw new VersionMismatch(name, row.version, version);
    if (row.leader !== null && row.leader !== checkpoints.instanceId) {
      if (performance.now() > this.eagerUntil) {
        const head = await store.head();
        if (comparePositions(row.position, head.position) >= 0) {
          if (!signal.aborted) await this.news.wait();
          // Who led last goes first.
          await this.pause.wait(this.options.leadMs / 2);
          return undefined;
        }
      }
      if (row.leadsForMs > 0) {
        await this.pause.wait(row.leadsForMs);
        return undefined;
      }
    }
    const taken = await checkpoints.lead(name, this.options.leadMs);
    if (taken === undefined) return undefined;
    await verifyCheckpoint(store, name, taken);
    if (taken.lastError !== null) await checkpoints.note(name, null);
    this.held = taken;
    return taken;
  }

  private async recover(error: unknown): Promise<void> {
    const { name } = this.projection;
    this.held = undefined;
    this.failures += 1;
    const divergence = error instanceof LogDiverged ? error.message : undefined;
    if (divergence === undefined || divergence !== this.divergence) this.on.log.failed(name, error, this.failures);
    this.divergence = divergence ?? this.divergence;
    await this.on.checkpoints.note(name, describeError(error)).catch(() => undefined);
    if (error instanceof LeftToNewer) {
      // A newer process takes the lead in at most `leadMs`, and finds it free for twice as long.
      await this.on.checkpoints.resign(name).catch(() => undefined);
      await this.pause.wait(2 * this.options.leadMs);
      return;
    }
    await this.pause.wait(Math.min(FIRST_RETRY_MS * 2 ** (this.failures - 1), LAST_RETRY_MS));
  }
}
