/** How an attempt ends: from what its handler did to the one command that says so. Pure. */
import type { CompleteJob, FailJob, ReleaseJob, ThrottleJob, WaitJob } from '../api/contract.js';
import { ProblemError } from './errors.js';
import {
  NonRetryableError,
  ReleaseError,
  ThrottleError,
  WaitError,
  type AttemptAbortedError,
} from './handler-errors.js';

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
    return { command: 'fail', body: { code: 'TypeError', message: wireText(why, 4_000), retryable: false } };
  }
  const { error } = outcome;
  if (error instanceof ThrottleError) return { command: 'throttle', body: error.throttle };
  if (error instanceof WaitError) return { command: 'wait', body: error.wait };
  if (error instanceof ReleaseError) return { command: 'release', body: { reason: wireText(error.reason, 4_000) } };
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
  const message = wireText(`the service refused to ${command} the job: ${error.detail}`, 4_000);
  const body = { code: wireText(error.code, 120), message };
  return { command: 'fail', body: command === 'complete' ? { ...body, retryable: false } : body };
};

const failureOf = (error: unknown): Body<FailJob> => {
  if (!(error instanceof Error)) return { code: 'NonError', message: wireText(textOf(error), 4_000) };
  if (error instanceof NonRetryableError) {
    const { code, message, detail = stackOf(error) } = error;
    return { code: wireText(code, 120), message: wireText(message, 4_000), detail, retryable: false };
  }
  const message = wireText(error.message || nameOf(error), 4_000);
  return { code: wireText(nameOf(error), 120), message, detail: stackOf(error) };
};

const MAX_STACK = 8_000;

/** Where it was thrown, kept with the job's error. */
const stackOf = ({ stack }: Error): { readonly stack: string } | undefined =>
  stack === undefined ? undefined : { stack: wireText(stack, MAX_STACK) };

/** What was thrown and is no error: an object as JSON, where it has one. */
const textOf = (thrown: unknown): string => {
  if (typeof thrown !== 'object' || thrown === null) return String(thrown);
  try {
    const text: unknown = JSON.stringify(thrown);
    return typeof text === 'string' ? text : 'an object that JSON leaves out';
  } catch {
    return Object.prototype.toString.call(thrown);
  }
};

/** Classes that extend Error without setting `name` inherit `Error`; their constructor says more. */
const nameOf = (error: Error): string => (error.name === 'Error' ? error.constructor.name : error.name);

/** Text as the wire takes it: 1 to `max` characters, no NUL, no half of a surrogate pair. */
export const wireText = (text: string, max: number): string =>
  text
    .slice(0, max)
    .replaceAll('\0', '')
    .replaceAll(/\p{Surrogate}/gu, '\uFFFD') || '(empty)';
