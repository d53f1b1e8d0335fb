/** How an attempt ends: from what its handler did to the one command that says so. Pure. */
import type { CompleteJob, FailJob, ReleaseJob, ThrottleJob, WaitJob } from '../api/contract.js';
import { ProblemError } from './errors.js';
import { MAX_MESSAGE, failureOf } from './failure.js';
import { ReleaseError, ThrottleError, WaitError, type AttemptAbortedError } from './handler-errors.js';
import { codeText, textOf, wireText } from './wire-text.js';

type Body<T> = Omit<T, 'leaseToken'>;

/** What a handler did: gave a result, or threw. */
export type Outcome = { readonly result: unknown } | { readonly error: unknown };

export type Ending =
  | { readonly command: 'complete'; readonly body: Body<CompleteJob> }
  | { readonly command: 'fail'; readonly body: Body<FailJob> }
  | { readonly command: 'throttle'; readonly body: Body<ThrottleJob> }
  | { readonly command: 'wait'; readonly body: Body<WaitJob> }
  | { readonly command: 'release'; readonly body: Body<ReleaseJob> };

/**
 * A result completes, aborted or not: the ledger knows better than the worker whether it still counts. What an aborted
 * handler throws is taken for the abort, so that it costs no failed attempt.
 */
export const endingOf = (outcome: Outcome, abortedBy: AttemptAbortedError['why'] | null): Ending => {
  if ('result' in outcome) {
    const why = unstorable(outcome.result);
    if (why === null) return { command: 'complete', body: { result: outcome.result } };
    return { command: 'fail', body: { code: 'TypeError', message: wireText(why, MAX_MESSAGE), retryable: false } };
  }
  const { error } = outcome;
  if (error instanceof ThrottleError) return { command: 'throttle', body: error.throttle };
  if (error instanceof WaitError) return { command: 'wait', body: error.wait };
  if (error instanceof ReleaseError)
    return { command: 'release', body: { reason: wireText(textOf(error.reason), MAX_MESSAGE) } };
  if (abortedBy !== null) return { command: 'release', body: { reason: abortedBy } };
  return { command: 'fail', body: failureOf(error) };
};

/** Why JSON cannot hold a result, or would hold another: null when it can. Another attempt would give the same. */
const unstorable = (result: unknown): string | null => {
  if (typeof result === 'function' || typeof result === 'symbol') return `the result is a ${typeof result}`;
  try {
    JSON.stringify(result, (key, value: unknown) => {
      if (typeof value !== 'number' || Number.isFinite(value)) return value;
      throw new TypeError(`${key === '' ? 'the result' : key} is ${value}, which JSON cannot hold`);
    });
    return null;
  } catch (error) {
    return `the result cannot be sent: ${(error as Error).message}`;
  }
};

/**
 * The failure of an attempt whose ending the ledger refused, or that could not be sent. A result that was refused is so
 * the next time too.
 */
export const refusedEnding = (command: Ending['command'], error: unknown): Ending => {
  if (!(error instanceof ProblemError)) return { command: 'fail', body: failureOf(error) };
  const message = wireText(`the service refused to ${command} the job: ${error.detail}`, MAX_MESSAGE);
  const body = { code: codeText(error.code) ?? error.name, message };
  return { command: 'fail', body: command === 'complete' ? { ...body, retryable: false } : body };
};
