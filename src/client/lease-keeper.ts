/**
 * Keeps the lease of one job alive: a heartbeat at every third of it, so that two may be lost, carrying the checkpoint
 * and state that were set since the last accepted one.
 *
 * A failed beat is repeated with back-off and is no reason to stop working, until a whole lease has passed since the
 * last renewal: from then on the job may be another worker's, and the work is called off. Beats go on as long as it lasts
 * all the same: a lapsed lease that nobody has ended renews, be it that this process was frozen, or the ledger away,
 * which then hears its workers before it judges them.
 */
import type { Heartbeat, HeartbeatAnswer } from '../api/contract.js';
import { backoffMs, type Clock } from './clock.js';
import { NotFoundError, StaleLeaseError, isRefusedValue } from './errors.js';

/** What a beat carries beyond the token. */
export type Changes = Pick<Heartbeat, 'checkpoint' | 'state'>;

export interface LeaseKeeperOptions {
  readonly clock: Clock;
  readonly leaseMs: number;
  /** One try. */
  readonly send: (changes: Changes, timeoutMs: number) => Promise<HeartbeatAnswer>;
  readonly onDirective: (directive: HeartbeatAnswer['directive']) => void;
  /** When it surely lapsed, and when it is another's: no beat follows then. */
  readonly onLost: (cause: unknown) => void;
  /** Each beat that failed without losing the lease. */
  readonly onError: (error: unknown) => void;
}

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

const INITIAL_BACKOFF_MS = 250;
const MAX_TRY_MS = 10_000;

/** Whether the ledger says that the lease, or the job, is gone. */
export const isLeaseGone = (error: unknown): boolean =>
  error instanceof StaleLeaseError || error instanceof NotFoundError;

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #intervalMs: number;
  #lapsesAt: number;
  #failures = 0;
  #unsaved: Changes | null = null;
  #waiters: Waiter[] = [];
  #beating: Promise<void> | null = null;
  #cancelNext: () => void = () => undefined;
  /** Why nothing was heard for a whole lease; null while it is this worker's, as far as is known. */
  #lapsedBy: Error | null = null;
  #stopped = false;
  #closed = false;

  /** Begins with the lease as just claimed. */
  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#intervalMs = options.leaseMs / 3;
    this.#lapsesAt = options.clock.now() + options.leaseMs;
  }

  start(): void {
    this.#schedule();
  }

  /** Another call was accepted, which renewed the lease too. */
  renewed(): void {
    this.#lapsedBy = null;
    this.#lapsesAt = this.#options.clock.now() + this.#options.leaseMs;
  }

  /**
   * Sends the change at once, or with the next beat while one is under way or failing; later changes replace it.
   * Resolves when it, or what replaced it, is saved; rejects when it is refused or the lease is lost.
   */
  save(changes: Changes): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed || this.#stopped) {
        reject(new Error('the attempt has ended'));
        return;
      }
      if (this.#lapsedBy !== null) {
        reject(this.#lapsedBy);
        return;
      }
      this.#unsaved = { ...this.#unsaved, ...changes };
      this.#waiters.push({ resolve, reject });
      if (this.#failures === 0) void this.#beat();
    });
  }

  /** Waits for the beat under way, so that none arrives behind the end of the attempt, and saves what is unsaved. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelNext();
    await this.#beating;
    if (this.#unsaved !== null && !this.#stopped) await this.#beat();
    this.#stop(new Error('the attempt ended before this was saved'));
  }

  #beat(): Promise<void> {
    this.#cancelNext();
    this.#beating ??= this.#send().finally(() => {
      this.#beating = null;
      this.#schedule();
    });
    return this.#beating;
  }

  #schedule(): void {
    if (this.#closed || this.#stopped) return;
    this.#cancelNext = this.#options.clock.after(this.#nextBeatMs(), () => void this.#beat());
  }

  #nextBeatMs(): number {
    const { clock } = this.#options;
    if (this.#failures === 0) return this.#unsaved === null ? this.#intervalMs : 0;
    const pauseMs = backoffMs(clock, this.#failures, INITIAL_BACKOFF_MS, this.#intervalMs);
    return this.#lapsedBy === null ? Math.min(Math.max(0, this.#lapsesAt - clock.now()), pauseMs) : pauseMs;
  }

  async #send(): Promise<void> {
    const changes = this.#unsaved;
    const waiters = this.#waiters;
    this.#unsaved = null;
    this.#waiters = [];
    try {
      const { directive } = await this.#options.send(changes ?? {}, Math.min(this.#intervalMs, MAX_TRY_MS));
      this.#failures = 0;
      this.renewed();
      for (const waiter of waiters) waiter.resolve();
      this.#options.onDirective(directive);
    } catch (error) {
      if (changes !== null && (isRefusedValue(error) || error instanceof TypeError)) {
        // Never accepted, so not repeated; the next beat goes without it.
        for (const waiter of waiters) waiter.reject(error);
      } else {
        this.#putBack(changes, waiters);
      }
      this.#failed(error);
    }
  }

  /** Behind what was set since. */
  #putBack(changes: Changes | null, waiters: Waiter[]): void {
    if (changes !== null) this.#unsaved = { ...changes, ...this.#unsaved };
    this.#waiters = [...waiters, ...this.#waiters];
  }

  #failed(error: unknown): void {
    const { clock, onLost, onError } = this.#options;
    this.#failures += 1;
    if (isLeaseGone(error)) {
      this.#stop(error);
      onLost(error);
    } else if (clock.now() < this.#lapsesAt) {
      onError(error);
    } else if (this.#lapsedBy === null) {
      this.#lapsedBy = error as Error;
      this.#rejectWaiters(error);
      onLost(error);
    }
  }

  #stop(error: unknown): void {
    this.#stopped = true;
    this.#rejectWaiters(error);
  }

  #rejectWaiters(error: unknown): void {
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters = [];
  }
}
