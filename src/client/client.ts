/**
 * The client of Jobledger: dispatch, ask, follow, and (with `Worker`) work. No dependencies; Node 20 or later.
 *
 * @example
 * const ledger = new JobledgerClient({ baseUrl: 'http://127.0.0.1:8080', apiKey: key });
 * const { jobId } = await ledger.createJob({ type: 'resize', payload: { image: 'a.png' } });
 * for await (const frame of ledger.streamJob(jobId, { until: 'terminal' })) console.log(frame);
 */
import type * as wire from '../api/contract.js';
import type { Clock } from './clock.js';
import type { EventQuery, JobEventQuery, JobQuery, PageQuery, ReadOptions, StreamQuery } from './call-options.js';
import { CommandCalls, jobPath } from './command-calls.js';
import { streamFrames, type StreamFrame, type StreamOptions } from './event-stream.js';
import type { ClientOptions } from './client-options.js';
import { JOB, PAGE, READY, UPKEEP, type Shape } from './shape.js';
import { Transport, type CallObserver, type CallOptions, type QueryValues } from './transport.js';

export type * from '../api/contract.js';
export type { AttemptContext, ProgressUpdate } from './attempt-context.js';
export type {
  CommandOptions,
  EventQuery,
  JobEventQuery,
  JobQuery,
  PageQuery,
  ReadOptions,
  StreamQuery,
} from './call-options.js';
export type { Handler } from './attempt.js';
export type { Clock } from './clock.js';
export {
  AlreadyTerminalError,
  IllegalTransitionError,
  JobledgerError,
  NotFoundError,
  OutcomeUnknownError,
  ProblemError,
  StaleLeaseError,
  UnavailableError,
  UnreachableError,
  ValidationError,
} from './errors.js';
export type { BatchOptions } from './command-batches.js';
export type { StreamFrame, StreamOptions } from './event-stream.js';
export {
  AttemptAbortedError,
  NonRetryableError,
  ReleaseError,
  ThrottleError,
  WaitError,
  type ThrottleDelay,
} from './handler-errors.js';
export type { ClientOptions, RetryOptions } from './client-options.js';
export type { CallOptions } from './transport.js';
export type { HeldJob, WorkerListeners } from './worker-listeners.js';
export { Worker } from './worker.js';
export type { WorkerOptions } from './worker-options.js';

type Id = string;

export class JobledgerClient extends CommandCalls {
  /** @throws RangeError that names the option that is wrong, what it takes, and what it was given. */
  constructor(options: ClientOptions) {
    super(new Transport(options));
  }

  /** Where the ledger is, without a slash at its end. */
  get baseUrl(): string {
    return this.transport.baseUrl;
  }

  /** Shared with workers. */
  get clock(): Clock {
    return this.transport.clock;
  }

  /** Shared with workers: for how long a call is repeated, ms. */
  get deadlineMs(): number {
    return this.transport.deadlineMs;
  }

  /** Shared with workers: tells of every try of any call whether it was answered. @returns how to stop */
  observe(observer: CallObserver): () => void {
    return this.transport.observe(observer);
  }

  // ------------------------------------------------------------------------------------------- questions

  /**
   * @param query.asOf the job as it was at an instant or position.
   * @param query.waitMs answer when the job is terminal, or after this: 0–60,000.
   */
  getJob(
    jobId: Id,
    { asOf, waitMs }: { asOf?: string; waitMs?: number } = {},
    options?: ReadOptions,
  ): Promise<wire.Job> {
    return this.#get(jobPath(jobId), { asOf, waitMs }, options, JOB, waitMs);
  }

  listJobs(query: JobQuery = {}, options?: ReadOptions): Promise<wire.Page<wire.Job>> {
    return this.#get('/v1/jobs', { ...query }, options, PAGE);
  }

  /** The history of a job, refusals included. */
  jobEvents(jobId: Id, query: JobEventQuery = {}, options?: ReadOptions): Promise<wire.Page<wire.LedgerEvent>> {
    return this.#get(`${jobPath(jobId)}/events`, { ...query }, options, PAGE);
  }

  /** The history of everything. */
  events(query: EventQuery = {}, options?: ReadOptions): Promise<wire.Page<wire.LedgerEvent>> {
    return this.#get('/v1/events', { ...query }, options, PAGE);
  }

  jobLogs(jobId: Id, query: PageQuery = {}, options?: ReadOptions): Promise<wire.Page<wire.LogRow>> {
    return this.#get(`${jobPath(jobId)}/logs`, { ...query }, options, PAGE);
  }

  deadLetters(query: PageQuery = {}, options?: ReadOptions): Promise<wire.Page<wire.DeadLetter>> {
    return this.#get('/v1/dead-letters', { ...query }, options, PAGE);
  }

  /**
   * Every item of a list, page by page.
   * @example
   * for await (const job of ledger.everyItem((cursor) => ledger.listJobs({ queue: ['gpu'], cursor }))) …
   */
  async *everyItem<T>(list: (cursor?: string) => Promise<wire.Page<T>>): AsyncGenerator<T, void, undefined> {
    let page = await list();
    yield* page.items;
    while (page.nextCursor !== null) {
      page = await list(page.nextCursor);
      yield* page.items;
    }
  }

  counters(options?: ReadOptions): Promise<wire.Counters> {
    return this.#get('/v1/counters', {}, options);
  }

  queues(query: PageQuery = {}, options?: ReadOptions): Promise<wire.Page<wire.Queue>> {
    return this.#get('/v1/queues', { ...query }, options, PAGE);
  }

  queue(name: string, options?: ReadOptions): Promise<wire.Queue> {
    return this.#get(`/v1/queues/${encodeURIComponent(name)}`, {}, options);
  }

  // ------------------------------------------------------------------------------------------- operating

  reaper(options?: ReadOptions): Promise<wire.ReaperStatus> {
    return this.#get('/v1/reaper', {}, options);
  }

  /** The end of the log: keep it elsewhere, and give it to `verifyLog` later. */
  logHead(options?: ReadOptions): Promise<wire.LogHead> {
    return this.#get('/v1/log/head', {}, options);
  }

  /** Read models, each with how far behind it is and what was done to it last. */
  projections(options?: ReadOptions): Promise<{ readonly items: readonly wire.Projection[] }> {
    return this.#get('/v1/admin/projections', {}, options, PAGE);
  }

  /** @param query.waitMs answer when the run has ended, or after this: 0–60,000. */
  upkeep(id: Id, { waitMs }: { waitMs?: number } = {}, options?: ReadOptions): Promise<wire.Upkeep> {
    return this.#get(`/v1/admin/upkeep/${encodeURIComponent(id)}`, { waitMs }, options, UPKEEP, waitMs);
  }

  config(options?: ReadOptions): Promise<wire.ConfigView> {
    return this.#get('/v1/config', {}, options);
  }

  /** Answers `unavailable` too, instead of throwing it. */
  ready(options?: CallOptions): Promise<wire.Ready> {
    return this.transport.send({ method: 'GET', path: '/health/ready', shape: READY, alsoAnswers: [503] }, options);
  }

  // ------------------------------------------------------------------------------------------- streams

  /** Events as they are recorded. */
  streamEvents(
    query: StreamQuery & { readonly types?: readonly string[] | undefined } = {},
    options: StreamOptions = {},
  ): AsyncGenerator<StreamFrame<wire.LedgerEvent>, void, undefined> {
    return this.#stream('/v1/streams/events', { ...query }, options);
  }

  /** Whole jobs as they change; after a reconnect each job that changed once, as it is now. */
  streamJobs(
    query: StreamQuery = {},
    options: StreamOptions = {},
  ): AsyncGenerator<StreamFrame<wire.Job>, void, undefined> {
    return this.#stream('/v1/streams/jobs', { ...query }, options);
  }

  /**
   * The events of one job, from its first.
   * @param query.until `terminal`: the iteration ends when the job has.
   */
  streamJob(
    jobId: Id,
    query: { readonly after?: wire.Position; readonly until?: 'terminal' } = {},
    options: StreamOptions = {},
  ): AsyncGenerator<StreamFrame<wire.LedgerEvent>, void, undefined> {
    const hasEnded = async (after: wire.Position | null): Promise<boolean> => {
      const job = await this.getJob(jobId, {}, { ...(options.signal && { signal: options.signal }) });
      return job.finishedAt !== null && BigInt(after ?? query.after ?? '0') >= BigInt(job.position);
    };
    return this.#stream(`${jobPath(jobId)}/stream`, query, options, query.until === undefined ? {} : { hasEnded });
  }

  /** A snapshot at each connect, then every change. */
  streamCounters(options: StreamOptions = {}): AsyncGenerator<StreamFrame<wire.Counters>, void, undefined> {
    return this.#stream('/v1/streams/counters', {}, options, { resumable: false });
  }

  // ------------------------------------------------------------------------------------------- how

  async #get<T>(
    path: string,
    query: QueryValues,
    options: ReadOptions = {},
    shape: Shape = {},
    waitMs = 0,
  ): Promise<T> {
    const headers = { 'x-min-position': options.minPosition };
    return this.transport.send({ method: 'GET', path, query, headers, shape, waitMs }, options);
  }

  #stream<T>(
    path: string,
    query: QueryValues,
    options: StreamOptions,
    source: { resumable?: boolean; hasEnded?: (after: wire.Position | null) => Promise<boolean> } = {},
  ): AsyncGenerator<StreamFrame<T>, void, undefined> {
    const connect = (after: wire.Position | null, signal: AbortSignal): Promise<Response> => {
      const headers = { accept: 'text/event-stream', 'last-event-id': after ?? undefined };
      return this.transport.open({ method: 'GET', path, query, headers }, signal);
    };
    return streamFrames<T>({ clock: this.clock, connect, resumable: true, ...source }, options);
  }
}
