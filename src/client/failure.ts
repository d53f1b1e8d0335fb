/** What a failed attempt tells of what its handler threw. Pure. */
import type { FailJob } from '../api/contract.js';
import { NonRetryableError } from './handler-errors.js';
import { codeText, textOf, wireText } from './wire-text.js';

export type Failure = Omit<FailJob, 'leaseToken'>;

/**
 * An error by its name and message. Its `detail` has the `stack`, with those of its causes and of the errors that it
 * aggregates, and the error's own `code` as text, where that is a text or a number that an error of a job may have as its
 * code; else it is left out. What is no error is its text.
 */
export const failureOf = (thrown: unknown): Failure => {
  try {
    if (!(thrown instanceof Error)) return { code: 'NonError', message: wireText(textOf(thrown), MAX_MESSAGE) };
    const said = { code: nameOf(thrown), message: wireText(messageOf(thrown), MAX_MESSAGE) };
    const stack = stackOf(thrown);
    if (thrown instanceof NonRetryableError) {
      const { code, detail = { stack } } = thrown;
      return { ...said, code: codeText(code) ?? said.code, detail, retryable: false };
    }
    const code = codeText((thrown as { readonly code?: unknown }).code);
    return { ...said, detail: code === undefined ? { stack } : { stack, code } };
  } catch {
    // A proxy, or a member that throws when it is read.
    return { code: 'NonError', message: 'what was thrown cannot be read' };
  }
};

export const MAX_MESSAGE = 4_000;
const MAX_STACK = 8_000;
const MAX_DEPTH = 5;

/** Told by its fields, not its class: a cause may come from another realm, as those of `fetch` do in a test runner. */
interface Underneath {
  readonly stack?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

const isUnderneath = (thrown: unknown): thrown is Underneath =>
  typeof thrown === 'object' && thrown !== null && 'stack' in thrown;

const errorsOf = ({ errors }: Underneath): readonly unknown[] => (Array.isArray(errors) ? (errors as unknown[]) : []);

/** Where it was thrown, and what was underneath, down to five errors and as long as the detail may get. */
const stackOf = (error: Error): string => {
  let text = '';
  const add = (label: string, thrown: unknown, depth: number): void => {
    if (depth > MAX_DEPTH || text.length >= MAX_STACK) return;
    if (!isUnderneath(thrown)) {
      text += label + textOf(thrown);
      return;
    }
    text += label + (typeof thrown.stack === 'string' ? thrown.stack : textOf(thrown.message));
    if (thrown.cause !== undefined) add('\ncaused by: ', thrown.cause, depth + 1);
    const errors = errorsOf(thrown);
    for (let at = 0; at < errors.length && text.length < MAX_STACK; at += 1) {
      add(`\nerror ${at + 1} of ${errors.length}: `, errors[at], depth + 1);
    }
  };
  add('', error, 0);
  return wireText(text, MAX_STACK);
};

/** Its own; an `AggregateError` often has none, but those that it aggregates have. */
const messageOf = (error: Error): string => {
  const own = textOf(error.message);
  if (own !== '') return own;
  const inner = errorsOf(error).map((one) => textOf(isUnderneath(one) ? one.message : one));
  return inner.filter((message) => message !== '').join(', ') || nameOf(error);
};

/** Classes that extend Error without setting `name` inherit `Error`; their constructor says more. */
const nameOf = (error: Error): string =>
  codeText(error.name === 'Error' ? error.constructor.name : error.name) ?? 'Error';
