/**
 * One claimed job in the hands of this worker, from the claim to the one call that ends it. `run` never rejects: what
 * goes wrong is the job's failure, a lost lease, or told to the `error` listener.
 */
import { setMaxListeners } from 'node:events';
import type { ClaimedJob, CommandAnswer, HeartbeatAnswer, Job, RecordProgress } from '../api/contract.js';
import type { Announcer } from './announcer.js';
import type { AttemptContext, ProgressUpdate } from './attempt-context.js';
import type { JobledgerClient } from './client.js';
import type { CallOptions } from './transport.js';
import { endingOf, refusedEnding, type Ending, type Outcome } from './ending.js';
import { isRefusedForGood } from './errors.js';
import { AttemptAbortedError, ReleaseError } from './handler-errors.js';
import { type Changes, LeaseKeeper, isLeaseGone } from './lease-keeper.js';
import { LogBuffer } from './log-buffer.js';
import type { HeldJob } from './worker-listeners.js';

/**
 * Does the work of a job. What it returns is the job's result. What it throws ends the attempt: `NonRetryableError`,
 * `ThrottleError`, `WaitError` and `ReleaseError` as they say, anything else as a failure with the error's name as code;
 * its `detail` has the stack with those of its causes, and the error's own `code` as text, if it is a text or a number.
 */
export type Handler = (job: Job, context: AttemptContext) => unknown;

export interface AttemptOptions {
  readonly client: JobledgerClient;
  readonly handler: Handler;
  /** Of the claim; default the policy's. */
  readonly leaseMs: number | undefined;
  readonly announcer: Announcer;
  /** Once, when the handler still runs some seconds after its signal was aborted. */
  readonly onIgnored: () => void;
}

/** What an aborted handler has to return or throw in before its job is given back without it. */
export const SETTLE_MS = 1_000;
/** A handler that runs for so long after its signal was aborted ignores it. */
const IGNORED_MS = 5_000;
/** What the last calls of an attempt have at a forced shutdown. */
export const HAND_BACK_MS = 5_000;
const LOGS_DEADLINE_MS = 10_000;

export class Attempt {
  readonly #claimed: ClaimedJob;
  readonly #options: AttemptOptions;
  readonly #held: HeldJob;
  /** The handler's signal. */
  readonly #aborted = new AbortController();
  /** Of the calls before the end. */
  readonly #workCalls = new AbortController();
  /** Of the one that tells the end. */
  readonly #endCall = new AbortController();
  readonly #lease: LeaseKeeper;
  readonly #logs: LogBuffer;
  readonly #calls = new Set<Promise<void>>();
  readonly #abandoned: Promise<Outcome>;
  #abandon: (outcome: Outcome) => void = () => undefined;
  #batches = 0;
  #closed = false;
  #timers: (() => void)[] = [];
  #lostBy: { cause: unknown } | null = null;
  #ignoresAbort = false;

  constructor(claimed: ClaimedJob, options: AttemptOptions) {
    const { client } = options;
    // Node warns of a leak at the eleventh listener; a handler may have as many calls of its own under way as it likes.
    setMaxListeners(0, this.#aborted.signal);
    this.#claimed = claimed;
    this.#options = options;
    this.#held = { job: claimed.job, attempt: claimed.attempt };
    this.#abandoned = new Promise((resolve) => {
      this.#abandon = resolve;
    });
    this.#lease = new LeaseKeeper({
      clock: client.clock,
      leaseMs: this.leaseMs,
      send: (changes, timeoutMs) => this.#beat(changes, timeoutMs),
      onDirective: (directive) => {
        if (directive !== 'continue') this.#abort(directive);
      },
      onLost: (cause) => this.#lose(cause),
      onError: (error) => this.#report(error),
    });
    this.#logs = new LogBuffer(
      client.clock,
      (lines) => client.log(this.#id, { lines, ...this.#token }, { ...this.#work, deadlineMs: LOGS_DEADLINE_MS }),
      (error) => this.#report(error),
    );
  }

  /** @returns whether the handler gave the job back unasked. */
  async run(): Promise<boolean> {
    this.#options.announcer.tell(this.#held, (listeners) => listeners.claimed?.(this.#held));
    this.#lease.start();
    const outcome = await Promise.race([this.#handle(), this.#abandoned]);
    this.#closed = true;
    await Promise.all([Promise.allSettled(this.#calls), this.#logs.flush()]);
    await this.#lease.close();
    await this.#deliver(outcome);
    for (const cancel of this.#timers) cancel();
    return 'error' in outcome && outcome.error instanceof ReleaseError && this.#abortedBy === null;
  }

  /** Aborts the handler, and gives the job back when that does not end it. `run` ends within a few seconds. */
  shutdown(): void {
    const { clock } = this.#options.client;
    this.#abort('shutdown');
    this.#timers.push(
      clock.after(SETTLE_MS, () => {
        this.#abandon({ error: this.#aborted.signal.reason });
        this.#workCalls.abort(new Error('the worker has stopped'));
      }),
      clock.after(SETTLE_MS + HAND_BACK_MS, () => this.#endCall.abort(new Error('the worker has stopped'))),
    );
  }

  get leaseMs(): number {
    return this.#options.leaseMs ?? this.#claimed.job.policy.leaseMs;
  }

  get #id(): string {
    return this.#claimed.job.id;
  }

  get #token(): { readonly leaseToken: string } {
    return { leaseToken: this.#claimed.leaseToken };
  }

  get #work(): CallOptions {
    return { signal: this.#workCalls.signal };
  }

  async #handle(): Promise<Outcome> {
    try {
      return { result: await this.#options.handler(this.#claimed.job, this.#context()) };
    } catch (error) {
      return { error };
    }
  }

  #context(): AttemptContext {
    const { job, attempt, checkpoint } = this.#claimed;
    return {
      job,
      attempt,
      signal: this.#aborted.signal,
      lastCheckpoint: checkpoint,
      progress: (update) => this.#progress(update),
      checkpoint: (value) => handled(this.#lease.save({ checkpoint: value })),
      setState: (state) => handled(this.#lease.save({ state })),
      log: (level, message, fields) => {
        if (!this.#closed) this.#logs.add(level, message, fields);
      },
    };
  }

  #beat(changes: Changes, timeoutMs: number): Promise<HeartbeatAnswer> {
    const call = { ...this.#work, deadlineMs: 0, timeoutMs };
    return this.#options.client.heartbeat(this.#id, { ...changes, ...this.#token }, call);
  }

  /** Waited for before the end; a failure that nobody awaits is no unhandled rejection. */
  #progress(update: ProgressUpdate): Promise<void> {
    if (this.#closed) return handled(Promise.reject(new Error('the attempt has ended')));
    this.#batches += 1;
    const call = this.#count({ batchId: `auto-${this.#batches}`, ...update, ...this.#token });
    this.#calls.add(call);
    return handled(call.finally(() => this.#calls.delete(call)));
  }

  async #count(body: RecordProgress): Promise<void> {
    const { client } = this.#options;
    // An outage costs no attempt: after a lease without an answer, and a beat that hangs, the handler has been called off.
    const call = { ...this.#work, deadlineMs: Math.max(client.deadlineMs, 1.5 * this.leaseMs) };
    try {
      await client.progress(this.#id, body, call);
      this.#lease.renewed();
    } catch (error) {
      if (isLeaseGone(error)) this.#lose(error);
      else this.#report(error);
      throw error;
    }
  }

  /** Whether it holds its slot although its work counts no more. */
  get ignoresAbort(): boolean {
    return this.#ignoresAbort;
  }

  #abort(why: AttemptAbortedError['why'], cause?: unknown): void {
    if (!this.#aborted.signal.aborted) this.#timers.push(this.#options.client.clock.after(IGNORED_MS, this.#ignored));
    this.#aborted.abort(new AttemptAbortedError(why, { cause }));
  }

  #ignored = (): void => {
    if (this.#closed) return;
    this.#ignoresAbort = true;
    this.#options.onIgnored();
  };

  #lose(cause: unknown): void {
    const wasLost = this.#lostBy !== null;
    // What the ledger says is more than that it said nothing.
    if (!wasLost || isLeaseGone(cause)) this.#lostBy = { cause };
    if (wasLost) return;
    this.#abort('lease_lost', cause);
    this.#options.announcer.tell(this.#held, (listeners) => listeners.leaseLost?.(this.#held, cause));
  }

  #report(error: unknown): void {
    this.#options.announcer.error(error, this.#held);
  }

  get #abortedBy(): AttemptAbortedError['why'] | null {
    const { signal } = this.#aborted;
    return signal.aborted ? (signal.reason as AttemptAbortedError).why : null;
  }

  /** Tells the ledger, unless it said that the lease is gone: a lease that only lapsed may still complete. */
  async #deliver(outcome: Outcome): Promise<void> {
    if (this.#lostBy !== null && isLeaseGone(this.#lostBy.cause)) return;
    await this.#tellEnd(endingOf(outcome, this.#abortedBy), outcome);
  }

  /** What the ledger refuses for good becomes a failure that says so, once: a lease that lapses would say less, and later. */
  async #tellEnd(ending: Ending, outcome: Outcome, instead = false): Promise<void> {
    try {
      const answer = await this.#end(ending);
      this.#announce(ending, answer, outcome);
    } catch (error) {
      if (isLeaseGone(error)) {
        this.#lose(error);
        return;
      }
      // Before it is sent, a body that JSON cannot hold is a TypeError.
      if (!instead && (isRefusedForGood(error) || error instanceof TypeError)) {
        this.#report(error);
        await this.#tellEnd(refusedEnding(ending.command, error), { error }, true);
        return;
      }
      this.#options.announcer.error(
        error,
        this.#held,
        ': how it ended was not told; unless it was, the job is given out again',
      );
    }
  }

  /** Told until it is answered: work that is done is not done again because the ledger was away. */
  #end({ command, body }: Ending): Promise<CommandAnswer> {
    const { client } = this.#options;
    const call = { signal: this.#endCall.signal, deadlineMs: Infinity };
    switch (command) {
      case 'complete':
        return client.complete(this.#id, { ...body, ...this.#token }, call);
      case 'fail':
        return client.fail(this.#id, { ...body, ...this.#token }, call);
      case 'throttle':
        return client.throttle(this.#id, { ...body, ...this.#token }, call);
      case 'wait':
        return client.wait(this.#id, { ...body, ...this.#token }, call);
      case 'release':
        return client.release(this.#id, { ...body, ...this.#token }, call);
    }
  }

  #announce({ command, body }: Ending, answer: CommandAnswer, outcome: Outcome): void {
    const { announcer } = this.#options;
    if (this.#abortedBy === 'cancel' || answer.status === 'cancelled') {
      announcer.cancelled(this.#held, answer, command);
    } else if (command === 'fail') {
      // A result that cannot be stored was not thrown.
      const error = 'error' in outcome ? outcome.error : new TypeError(body.message);
      announcer.failed(this.#held, answer, error, body.message);
    } else {
      announcer.tell(this.#held, (listeners) =>
        command === 'complete'
          ? listeners.completed?.(this.#held, answer)
          : listeners.handedBack?.(this.#held, answer, 'error' in outcome ? outcome.error : undefined),
      );
    }
  }
}

/** The same promise, whose rejection may be ignored. */
const handled = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(() => undefined);
  return promise;
};
