/**
 * A worker: claims jobs for its free slots, runs a handler on each, keeps their leases, and reports how they ended. It
 * outlives restarts of the ledger. After a `ReleaseError` it claims no job of that type for a while: see there.
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
 *       if (response.status === 429) throw new ThrottleError({ baseMs: 1_000 });
 *       if (response.status === 404) throw new NonRetryableError(`${images[done]} is gone`);
 *       await progress({ current: done + 1, total: images.length });
 *       await checkpoint(done + 1);
 *     }
 *     return { resized: images.length };
 *   },
 * });
 * worker.start();
 * for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void worker.stop().then(() => process.exit()));
 */
import type { ClaimedJob, ClaimRequest } from '../api/contract.js';
import { Announcer } from './announcer.js';
import { Attempt, HAND_BACK_MS } from './attempt.js';
import { backoffMs, sleep } from './clock.js';
import { ProblemError, UnavailableError } from './errors.js';
import { SilenceError } from './reason.js';
import { ReleaseBackoff } from './release-backoff.js';
import { Standstill } from './standstill.js';
import { checkWorkerOptions, type WorkerOptions } from './worker-options.js';

/** A claim of which the outcome is not known yet: repeated as it was, it gives the leases that it got. */
interface PendingClaim {
  readonly idempotencyKey: string;
  readonly request: ClaimRequest;
}

const CLAIM_DEADLINE_MS = 15_000;
const MIN_CLAIM_PERIOD_MS = 1_000;
const INITIAL_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 15_000;
const SILENT_MS = 10_000;
/** In a row, of one job: said once. */
const MANY_RELEASES = 10;
/** Between two questions whether a ledger that was away is back. */
const ASK_MS = 2_000;

export class Worker {
  readonly #options: WorkerOptions;
  readonly #concurrency: number;
  readonly #graceMs: number;
  readonly #announcer: Announcer;
  readonly #backoff: ReleaseBackoff;
  readonly #running = new Map<Attempt, Promise<void>>();
  readonly #handingBack = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #standstill: Standstill;
  #unobserve: () => void = () => undefined;
  #watchingReturn = false;
  #claiming: Promise<void> | null = null;
  #stopped: Promise<void> | null = null;
  #wake: () => void = () => undefined;

  /** @throws RangeError that names the option that is wrong, what it takes, and what it was given. */
  constructor(options: WorkerOptions) {
    checkWorkerOptions(options);
    const { client, workerId, concurrency = 1, graceMs = 30_000, listeners = {} } = options;
    this.#options = options;
    this.#concurrency = concurrency;
    this.#graceMs = graceMs;
    this.#backoff = new ReleaseBackoff(client.clock);
    this.#announcer = new Announcer({ workerId, url: client.baseUrl, clock: client.clock, listeners });
    this.#standstill = new Standstill(client.clock, (stillMs, wasBusy) => this.#stoodStill(stillMs, wasBusy));
  }

  /** Begins to claim. @throws Error when it was started or stopped before. */
  start(): void {
    if (this.#claiming !== null || this.#stopped !== null) throw new Error('a worker is started once');
    this.#unobserve = this.#options.client.observe((wasAnswered, cause) => this.#heard(wasAnswered, cause));
    this.#standstill.start();
    this.#claiming = this.#claimUntilStopped();
  }

  /**
   * Claims no more, lets running handlers finish for `graceMs`, then aborts their signals (`why: 'shutdown'`), gives
   * them 1 s to return or throw, and releases their jobs. Resolves when all that is done, at most 6 s after the grace.
   * Never rejects; again, it gives the same promise. A handler that ignores its signal runs on: `process.exit()` ends it.
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
    this.#standstill.stop();
    this.#unobserve();
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
      const ask = this.#backoff.ask(this.#options.types);
      if (pending === null && ask.types?.length === 0) {
        await sleep(client.clock, ask.ms, signal).catch(() => undefined);
        continue;
      }
      pending ??= this.#newClaim(ask.types, ask.ms);
      let pauseMs = 0;
      try {
        const { idempotencyKey, request } = pending;
        const { jobs } = await client.claim(request, {
          ...{ idempotencyKey, signal, deadlineMs: CLAIM_DEADLINE_MS },
          onRetry: (cause, tries) => {
            if (tries > 1) this.#away(cause);
          },
        });
        this.#announcer.taken();
        for (const claimed of jobs) this.#take(claimed);
        pending = null;
        failures = 0;
        // A ledger that drains answers empty at once, however long it was asked to wait.
        if (jobs.length === 0) pauseMs = MIN_CLAIM_PERIOD_MS - (client.clock.now() - askedAt);
      } catch (error) {
        if (this.#isStopping) return;
        if (isRefusal(error)) pending = null;
        failures += 1;
        pauseMs = backoffMs(client.clock, failures, INITIAL_BACKOFF_MS, MAX_BACKOFF_MS);
        if (isRefusal(error)) this.#announcer.refused(error, MAX_BACKOFF_MS);
        else this.#announcer.error(error, null);
      }
      if (pauseMs > 0) await sleep(client.clock, pauseMs, signal).catch(() => undefined);
    }
  }

  /** One call without an answer for so long is an outage: a frozen process takes calls, and its peers see no error. */
  #heard(wasAnswered: boolean, cause: unknown): void {
    this.#announcer.heard(wasAnswered);
    if (cause instanceof SilenceError && cause.ms >= SILENT_MS) this.#away(cause);
  }

  #away(cause: unknown): void {
    this.#announcer.away(cause);
    if (!this.#watchingReturn) void this.#watchReturn();
  }

  /** Asks until the ledger is there: a claim that waits for a job would tell only when it ends. */
  async #watchReturn(): Promise<void> {
    const { client } = this.#options;
    const { signal } = this.#stopping;
    this.#watchingReturn = true;
    while (this.#announcer.isAway && !signal.aborted) {
      await sleep(client.clock, ASK_MS, signal).catch(() => undefined);
      const ready = await client.ready({ signal, deadlineMs: 0 }).catch(() => null);
      if (ready !== null && ready.status !== 'unavailable') this.#announcer.heard(true);
    }
    this.#watchingReturn = false;
  }

  /** Beats go at a third of a lease: a pause of the other two may end it. */
  #stoodStill(stillMs: number, wasBusy: boolean): void {
    const shortestMs = Math.min(...[...this.#running.keys()].map(({ leaseMs }) => leaseMs));
    if (stillMs <= (2 * shortestMs) / 3) return;
    this.#announcer.tell(null, (listeners) => listeners.stoodStill?.(stillMs, wasBusy));
  }

  /** Apart, because the compiler takes `signal.aborted` for constant within the loop. */
  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** @param soonMs when there may be more types to ask for */
  #newClaim(types: readonly string[] | undefined, soonMs: number): PendingClaim {
    const { workerId, queues, leaseMs, waitMs: longestMs = 20_000 } = this.#options;
    const max = this.#concurrency - this.#running.size;
    const waitMs = Math.min(longestMs, soonMs);
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
    const announcer = this.#announcer;
    const attempt = new Attempt(claimed, { client, handler, leaseMs, announcer, onIgnored: () => this.#sayHeld() });
    const running = attempt.run().then((wasGivenBack) => {
      if (!wasGivenBack) this.#backoff.worked(claimed.job);
      else if (this.#backoff.released(claimed.job) === MANY_RELEASES) announcer.releases(claimed.job, MANY_RELEASES);
      this.#running.delete(attempt);
      this.#wake();
    });
    this.#running.set(attempt, running);
  }

  /** Slots that are not free again although what they do counts no more: with all of them the worker takes no job. */
  #sayHeld(): void {
    const held = [...this.#running.keys()].filter(({ ignoresAbort }) => ignoresAbort).length;
    this.#announcer.tell(null, (listeners) => listeners.slotsHeld?.(held, this.#concurrency));
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

/** Whether the ledger refused a claim: only then is it known that the claim, or one before it under its key, got nothing. */
const isRefusal = (error: unknown): boolean => error instanceof ProblemError && !(error instanceof UnavailableError);
