/**
 * States to decide on: a cache in front of the rows, and the log behind both. A cached state may be old: an append
 * with its revision finds out. What an append cannot find out (a refusal, a no-op) is decided on the log itself.
 */
import type { Job } from '../domain/job.js';
import { evolve } from '../domain/job.js';
import { jobStream, workStream } from '../domain/streams.js';
import { Recent } from '../event-store/recent.js';
import { comparePositions, type EventStore, type Position, type RecordedEvent } from '../event-store/event-store.js';
import { pagesOf } from '../projections/jobs/job-history.js';
import type { JobRows } from '../projections/jobs/job-rows.js';
import type { LogWitness } from '../projections/log-witness.js';
import { DamagedHistory, damageOf, toTransition, type StoredJob } from '../projections/jobs/stored-job.js';
import { LogLost } from './errors.js';

/** A job to decide on, and the last position of it that is known. */
export interface KnownJob {
  readonly job: Job;
  readonly position: Position;
  /** The log said so, or an append did; else a row did, and rows can be edited. */
  readonly isProven: boolean;
  /** Id of its last transition, where all of the state comes from events: then only what followed is read. */
  readonly readTo: string | null;
}

export interface JobStatesOptions {
  /** Jobs that are kept; a job is about 2 KB. */
  readonly capacity?: number;
  /** Told of a job whose history cannot be read. */
  readonly onDamage?: (jobId: string) => void;
  /** Told of each state that is put in place of another. */
  readonly onState?: (job: Job) => void;
  /** Told what is known to be in the log, and of what is gone. */
  readonly witness?: Pick<LogWitness, 'saw' | 'lost'>;
}

export class JobStates {
  private readonly cache: Recent<string, KnownJob>;

  constructor(
    private readonly store: EventStore,
    private readonly rows: JobRows,
    private readonly options: JobStatesOptions = {},
  ) {
    this.cache = new Recent(options.capacity ?? 5_000);
  }

  get(id: string): KnownJob | undefined {
    return this.cache.get(id);
  }

  put(known: KnownJob): void {
    const { job, position, readTo } = known;
    this.cache.set(job.id, known);
    this.options.onState?.(job);
    if (readTo !== null) this.options.witness?.saw(placeOf(job, readTo, position));
  }

  /** Takes what a row says, unless as much is known. */
  learn({ job, position }: StoredJob): void {
    const known = this.cache.get(job.id);
    if (known === undefined || known.job.revision < job.revision) {
      this.put({ job, position, isProven: false, readTo: null });
    }
  }

  forget(id: string): void {
    this.cache.delete(id);
  }

  forgetAll(): void {
    this.cache.clear();
  }

  /** Loads rows of what is not cached. What has no row is left for `reload`. */
  async warm(ids: readonly string[]): Promise<void> {
    const unknown = ids.filter((id) => !this.cache.has(id));
    if (unknown.length === 0) return;
    for (const stored of (await this.rows.load(unknown)).values()) this.learn(stored);
  }

  /**
   * Reads the job from the log, whatever cache and rows say; undefined when it was never created.
   * @throws LogLost when the log lacks what it had of the job: what was known is forgotten
   */
  async reload(id: string): Promise<KnownJob | undefined> {
    const cached = this.cache.get(id);
    const [[job, last], [lastFact]] = await Promise.all([
      this.read(id, cached),
      this.store.readStream(workStream(id), { direction: 'backwards', limit: 1 }),
    ]);
    const now = this.cache.get(id);
    // An append that ended meanwhile knows more.
    if (now !== cached && now?.isProven === true && now.job.revision > (job?.revision ?? -1)) return now;
    if (cached?.isProven === true && cached.job.revision > (job?.revision ?? -1)) this.lose(cached);
    if (job === null || last === undefined) {
      this.forget(id);
      return undefined;
    }
    const isLater = lastFact !== undefined && comparePositions(lastFact.position, last.position) > 0;
    const known = { job, position: (isLater ? lastFact : last).position, isProven: true, readTo: last.id };
    this.put(known);
    return known;
  }

  /** The state, and its last transition: a state that comes from events is gone on with, if the log has the last of them. */
  private async read(id: string, cached: KnownJob | undefined): Promise<[Job | null, RecordedEvent | undefined]> {
    const base = cached?.readTo == null ? undefined : cached;
    let job = base?.job ?? null;
    let last: RecordedEvent | undefined;
    for await (const page of pagesOf(this.store, jobStream(id), base?.job.revision)) {
      const isFirst = last === undefined;
      if (isFirst && base !== undefined && page[0]?.id !== base.readTo) break;
      job = this.fold(id, job, isFirst && base !== undefined ? page.slice(1) : page);
      last = page.at(-1);
    }
    if (last === undefined && base !== undefined) this.lose(base);
    return [job, last];
  }

  private lose({ job, position, readTo }: KnownJob): never {
    this.forgetAll();
    this.options.witness?.lost(placeOf(job, readTo ?? '', position));
    throw new LogLost(job.id);
  }

  private fold(id: string, from: Job | null, events: readonly RecordedEvent[]): Job | null {
    let job = from;
    for (const event of events) {
      try {
        job = evolve(id, job, toTransition(event));
      } catch (error) {
        this.options.onDamage?.(id);
        throw new DamagedHistory(id, damageOf(event, error) as Error);
      }
    }
    return job;
  }
}

const placeOf = (job: Job, id: string, position: Position) => ({
  ...{ stream: jobStream(job.id), revision: job.revision, id, position },
});
