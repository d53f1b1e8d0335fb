/**
 * States to decide on: a cache in front of the rows, and the log behind both. A cached state may be old: an append
 * with its revision finds out. What an append cannot find out (a refusal, a no-op) is decided on the log itself.
 */
import type { Job } from '../domain/job.js';
import { evolve } from '../domain/job.js';
import { workStream } from '../domain/streams.js';
import { Recent } from '../event-store/recent.js';
import { comparePositions, type EventStore, type Position, type RecordedEvent } from '../event-store/event-store.js';
import { readTransitions } from '../projections/jobs/job-history.js';
import type { JobRows } from '../projections/jobs/job-rows.js';
import { DamagedHistory, isDamage, toTransition, type StoredJob } from '../projections/jobs/stored-job.js';

/** A job to decide on, and the last position of it that is known. */
export interface KnownJob {
  readonly job: Job;
  readonly position: Position;
  /** The log said so, or an append did; else a row did, and rows can be edited. */
  readonly isProven: boolean;
}

export class JobStates {
  private readonly cache: Recent<string, KnownJob>;

  constructor(
    private readonly store: EventStore,
    private readonly rows: JobRows,
    /** Jobs that are kept; a job is about 2 KB. */
    capacity = 5_000,
    /** Told of a job whose history cannot be read. */
    private readonly onDamage: (jobId: string) => void = () => undefined,
  ) {
    this.cache = new Recent(capacity);
  }

  get(id: string): KnownJob | undefined {
    return this.cache.get(id);
  }

  put(known: KnownJob): void {
    this.cache.set(known.job.id, known);
  }

  /** Takes what a row says, unless as much is known. */
  learn({ job, position }: StoredJob): void {
    const known = this.cache.get(job.id);
    if (known === undefined || known.job.revision < job.revision) this.put({ job, position, isProven: false });
  }

  forget(id: string): void {
    this.cache.delete(id);
  }

  /** Loads rows of what is not cached. What has no row is left for `reload`. */
  async warm(ids: readonly string[]): Promise<void> {
    const unknown = ids.filter((id) => !this.cache.has(id));
    if (unknown.length === 0) return;
    for (const stored of (await this.rows.load(unknown)).values()) this.learn(stored);
  }

  /** Reads the job from the log, whatever cache and rows say; undefined when it was never created. */
  async reload(id: string): Promise<KnownJob | undefined> {
    const [events, [lastFact]] = await Promise.all([
      readTransitions(this.store, id),
      this.store.readStream(workStream(id), { direction: 'backwards', limit: 1 }),
    ]);
    const job = this.fold(id, events);
    if (job === null) {
      this.forget(id);
      return undefined;
    }
    const last = events.at(-1)!.position;
    const position = lastFact === undefined || comparePositions(lastFact.position, last) < 0 ? last : lastFact.position;
    const known = { job, position, isProven: true };
    const cached = this.cache.get(id);
    // An append that ended meanwhile knows more.
    if (cached?.isProven === true && cached.job.revision > job.revision) return cached;
    this.put(known);
    return known;
  }

  private fold(id: string, events: readonly RecordedEvent[]): Job | null {
    try {
      return events.reduce<Job | null>((job, event) => evolve(id, job, toTransition(event)), null);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.onDamage(id);
      throw new DamagedHistory(id, error as Error);
    }
  }
}
