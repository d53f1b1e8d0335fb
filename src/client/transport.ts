/**
 * Calls over HTTP, repeated until one is answered or the deadline passes.
 *
 * The danger is a lost answer: the command may have taken effect. So every command carries an idempotency key, every
 * repeat carries the same one, and the ledger gives the first answer again. What is repeated: network errors, timeouts,
 * 429 and 503, 502 and 504 of proxies, and successes that are none of a ledger. A refusal is final. A redirect is never
 * followed: to a client that was never answered it says that the URL is wrong, later it is an outage.
 */
import { readAnswer, readRefusal, type Answer } from './answer.js';
import { checkClientOptions, type ClientOptions, type RetryOptions } from './client-options.js';
import { backoffMs, sleep, systemClock, type Clock } from './clock.js';
import { CommandBatches, isBatchable, type BatchedCommand } from './command-batches.js';
import { MisledError, OutcomeUnknownError, UnavailableError, UnreachableError } from './errors.js';
import { onAbort } from './on-abort.js';
import { RedirectError, SilenceError, reasonOf, wasNeverSent } from './reason.js';
import { strangenessOf, type Shape } from './shape.js';

/** What any call takes. */
export interface CallOptions {
  /** Ends the call: it rejects with the signal's reason. A command may have taken effect all the same. */
  readonly signal?: AbortSignal;
  /** Overrides `retry.deadlineMs`; `Infinity`: until it is answered. */
  readonly deadlineMs?: number;
  /** Overrides `retry.timeoutMs`. */
  readonly timeoutMs?: number;
  /** Told of each try that got no answer or was turned away and is to be repeated: why, and how many were so far. */
  readonly onRetry?: (cause: unknown, tries: number) => void;
}

export type QueryValues = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** One call, before any repeat. */
export interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly query?: QueryValues;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  /** What its answer has to have. */
  readonly shape?: Shape;
  /** A body that is JSON already. */
  readonly text?: string;
  /** Absent on calls whose repeat is harmless. */
  readonly idempotencyKey?: string;
  /** How long the ledger may hold the call before it answers. Default 0. */
  readonly waitMs?: number;
  /** Statuses beyond 2xx that are answers. */
  readonly alsoAnswers?: readonly number[];
  /** What it is, when it may go with others in one request. */
  readonly command?: { readonly name: string; readonly jobId: string };
}

/** Told whether a try was answered, by a refusal too; else the ledger was not reached (why: `cause`), or turned the call away. */
export type CallObserver = (wasAnswered: boolean, cause?: unknown) => void;

/** Of a call with all its repeats, on the client's clock; put off for as long as the process stood still. */
interface Deadline {
  endsAt: number;
}

/** A timer that is so late was held up by this process: its event loop was blocked, or it was suspended. */
export const STOOD_STILL_MS = 1_000;
/** For an answer that came while the process stood still to be read. */
const CATCH_UP_MS = 5_000;

export class Transport {
  readonly clock: Clock;
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly #apiKey: string | undefined;
  readonly #traceparent: (() => string | undefined) | undefined;
  readonly #fetch: typeof globalThis.fetch;
  readonly #retry: Required<RetryOptions>;
  readonly #batches: CommandBatches | undefined;
  readonly #observers = new Set<CallObserver>();
  #wasAnswered = false;

  constructor(options: ClientOptions) {
    this.clock = options.clock ?? systemClock;
    checkClientOptions(options);
    this.baseUrl = new URL(options.baseUrl).href.replace(/\/+$/, '');
    this.#apiKey = options.apiKey;
    this.#traceparent = options.traceparent;
    const fetch = options.fetch ?? globalThis.fetch;
    this.#fetch = (url, init) => fetch(url, init);
    const { deadlineMs = 60_000, timeoutMs = 10_000, initialMs = 100, maxMs = 5_000 } = options.retry ?? {};
    this.#retry = { deadlineMs, timeoutMs, initialMs, maxMs };
    const { batch } = options;
    this.#batches = batch && new CommandBatches((body, signal) => this.#sendTogether(body, signal), batch);
  }

  get deadlineMs(): number {
    return this.#retry.deadlineMs;
  }

  /** Tells of every try from now on. @returns how to stop */
  observe(observer: CallObserver): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  /**
   * Sends until answered.
   * @throws ProblemError when refused; OutcomeUnknownError or UnreachableError when the deadline passed.
   */
  async send<T>(call: Call, options: CallOptions = {}): Promise<T> {
    const { initialMs, maxMs } = this.#retry;
    const waitMs = call.waitMs ?? 0;
    const deadlineMs = options.deadlineMs ?? this.deadlineMs;
    const timeoutMs = (options.timeoutMs ?? this.#retry.timeoutMs) + waitMs;
    const until: Deadline = { endsAt: this.clock.now() + deadlineMs + waitMs };
    const [url, init] = this.#request(call);
    let lost: { cause: unknown } | undefined;
    for (let failures = 1; ; failures += 1) {
      const remainingMs = deadlineMs === 0 ? timeoutMs : until.endsAt - this.clock.now();
      const answer = shaped(
        call,
        await this.#try(call, url, init, Math.min(timeoutMs, remainingMs), until, options.signal),
      );
      this.#tell(call, answer);
      if (answer.kind === 'answered') return answer.body as T;
      if (answer.kind === 'refused' && !(answer.error instanceof UnavailableError)) throw answer.error;
      if (answer.kind === 'lost' && !wasNeverSent(answer.cause)) lost = { cause: answer.cause };
      const delayMs = answer.retryAfterMs + backoffMs(this.clock, failures, initialMs, maxMs);
      const isOver = deadlineMs === 0 || this.clock.now() + delayMs >= until.endsAt;
      if (isOver || this.#isMisled(answer)) throw givenUp(call, url, lost, answer);
      options.onRetry?.(answer.kind === 'lost' ? answer.cause : answer.error, failures);
      await sleep(this.clock, delayMs, options.signal);
    }
  }

  /**
   * Opens a stream, once.
   * @returns the response, of which only the head has been read.
   * @throws ProblemError when refused, MisledError when the URL is wrong, whatever fetch throws when not reached.
   */
  async open(call: Call, signal: AbortSignal): Promise<Response> {
    const [url, init] = this.#request(call);
    const response = await this.#fetch(url, { ...init, signal });
    if (response.ok) {
      this.#wasAnswered = true;
      return response;
    }
    const refusal = await readRefusal(response);
    if (refusal.kind === 'refused') throw refusal.error;
    const why = `no stream from ${url}: ${reasonOf(refusal.cause)}`;
    throw this.#isMisled(refusal) ? new MisledError(why, refusal) : new UnreachableError(why, refusal);
  }

  /** Built before the first try, so that what can never be sent is thrown instead of repeated. */
  #request(call: Call, traceparent: string | null = this.#traceparent?.() ?? null): [string, RequestInit] {
    const { method, path, query, headers, body, idempotencyKey } = call;
    const { text = body === undefined ? undefined : JSON.stringify(body) } = call;
    const sent = new Headers({ accept: 'application/json' });
    if (this.#apiKey !== undefined) sent.set('authorization', `Bearer ${this.#apiKey}`);
    if (traceparent !== null) sent.set('traceparent', traceparent);
    if (idempotencyKey !== undefined) sent.set('idempotency-key', idempotencyKey);
    for (const [name, value] of Object.entries(headers ?? {})) if (value !== undefined) sent.set(name, value);
    const url = `${this.baseUrl}${path}${queryString(query)}`;
    const how = { method, headers: sent, redirect: 'manual' } as const;
    if (text === undefined) return [url, how];
    sent.set('content-type', 'application/json');
    return [url, { ...how, body: text }];
  }

  async #sendTogether(commands: string, signal: AbortSignal): Promise<Answer> {
    const [url, init] = this.#request({ method: 'POST', path: '/v1/commands', text: commands }, null);
    return readAnswer(await this.#fetch(url, { ...init, signal }), []);
  }

  /** What was never answered has the wrong URL; else whatever redirects came in between, as a page that says so does. */
  #isMisled(answer: Answer): boolean {
    return answer.kind === 'lost' && answer.cause instanceof RedirectError && !this.#wasAnswered;
  }

  #tell({ alsoAnswers }: Call, answer: Answer): void {
    if (answer.kind !== 'lost') this.#wasAnswered = true;
    // What is asked whether it is well says nothing by answering that it is not.
    if (alsoAnswers !== undefined) return;
    const isAway = answer.kind === 'lost' || (answer.kind === 'refused' && answer.error instanceof UnavailableError);
    for (const observer of this.#observers) observer(!isAway, answer.kind === 'lost' ? answer.cause : undefined);
  }

  async #try(
    call: Call,
    url: string,
    init: RequestInit,
    timeoutMs: number,
    until: Deadline,
    signal?: AbortSignal,
  ): Promise<Answer> {
    signal?.throwIfAborted();
    const abort = new AbortController();
    const heedNoMore = onAbort(signal, () => abort.abort(signal?.reason));
    const giveUp = (): void => abort.abort(new SilenceError(timeoutMs));
    const dueAt = this.clock.now() + timeoutMs;
    let cancelTimeout = this.clock.after(timeoutMs, () => {
      const lateMs = this.clock.now() - dueAt;
      until.endsAt += lateMs;
      // When this process stood still, and not the ledger, what came meanwhile is read first.
      if (lateMs < STOOD_STILL_MS) giveUp();
      else cancelTimeout = this.clock.after(Math.min(timeoutMs, CATCH_UP_MS), giveUp);
    });
    try {
      const alone = async (only: AbortSignal): Promise<Answer> =>
        readAnswer(await this.#fetch(url, { ...init, signal: only }), call.alsoAnswers ?? []);
      const command = commandOf(call, init);
      if (command === undefined || this.#batches === undefined) return await alone(abort.signal);
      return await this.#batches.try(command, alone, abort.signal);
    } catch (cause) {
      signal?.throwIfAborted();
      return { kind: 'lost', cause, retryAfterMs: 0 };
    } finally {
      cancelTimeout();
      heedNoMore();
    }
  }
}

/** An answer of something else than a ledger is as good as none. */
const shaped = ({ shape }: Call, answer: Answer): Answer => {
  const cause = answer.kind === 'answered' && shape !== undefined ? strangenessOf(answer.body, shape) : null;
  return cause === null ? answer : { kind: 'lost', cause, retryAfterMs: 0 };
};

/** Undefined when it has to go alone. */
const commandOf = ({ command, idempotencyKey }: Call, { body }: RequestInit): BatchedCommand | undefined => {
  if (command === undefined || typeof body !== 'string') return undefined;
  const batched = { ...command, key: idempotencyKey, body };
  return isBatchable(batched) ? batched : undefined;
};

const queryString = (query: QueryValues = {}): string => {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value ?? []].flat()) params.append(name, String(one));
  }
  return params.size === 0 ? '' : `?${params.toString()}`;
};

/** One lost answer makes the outcome of a command unknown, whatever was refused after it. */
const givenUp = (
  call: Call,
  url: string,
  lost: { cause: unknown } | undefined,
  last: Exclude<Answer, { kind: 'answered' }>,
): Error => {
  if (call.idempotencyKey !== undefined && lost !== undefined) {
    return new OutcomeUnknownError(call.idempotencyKey, lost);
  }
  if (last.kind === 'refused') return last.error;
  return new UnreachableError(`no answer to ${call.method} ${url}: ${reasonOf(last.cause)}`, { cause: last.cause });
};
