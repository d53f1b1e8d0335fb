/** Why a call got no answer, in the words of whatever is underneath: `fetch` itself says only that it failed. */

/** Told by its fields, not its class: an error may come from another realm (a test runner, a worker thread). */
interface Failure {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly cause?: unknown;
  /** Of addresses that were tried in turn: they fail together, with a reason each and none of their own. */
  readonly errors?: readonly unknown[];
}

const asFailure = (error: unknown): Failure | null =>
  typeof error === 'object' && error !== null && 'message' in error ? (error as Failure) : null;

/** The deepest cause with words, as in `connect ECONNREFUSED 127.0.0.1:8080`. */
export const reasonOf = (error: unknown): string => {
  const failure = asFailure(error);
  if (failure === null) return String(error);
  const { name, message = '', code, cause, errors = [] } = failure;
  if (asFailure(cause) !== null) return reasonOf(cause);
  if (errors.length > 0) return errors.map(reasonOf).join(', ');
  return message === '' ? (code ?? name ?? 'no reason given') : message;
};

/** Why a try got no answer: so many milliseconds passed, all that it had. */
export class SilenceError extends Error {
  constructor(readonly ms: number) {
    super(`no answer in ${Math.round(ms)} ms`);
  }
}

/** Why a try got no answer: it was sent elsewhere by what stands in front of the ledger, which redirects nothing. */
export class RedirectError extends Error {
  /** @param location null: not said, or kept from the program, as browsers do */
  constructor(
    readonly status: number,
    readonly location: string | null,
  ) {
    const where = location === null ? '' : ` to ${location.slice(0, MAX_LOCATION)}`;
    super(`HTTP ${status} redirects${where}, which is not followed: set the URL of the service itself`);
  }
}

/** Of a place that a redirect names: a login page may be told all that was asked. */
const MAX_LOCATION = 300;

/** No connection was made, so nothing was sent, whatever else is unknown. */
const NEVER_CONNECTED = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];

export const wasNeverSent = (error: unknown): boolean => {
  const failure = asFailure(error);
  if (failure === null) return false;
  const { code, cause, errors = [] } = failure;
  return (
    NEVER_CONNECTED.includes(code ?? '') || (errors.length > 0 && errors.every(wasNeverSent)) || wasNeverSent(cause)
  );
};
