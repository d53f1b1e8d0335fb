/** The errors of the client: a closed set. Whatever was underneath is kept as `cause`. */
import type { Problem, ProblemCode } from '../api/contract.js';
import { reasonOf } from './reason.js';

/** What every error of the client is. */
export abstract class JobledgerError extends Error {}

/** Thrown when the ledger refused a call and said why. `code` is stable; `detail` is for people. */
export class ProblemError extends JobledgerError {
  override readonly name: string = 'ProblemError';
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
  /** The whole RFC 9457 document: on a 409 also where the job stands. */
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(`${problem.code}: ${problem.detail}`, options);
    this.status = problem.status;
    this.code = problem.code;
    this.detail = problem.detail;
    this.problem = problem;
  }
}

/** Thrown when the lease is no longer this worker's: the job was ended, requeued or given to another. Stop working. */
export class StaleLeaseError extends ProblemError {
  override readonly name = 'StaleLeaseError';
}

/** Thrown when the run has ended and the command would change that. */
export class AlreadyTerminalError extends ProblemError {
  override readonly name = 'AlreadyTerminalError';
}

/** Thrown when the job's status does not take the command; `problem.from` is that status. */
export class IllegalTransitionError extends ProblemError {
  override readonly name = 'IllegalTransitionError';
}

/** Thrown when there is no such thing (`not_found`), or no longer (`gone`). */
export class NotFoundError extends ProblemError {
  override readonly name = 'NotFoundError';
}

/** Thrown when the request is malformed; `problem.errors` names each field. */
export class ValidationError extends ProblemError {
  override readonly name = 'ValidationError';
}

/** Thrown when the ledger turned the call away (`unavailable`, `rate_limited`, `projection_lagging`) until the deadline. */
export class UnavailableError extends ProblemError {
  override readonly name = 'UnavailableError';
}

/**
 * Thrown when a command was sent, at least one answer was lost, and the deadline passed or the call was redirected: it may
 * or may not have taken effect. Repeat it with `idempotencyKey` and the same body to learn which; it is never done twice.
 */
export class OutcomeUnknownError extends JobledgerError {
  override readonly name = 'OutcomeUnknownError';

  constructor(
    readonly idempotencyKey: string,
    options: ErrorOptions,
  ) {
    super(
      `no answer (${reasonOf(options.cause)}); repeat with Idempotency-Key ${idempotencyKey} to learn the outcome`,
      options,
    );
  }
}

/**
 * Thrown when a call got no answer before the deadline, or was redirected, and has changed nothing: a question, a heartbeat (which may have
 * renewed the lease), or a command that was never sent, because no connection was made.
 */
export class UnreachableError extends JobledgerError {
  override readonly name = 'UnreachableError';
}

/** Where a stream is redirected by what never was the ledger: connecting again would not help. */
export class MisledError extends UnreachableError {}

const classes: Partial<Record<ProblemCode, new (problem: Problem, options?: ErrorOptions) => ProblemError>> = {
  stale_lease: StaleLeaseError,
  already_terminal: AlreadyTerminalError,
  illegal_transition: IllegalTransitionError,
  not_found: NotFoundError,
  gone: NotFoundError,
  validation_failed: ValidationError,
  unavailable: UnavailableError,
  rate_limited: UnavailableError,
  projection_lagging: UnavailableError,
};

/** The error of a problem document, by its code. */
export const toProblemError = (problem: Problem): ProblemError => new (classes[problem.code] ?? ProblemError)(problem);

/** Whether sending the same value again would be refused again: malformed, or too large. */
export const isRefusedValue = (error: unknown): boolean =>
  error instanceof ValidationError || (error instanceof ProblemError && error.code === 'payload_too_large');

/** Whether the ledger refused a call in a way that no repeat of it changes: 4xx or 501, but overload. */
export const isRefusedForGood = (error: unknown): error is ProblemError =>
  error instanceof ProblemError &&
  !(error instanceof UnavailableError) &&
  (error.status < 500 || error.code === 'not_implemented');
