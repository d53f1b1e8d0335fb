/** Tells a worker's listeners, and the console what has none. */
import type { CommandAnswer, Job } from '../api/contract.js';
import type { Clock } from './clock.js';
import type { Ending } from './ending.js';
import { OutcomeUnknownError, UnavailableError, UnreachableError } from './errors.js';
import { reasonOf } from './reason.js';
import type { HeldJob, WorkerListeners } from './worker-listeners.js';

export interface AnnouncerOptions {
  readonly workerId: string;
  /** Of the ledger, as lines name it. */
  readonly url: string;
  readonly clock: Clock;
  readonly listeners: WorkerListeners;
}

const isOutage = (error: unknown): boolean =>
  error instanceof UnreachableError || error instanceof OutcomeUnknownError || error instanceof UnavailableError;

/** Calls listeners so that none can break the worker, be it sync or async. */
export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #listeners: WorkerListeners;
  /** When the first call failed since the ledger last answered, on the client's clock. */
  #failingSince: number | null = null;
  /** As it was told; null while the ledger answers. */
  #awaySince: number | null = null;
  /** Why claims are refused, as the console last said it; null while they are taken. */
  #refusedFor: string | null = null;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    const { listeners } = options;
    this.#listeners = {
      leaseLost: ({ job, attempt }, cause) =>
        this.#warn(`the lease of job ${job.id} (${job.type}, attempt ${attempt}) is lost: ${reasonOf(cause)}`),
      slotsHeld: (held, slots) =>
        this.#warn(
          `${held} of ${slots} slots are held by handlers that have not returned since their signal: they take no job until they do`,
        ),
      stoodStill: (stillMs, wasBusy) => this.#warn(stoodStill(stillMs, wasBusy)),
      unreachable: (error) => (listeners.error ?? this.#sayAway)(error, null),
      ...(listeners.unreachable === undefined && listeners.error === undefined && { reachable: this.#sayReachable }),
      ...given(listeners),
    };
  }

  tell(held: HeldJob | null, call: (listeners: WorkerListeners) => unknown): void {
    this.#call(call, (error) => {
      this.error(error, held);
    });
  }

  /** An attempt failed. @param message as the ledger was told it: what was thrown may say nothing by itself. */
  failed(held: HeldJob, answer: CommandAnswer, error: unknown, message: string): void {
    const { job, attempt } = held;
    this.tell(held, ({ failed }) =>
      failed === undefined
        ? this.#warn(
            `attempt ${attempt} of job ${job.id} (${job.type}) failed, the job is ${answer.status}: ${message}`,
          )
        : failed(held, answer, error),
    );
  }

  /** The job was cancelled. @param command by which its worker ended the attempt: a result that came too late is said */
  cancelled(held: HeldJob, answer: CommandAnswer, command: Ending['command']): void {
    const { job, attempt } = held;
    this.tell(held, ({ cancelled }) => {
      if (cancelled !== undefined) return cancelled(held, answer);
      if (command === 'complete' && answer.status === 'cancelled') {
        this.#warn(`job ${job.id} (${job.type}) was cancelled, attempt ${attempt} did it: its history has the result`);
      }
      return undefined;
    });
  }

  /**
   * A call failed for good.
   * @param consequence said on the console even while an outage is known.
   */
  error(error: unknown, held: HeldJob | null, consequence?: string): void {
    const { error: listener, unreachable } = this.#options.listeners;
    if (isOutage(error) && (listener === undefined || unreachable !== undefined)) this.away(error);
    if (listener === undefined) {
      if (!isOutage(error) || consequence !== undefined) this.#sayError(error, held, consequence);
      return;
    }
    this.#call(
      () => listener(error, held),
      () => undefined,
    );
  }

  /** The handler gave a job back again and again, each time at no cost in attempts: nothing else would say so. */
  releases({ id, type }: Pick<Job, 'id' | 'type'>, times: number): void {
    this.#warn(
      `job ${id} (${type}) was released ${times} times in a row by this worker, and nothing ends that by itself`,
    );
  }

  /** A claim was refused, and is tried again within `periodMs`. The console says it once, until claims are taken again. */
  refused(error: unknown, periodMs: number): void {
    if (this.#options.listeners.error !== undefined) {
      this.error(error, null);
      return;
    }
    const reason = reasonOf(error);
    if (reason === this.#refusedFor) return;
    this.#refusedFor = reason;
    this.#warn(`a claim is refused: ${reason}; trying again, at least every ${periodMs / 1_000} s`);
  }

  /** A claim was taken. */
  taken(): void {
    if (this.#refusedFor === null) return;
    this.#refusedFor = null;
    this.#warn(`the ledger at ${this.#options.url} takes claims again`);
  }

  /** Calls fail one after another. The first time since the ledger last answered, it is told. */
  away(cause: unknown): void {
    if (this.#awaySince !== null) return;
    this.#awaySince = this.#failingSince ?? this.#options.clock.now();
    const error = new UnreachableError(
      `the ledger at ${this.#options.url} does not answer (${reasonOf(cause)}): is it running there? Trying again until it does`,
      { cause },
    );
    this.tell(null, (listeners) => listeners.unreachable?.(error));
  }

  /** Whether an outage was told that is not over. */
  get isAway(): boolean {
    return this.#awaySince !== null;
  }

  /** Any call was answered, by a refusal too; or it was not. */
  heard(wasAnswered: boolean): void {
    if (!wasAnswered) this.#failingSince ??= this.#options.clock.now();
    else this.#back();
  }

  #back(): void {
    this.#failingSince = null;
    if (this.#awaySince === null) return;
    const outageMs = Math.round(this.#options.clock.now() - this.#awaySince);
    this.#awaySince = null;
    this.tell(null, (listeners) => listeners.reachable?.(outageMs));
  }

  #sayAway = (error: unknown): void => this.#warn((error as Error).message);

  #sayReachable = (outageMs: number): void =>
    this.#warn(`the ledger at ${this.#options.url} answers again, after ${(outageMs / 1_000).toFixed(1)} s`);

  #sayError(error: unknown, held: HeldJob | null, consequence = ''): void {
    const what = held === null ? 'a call' : `a call for job ${held.job.id} (attempt ${held.attempt})`;
    this.#warn(`${what} failed: ${reasonOf(error)}${consequence}`);
  }

  #warn(text: string): void {
    console.warn(`jobledger worker ${this.#options.workerId}: ${text}`);
  }

  #call(call: (listeners: WorkerListeners) => unknown, onError: (error: unknown) => void): void {
    const calling = async (): Promise<void> => {
      await call(this.#listeners);
    };
    calling().catch(onError);
  }
}

const stoodStill = (stillMs: number, wasBusy: boolean): string => {
  const seconds = `${(stillMs / 1_000).toFixed(1)} s`;
  const what = wasBusy
    ? `your event loop was blocked for ${seconds}`
    : `this process stood still for ${seconds}, suspended or in a synchronous call`;
  return `${what}, longer than a lease that it holds allows: heartbeats could not be sent`;
};

/** An option that is there and undefined is as good as absent. */
const given = (listeners: WorkerListeners): WorkerListeners =>
  Object.fromEntries(Object.entries(listeners).filter(([, listener]) => listener !== undefined));
