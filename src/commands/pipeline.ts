/**
 * The one write path. Commands that arrive while a batch is in flight form the next batch; there is no timer, so an
 * idle system adds no latency. A batch is decided in order and appended in one call; each caller is answered on its
 * own result, and nothing is answered before it is durable.
 *
 * At most one transition of a job is in a batch, or any number of its facts: a job that is in flight waits for the
 * next batch. What an append cannot prove (a refusal, a no-op, a missing job) is decided again on the log itself
 * (`Verification`), never answered from a cached state.
 */
import { performance } from 'node:perf_hooks';
import { nextBatchSize } from '../event-store/batch-size.js';
import { DeadlineExceeded, Overloaded } from './errors.js';
import type { Group, MemberRefused, Outcome } from './envelope.js';
import type { Batch, BatchSteps, Entry } from './batch.js';

export interface PipelineOptions {
  /** Most commands that wait or are in flight; more are refused before any work. */
  readonly maxPending: number;
  /** Most bytes that wait; payloads are kept until they are appended. */
  readonly maxPendingBytes?: number;
}

const DEFAULT_MAX_BYTES = 256 * 1024 * 1024;

export class Pipeline {
  private queue: Entry[] = [];
  private readonly busyJobs = new Set<string>();
  private inFlight = 0;
  /** Commands of the batches in flight. */
  private sent = 0;
  private pending = 0;
  private pendingBytes = 0;
  private readonly idleWaiters: (() => void)[] = [];
  private draining = false;
  /** A batch is about to be formed. */
  private forming = false;

  constructor(
    private readonly steps: BatchSteps,
    private readonly options: PipelineOptions,
  ) {}

  /** Number of commands that wait or are in flight. */
  get load(): number {
    return this.pending;
  }

  /**
   * Puts a group on its way.
   * @param bytes size of its request, for the bound on what waits.
   * @returns an outcome for each member, in order; refused ones only when the group drops them.
   * @throws Refused, JobNotFound, PreconditionFailed, IdempotencyKeyReused, Overloaded, DeadlineExceeded, Unavailable
   */
  submit(group: Group, bytes: number): Promise<readonly (Outcome | MemberRefused)[]> {
    const { maxPending, maxPendingBytes = DEFAULT_MAX_BYTES } = this.options;
    if (this.draining)
      return Promise.reject(
        new Overloaded('the service is stopping: repeat the call, at another process or when it is back'),
      );
    const isFull = this.pending + group.members.length > maxPending || this.pendingBytes + bytes > maxPendingBytes;
    // A group that is larger than the bound goes when nothing waits: told to come again later, it could never.
    if (isFull && this.pending > 0 && group.unbounded !== true) {
      return Promise.reject(new Overloaded('too many commands wait: nothing was done; repeat the call later'));
    }
    this.pending += group.members.length;
    this.pendingBytes += bytes;
    return new Promise<readonly (Outcome | MemberRefused)[]>((resolve, reject) => {
      this.queue.push({ group, resolve, reject, verified: false, tries: 0, repeated: false });
      this.pumpSoon();
    }).finally(() => {
      this.pending -= group.members.length;
      this.pendingBytes -= bytes;
      if (this.pending === 0) for (const wake of this.idleWaiters.splice(0)) wake();
    });
  }

  /** Takes no more commands and resolves when those in flight are answered. */
  async drain(): Promise<void> {
    this.draining = true;
    if (this.pending > 0) await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
  }

  /**
   * Once this turn of the event loop is over: an answered batch brings its callers' next commands all in one turn, and the
   * first of them would go alone, for the price of a batch.
   */
  private pumpSoon(): void {
    if (this.forming) return;
    this.forming = true;
    setImmediate(() => {
      this.forming = false;
      this.pump();
    });
  }

  private pump(): void {
    for (;;) {
      const most = nextBatchSize(this.pending - this.sent, this.sent, this.inFlight);
      const batch = this.queue.length > 0 && most > 0 ? this.take(most) : undefined;
      if (batch === undefined || batch.entries.length === 0) return;
      void this.run(batch);
    }
  }

  /** The next batch: what waits longest first, each job at most once (facts of one job together). */
  private take(most: number): Batch {
    const entries: Entry[] = [];
    const rest: Entry[] = [];
    const transitions = new Set<string>();
    const factJobs = new Set<string>();
    const factKeys = new Set<string>();
    let size = 0;
    let seen = 0;
    for (const entry of this.queue) {
      if (size >= most) break;
      seen += 1;
      if (isLate(entry)) continue;
      const fits = size + entry.group.members.length <= most || size === 0;
      if (!fits || !this.claimJobs(entry, transitions, factJobs, factKeys)) {
        // What waits holds back what comes later for the same job.
        for (const { jobId } of entry.group.members) transitions.add(jobId);
        rest.push(entry);
        continue;
      }
      entries.push(entry);
      size += entry.group.members.length;
    }
    this.queue = seen === this.queue.length ? rest : [...rest, ...this.queue.slice(seen)];
    const jobs = new Set(entries.flatMap(({ group }) => group.members.map(({ jobId }) => jobId)));
    for (const id of jobs) this.busyJobs.add(id);
    return { entries, jobs };
  }

  /** Whether the entry may go into the batch that is being formed; then its jobs are taken. */
  private claimJobs(entry: Entry, transitions: Set<string>, factJobs: Set<string>, factKeys: Set<string>): boolean {
    const { members } = entry.group;
    const only = members.length === 1 ? members[0] : undefined;
    if (only?.command.name === 'progress') {
      const key = `${only.jobId} ${only.command.token?.run} ${only.command.token?.attempt} ${only.command.batchId}`;
      if (this.busyJobs.has(only.jobId) || transitions.has(only.jobId) || factKeys.has(key)) return false;
      factJobs.add(only.jobId);
      factKeys.add(key);
      return true;
    }
    const taken = ({ jobId }: { jobId: string }): boolean =>
      this.busyJobs.has(jobId) || transitions.has(jobId) || factJobs.has(jobId);
    if (members.some(taken)) return false;
    for (const { jobId } of members) transitions.add(jobId);
    return true;
  }

  private async run(batch: Batch): Promise<void> {
    let again: readonly Entry[] = [];
    const size = batch.entries.reduce((sum, { group }) => sum + group.members.length, 0);
    this.inFlight += 1;
    this.sent += size;
    try {
      again = await this.steps.run(batch);
    } catch (error) {
      for (const entry of batch.entries) entry.reject(error);
    } finally {
      this.inFlight -= 1;
      this.sent -= size;
      for (const id of batch.jobs) this.busyJobs.delete(id);
      this.queue.unshift(...again);
      if (this.queue.length > 0) this.pumpSoon();
    }
  }
}

/** Answers an entry whose time is up or that nobody waits for any more. */
const isLate = (entry: Entry): boolean => {
  if (entry.group.signal?.aborted === true || performance.now() > entry.group.deadline) {
    entry.reject(new DeadlineExceeded());
    return true;
  }
  return false;
};
