/** What a handler throws to end its attempt in another way than `fail`, and what its signal is aborted with. */
import type { Instant, Json } from '../api/contract.js';
import { JobledgerError } from './errors.js';
import { refuse, requireKnown, requireWhole } from './require.js';
import { codeText } from './wire-text.js';

/** Throw to fail the run at once: another attempt would fail too. */
export class NonRetryableError extends JobledgerError {
  override readonly name = 'NonRetryableError';
  /** Of the job's error, 1–120 characters. */
  readonly code: string;
  /** Kept with the job's error, instead of the stack. */
  readonly detail: Json;

  /**
   * @param options.code a number is kept as text, more than 120 characters are cut; anything else that the code of an
   * error cannot be, and what is empty, is dropped. Default the name of `cause` when that is an error, else `NonRetryableError`.
   */
  constructor(message: string, options: ErrorOptions & { readonly code?: string; readonly detail?: Json } = {}) {
    super(message, options);
    const { code, cause } = options;
    this.code = codeText(code) ?? codeText(cause instanceof Error ? cause.name : undefined) ?? this.name;
    this.detail = options.detail;
  }
}

const THROTTLE = ['retryAfterMs', 'baseMs'];
const WAIT = ['reason', 'detail', 'until'];
const MAX_DELAY_MS = 86_400_000;

/** In JavaScript anything can come: a message alone would be refused by the ledger only when it is told. */
const requireOptions = (what: string, given: unknown, known: readonly string[]): void => {
  if (typeof given !== 'object' || given === null) refuse(what, `an object with ${known.join(', ')}`, given);
  else requireKnown(what, given, known);
};

/** How long a throttled job stays away: told by the other side, or a base that doubles with each throttle of the run. */
export type ThrottleDelay =
  | { readonly retryAfterMs: number; readonly baseMs?: never }
  | { readonly baseMs: number; readonly retryAfterMs?: never };

/** Throw when somebody else is overloaded: the job comes back later, at no cost in attempts. */
export class ThrottleError extends JobledgerError {
  override readonly name = 'ThrottleError';

  /** @param throttle `retryAfterMs` up to 24 h, or `baseMs`. */
  constructor(
    readonly throttle: ThrottleDelay,
    options?: ErrorOptions,
  ) {
    requireOptions('ThrottleError', throttle, THROTTLE);
    requireWhole('ThrottleError.retryAfterMs', throttle.retryAfterMs, 0, MAX_DELAY_MS);
    requireWhole('ThrottleError.baseMs', throttle.baseMs, 0, MAX_DELAY_MS);
    if ((throttle.retryAfterMs === undefined) === (throttle.baseMs === undefined)) {
      refuse('ThrottleError', 'one of retryAfterMs and baseMs', throttle);
    }
    super('throttled', options);
  }
}

/** Throw when a person or a credential is needed: the job waits without a worker until it is resumed. */
export class WaitError extends JobledgerError {
  override readonly name = 'WaitError';

  /** @param wait `until`: the wait expires then, at the latest after the policy's `waitLimitMs`. */
  constructor(
    readonly wait: { readonly reason: string; readonly detail?: Json; readonly until?: Instant },
    options?: ErrorOptions,
  ) {
    requireOptions('WaitError', wait, WAIT);
    super(`waits: ${wait.reason}`, options);
  }
}

/**
 * Throw to give the job back to its queue, at no cost in attempts: it is free for other workers at once. This one claims
 * no job of that type for 0.5 s; for twice as long after each release, up to 15 s, until an attempt of the type ends in
 * another way. A worker that takes any type (no `types`) cannot leave one out, and claims nothing meanwhile. To keep a
 * job from everybody for a while, throw `ThrottleError`. The console names a job that was released ten times in a row.
 */
export class ReleaseError extends JobledgerError {
  override readonly name = 'ReleaseError';

  constructor(
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`released: ${reason}`, options);
  }
}

/**
 * The `reason` of a handler's signal. `why`:
 * - `cancel`: somebody cancelled the job; whatever the handler does next, it ends as cancelled.
 * - `pause`: an operator holds the job; it is given back.
 * - `lease_lost`: the job is, or may be, another worker's: have no more effect on the world.
 * - `shutdown`: the worker stops and its grace is over; save a checkpoint and return or throw, the job is given back.
 */
export class AttemptAbortedError extends JobledgerError {
  override readonly name = 'AttemptAbortedError';

  constructor(
    readonly why: 'cancel' | 'pause' | 'lease_lost' | 'shutdown',
    options?: ErrorOptions,
  ) {
    super(`attempt aborted: ${why}`, options);
  }
}
