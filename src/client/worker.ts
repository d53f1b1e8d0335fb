/**
 * A worker: claims jobs for its free slots, runs a handler on each, keeps their leases, and reports how they ended. It
 * outlives restarts of the ledger.
 *
 * @example
 * import { JobledgerClient, NonRetryableError, ThrottleError, Worker } from 'jobledger/client';
 *
 * const client = new JobledgerClient({ baseUrl: 'http://127.0.0.1:8080', apiKey: process.env.JOBLEDGER_KEY });
 * const worker = new Worker({
 *   client,
 *   workerId: `resizer-${process.pid}`,
 *   types: ['resize'],
 *   concurrency: 4,
 *   handler: async (job, { signal, progress, checkpoint, lastCheckpoint }) => {
 *     const { images } = job.payload as { images: string[] };
 *     for (let done = Number(lastCheckpoint ?? 0); done < images.length; done += 1) {
 *       signal.throwIfAborted(); // cancelled, lease lost, or shutdown
 *       const response = await fetch(images[done]!, { signal });
 *       if (response.status === 429) throw new ThrottleError({ baseMs: 1_000, resource: 'images' });
 *       if (response.status === 404) throw new NonRetryableError(`${images[done]} is gone`);
 *       await progress({ current: done + 1, total: images.length });
 *       await checkpoint(done + 1);
 *     }
 *     return { resized: images.length };
 *   },
 *   listeners: { error: (error) => console.error(error) },
 * });
 * worker.start();
 * process.once('SIGTERM', () => void worker.stop());
 */
import type { ClaimedJob, ClaimRequest } from '../api/contract.js';
import { Attempt, HAND_BACK_MS, type Handler } from './attempt.js';
import type { JobledgerClient } from './client.js';
import { backoffMs, sleep } from './clock.js';
import { OutcomeUnknownError } from './errors.js';
import { Announcer, type WorkerListeners } from './worker-listeners.js';

/** Options of a worker. Durations in milliseconds. */
export interface WorkerOptions {
  readonly client: JobledgerClient;
  /** Shown on leases and events. Unique among live workers. */
  readonly workerId: string;
  /** Default any. */
  readonly queues?: readonly string[];
  /** Default any. */
  readonly types?: readonly string[];
  /** Handlers at once, and jobs held: none is claimed ahead. 1–1,000, default 1. */
  readonly concurrency?: number;
  /** How long the ledger hears nothing before the job is another's; beats go at a third. 100–86,400,000, default the policy's. */
  readonly leaseMs?: number;
  /** How long a claim waits for a job. 0–60,000, default 20,000; below 1,000 an empty queue is asked once a second. */
  readonly waitMs?: number;
  /** How long `stop` lets handlers finish. Default 30,000. */
  readonly graceMs?: number;
  readonly handler: Handler;
  readonly listeners?: WorkerListeners;
}

/** A claim of which the outcome is not known yet: repeated as it was, it gives the leases that it got. */
interface PendingClaim {
  readonly idempotencyKey: string;
  readonly request: ClaimRequest;
}

const CLAIM_DEADLINE_MS = 15_000;
const MIN_CLAIM_PERIOD_MS = 1_000;
const INITIAL_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 15_000;

export class Worker {
  readonly #options: WorkerOptions;
  readonly #concurrency: number;
  readonly #graceMs: number;
  readonly #announcer: Announcer;
  readonly #running = new Map<Attempt, Promise<void>>();
  readonly #handingBack = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #claiming: Promise<void> | null = null;
  #stopped: Promise<void> | null = null;
  #wake: () => void = () => undefined;

  /** @throws RangeError when an option is out of its range. */
  constructor(options: WorkerOptions) {
    const { workerId, concurrency = 1, leaseMs = 100, waitMs = 0, graceMs = 30_000 } = options;
    if (!/^[A-Za-z0-9._:/-]{1,120}$/.test(workerId)) throw new RangeError('workerId: 1–120 of [A-Za-z0-9._:/-]');
    requireWhole('concurrency', concurrency, 1, 1_000);
    requireWhole('leaseMs', leaseMs, 100, 86_400_000);
    requireWhole('waitMs', waitMs, 0, 60_000);
    requireWhole('graceMs', graceMs, 0, 2_147_483_647);
    this.#options = options;
    this.#concurrency = concurrency;
    this.#graceMs = graceMs;
    this.#announcer = new Announcer(options.listeners ?? {});
  }

  /** Begins to claim. @throws Error when it was started or stopped before. */
  start(): void {
    if (this.#claiming !== null || this.#stopped !== null) throw new Error('a worker is started once');
    this.#claiming = this.#claimUntilStopped();
  }

  /**
   * Claims no more, lets running handlers finish for `graceMs`, then aborts their signals (`why: 'shutdown'`), gives
   * them 1 s to return or throw, and releases their jobs. Resolves when all that is done, at most 6 s after the grace.
   * Never rejects; again, it gives the same promise.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#drain();
    return this.#stopped;
  }

  async #drain(): Promise<void> {
    this.#stopping.abort(new Error('the worker stops'));
    this.#wake();
    await this.#claiming;
    const cancelGrace = this.#options.client.clock.after(this.#graceMs, () => {
      for (const attempt of this.#running.keys()) attempt.shutdown();
    });
    await Promise.all([...this.#running.values(), ...this.#handingBack]);
    cancelGrace();
  }

  async #claimUntilStopped(): Promise<void> {
    const { client } = this.#options;
    const { signal } = this.#stopping;
    let pending: PendingClaim | null = null;
    let failures = 0;
    while (!signal.aborted) {
      if (this.#running.size >= this.#concurrency) {
        await this.#slotFreed();
        continue;
      }
      const askedAt = client.clock.now();
      pending ??= this.#newClaim();
      let pauseMs = 0;
      try {
        const { idempotencyKey, request } = pending;
        const { jobs } = await client.claim(request, { idempotencyKey, signal, deadlineMs: CLAIM_DEADLINE_MS });
        for (const claimed of jobs) this.#take(claimed);
        pending = null;
        failures = 0;
        // A ledger that drains answers empty at once, however long it was asked to wait.
        if (jobs.length === 0) pauseMs = MIN_CLAIM_PERIOD_MS - (client.clock.now() - askedAt);
      } catch (error) {
        if (this.#isStopping) return;
        if (!(error instanceof OutcomeUnknownError)) pending = null;
        failures += 1;
        pauseMs = backoffMs(client.clock, failures, INITIAL_BACKOFF_MS, MAX_BACKOFF_MS);
        this.#announcer.error(error, null);
      }
      if (pauseMs > 0) await sleep(client.clock, pauseMs, signal).catch(() => undefined);
    }
  }

  /** Apart, because the compiler takes `signal.aborted` for constant within the loop. */
  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  #newClaim(): PendingClaim {
    const { workerId, queues, types, leaseMs, waitMs = 20_000 } = this.#options;
    const max = this.#concurrency - this.#running.size;
    return { idempotencyKey: crypto.randomUUID(), request: { workerId, queues, types, leaseMs, waitMs, max } };
  }

  #slotFreed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #take(claimed: ClaimedJob): void {
    if (this.#isStopping) {
      const handingBack = this.#handBack(claimed).finally(() => this.#handingBack.delete(handingBack));
      this.#handingBack.add(handingBack);
      return;
    }
    const { client, handler, leaseMs } = this.#options;
    const attempt = new Attempt(claimed, { client, handler, leaseMs, announcer: this.#announcer });
    const running = attempt.run().finally(() => {
      this.#running.delete(attempt);
      this.#wake();
    });
    this.#running.set(attempt, running);
  }

  /** A claim that was answered while the worker began to stop. */
  async #handBack({ job, attempt, leaseToken }: ClaimedJob): Promise<void> {
    try {
      await this.#options.client.release(job.id, { leaseToken, reason: 'shutdown' }, { deadlineMs: HAND_BACK_MS });
    } catch (error) {
      this.#announcer.error(error, { job, attempt });
    }
  }
}

const requireWhole = (name: string, value: number, min: number, max: number): void => {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name}: a whole number from ${min} to ${max}, not ${value}`);
  }
};
