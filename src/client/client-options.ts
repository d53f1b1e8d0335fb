/** What a client is made with. */
import type { Clock } from './clock.js';
import { checkBatchOptions, type BatchOptions } from './command-batches.js';
import { refuse, requireKnown, requireWhole } from './require.js';

/** How calls are repeated. Durations in milliseconds. */
export interface RetryOptions {
  /** For one call with all its repeats, beyond what it asked to wait. 0: a single try. Default 60,000. */
  readonly deadlineMs?: number;
  /** For a single try, beyond what it asked to wait. Default 10,000. */
  readonly timeoutMs?: number;
  /** First back-off; doubles with each failure. Default 100. */
  readonly initialMs?: number;
  /** Longest back-off; `Retry-After` may ask for more. Default 5,000. */
  readonly maxMs?: number;
}

export interface ClientOptions {
  /** Where the ledger is, as in `http://127.0.0.1:8080`; a path is kept as a prefix. */
  readonly baseUrl: string | URL;
  /** Sent as `Authorization: Bearer`, and shown nowhere. Absent: the service has no keys. */
  readonly apiKey?: string | undefined;
  /** Default the global one. */
  readonly fetch?: typeof globalThis.fetch;
  readonly retry?: RetryOptions;
  /**
   * Asked at each call, a worker's own too, for the `traceparent` (W3C Trace Context) to send; undefined: none. A request
   * that carries the commands of several calls (`batch`) has none.
   */
  readonly traceparent?: (() => string | undefined) | undefined;
  /** Commands on jobs that are on their way together go in one request; those of a `Worker` too. Default: each alone. */
  readonly batch?: BatchOptions | undefined;
  /** For tests. Default the system's. */
  readonly clock?: Clock;
}

const OPTIONS: readonly (keyof ClientOptions)[] = [
  'baseUrl',
  'apiKey',
  'fetch',
  'retry',
  'traceparent',
  'batch',
  'clock',
];
const RETRY_OPTIONS: readonly (keyof RetryOptions)[] = ['deadlineMs', 'timeoutMs', 'initialMs', 'maxMs'];
const LONGEST_MS = 2_147_483_647;
/** An empty variable is no key, and a line break at its end would be refused by `fetch`, with the key in the message. */
const HEADER_TEXT = /^[\x21-\x7e]+$/;

/** @throws RangeError that names the option that is wrong, what it takes, and what it was given. */
export const checkClientOptions = (options: ClientOptions): void => {
  if (typeof options !== 'object' || (options as unknown) === null) {
    refuse('options of a JobledgerClient', 'an object', options);
  }
  requireKnown('a JobledgerClient', options, OPTIONS);
  const { baseUrl, apiKey, traceparent, retry = {}, batch = {} } = options;
  // `localhost:8080` is a URL too: of the protocol `localhost`.
  if (!URL.canParse(String(baseUrl)) || !/^https?:$/.test(new URL(baseUrl).protocol)) {
    refuse('baseUrl', 'an http or https URL as in http://127.0.0.1:8080', baseUrl);
  }
  // Not `refuse`, which would show it.
  if (apiKey !== undefined && (typeof (apiKey as unknown) !== 'string' || !HEADER_TEXT.test(apiKey))) {
    throw new RangeError('apiKey: text of visible ASCII characters, without spaces around it; it is not shown here');
  }
  if (traceparent !== undefined && typeof (traceparent as unknown) !== 'function') {
    refuse('traceparent', 'a function that gives one, or undefined', traceparent);
  }
  requireKnown('retry', retry, RETRY_OPTIONS);
  requireWhole('retry.deadlineMs', retry.deadlineMs, 0, LONGEST_MS);
  requireWhole('retry.timeoutMs', retry.timeoutMs, 1, LONGEST_MS);
  requireWhole('retry.initialMs', retry.initialMs, 1, LONGEST_MS);
  requireWhole('retry.maxMs', retry.maxMs, 1, LONGEST_MS);
  checkBatchOptions(batch);
};
