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
import { streamFrames, type StreamFrame, type StreamOptions } from './event-stream.js';
import { Transport, type CallOptions, type ClientOptions, type QueryValues } from './transport.js';

export type * from '../api/contract.js';
export type { AttemptContext, ProgressUpdate } from './attempt-context.js';
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
export type { StreamFrame, StreamOptions } from './event-stream.js';
export {
  AttemptAbortedError,
  NonRetryableError,
  ReleaseError,
  ThrottleError,
  WaitError,
  type ThrottleDelay,
} from './handler-errors.js';
export type { CallOptions, ClientOptions, RetryOptions } from './transport.js';
export type { HeldJob, WorkerListeners } from './worker-listeners.js';
export { Worker } from './worker.js';
export type { WorkerOptions } from './worker-options.js';

/** What a command takes. */
export interface CommandOptions extends CallOptions {
  /** The same key with the same body gives the first answer, for at least 24 h. Default a new UUID. */
  readonly idempotencyKey?: string;
  /** Refuse with `precondition_failed` when the job is at another revision. */
  readonly ifMatch?: number;
}

/** What a question takes. */
export interface ReadOptions extends CallOptions {
  /** Answer only when at least as fresh as this position, as a command's answer names it. */
  readonly minPosition?: wire.Position;
}

/** What lists take: 1–200 a page, default 50. */
export interface PageQuery {
  readonly limit?: number | undefined;
  /** `nextCursor` of the page before, with the same filter and sort. */
  readonly cursor?: string | undefined;
}

export interface JobQuery extends wire.JobFilter, PageQuery {
  readonly sort?: wire.JobSort | undefined;
}

export interface EventQuery extends PageQuery {
  /** Begin behind this position. Default `0`. */
  readonly after?: wire.Position | undefined;
  /** Event types. Default all. */
  readonly types?: readonly string[] | undefined;
}

export interface JobEventQuery extends PageQuery {
  /** By position. Default `asc`. */
  readonly order?: 'asc' | 'desc' | undefined;
}

/** Where a stream begins, and what it leaves out. */
export interface StreamQuery extends wire.JobFilter {
  /** Default: from now. `0` is the start of the log. */
  readonly after?: wire.Position | undefined;
}

type Id = string;

const UPKEEP_WAIT_MS = 30_000;

export class JobledgerClient {
  readonly #transport: Transport;

  /** @throws RangeError that names the option that is wrong, what it takes, and what it was given. */
  constructor(options: ClientOptions) {
    this.#transport = new Transport(options);
  }

  /** Where the ledger is, without a slash at its end. */
  get baseUrl(): string {
    return this.#transport.baseUrl;
  }

  /** Shared with workers. */
  get clock(): Clock {
    return this.#transport.clock;
  }

  // ------------------------------------------------------------------------------------------- dispatching

  createJob(job: wire.CreateJob, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#command('/v1/jobs', job, options);
  }

  /** All or none. */
  createJobs(jobs: wire.CreateJobs, options?: CommandOptions): Promise<wire.CreateJobsAnswer> {
    return this.#command('/v1/jobs/batch', jobs, options);
  }

  /** Moves a draft on; with the token, starts what was claimed with `start: false`. */
  start(jobId: Id, body: wire.StartJob = {}, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'start', body, options);
  }

  /** A worker that holds the job is told with its next heartbeat; `force` does not wait for it. */
  cancel(jobId: Id, body: wire.CancelJob = {}, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'cancel', body, options);
  }

  /** A new run of a job that failed or was cancelled. */
  retry(jobId: Id, body: wire.RetryJob = {}, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'retry', body, options);
  }

  /** Nobody gets the job until `resume`; a worker that has it is told with its next heartbeat, and gives it back. */
  hold(jobId: Id, body: wire.HoldJob = {}, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'hold', body, options);
  }

  /** What the job waited for has come. */
  resume(jobId: Id, body: wire.ResumeJob = {}, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'resume', body, options);
  }

  reschedule(jobId: Id, body: wire.RescheduleJob, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'reschedule', body, options);
  }

  setPriority(jobId: Id, body: wire.SetPriority, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'priority', body, options);
  }

  // ------------------------------------------------------------------------------------------- worker calls

  /** Leases up to `max` jobs. Repeated with the same key it gives the same leases. `Worker` does this for you. */
  claim(request: wire.ClaimRequest, options?: CommandOptions): Promise<wire.ClaimAnswer> {
    return this.#command('/v1/claims', request, options, request.waitMs);
  }

  /** Carries no idempotency key unless given one: a repeat has to renew the lease, not to hear of an old renewal. */
  heartbeat(jobId: Id, body: wire.Heartbeat, options: CommandOptions = {}): Promise<wire.HeartbeatAnswer> {
    const { idempotencyKey } = options;
    const call = {
      method: 'POST',
      path: `${jobPath(jobId)}/heartbeat`,
      headers: commandHeaders(options),
      body,
    } as const;
    return this.#transport.send(idempotencyKey === undefined ? call : { ...call, idempotencyKey }, options);
  }

  progress(jobId: Id, body: wire.RecordProgress, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'progress', body, options);
  }

  complete(jobId: Id, body: wire.CompleteJob, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'complete', body, options);
  }

  fail(jobId: Id, body: wire.FailJob, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'fail', body, options);
  }

  throttle(jobId: Id, body: wire.ThrottleJob, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'throttle', body, options);
  }

  wait(jobId: Id, body: wire.WaitJob, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'wait', body, options);
  }

  release(jobId: Id, body: wire.ReleaseJob, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'release', body, options);
  }

  /** Writes lines of the attempt's log; does not renew the lease. */
  log(jobId: Id, body: wire.WriteLogs, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#jobCommand(jobId, 'logs', body, options);
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
    return this.#get(jobPath(jobId), { asOf, waitMs }, options, waitMs);
  }

  listJobs(query: JobQuery = {}, options?: ReadOptions): Promise<wire.Page<wire.Job>> {
    return this.#get('/v1/jobs', { ...query }, options);
  }

  /** The history of a job, refusals included. */
  jobEvents(jobId: Id, query: JobEventQuery = {}, options?: ReadOptions): Promise<wire.Page<wire.LedgerEvent>> {
    return this.#get(`${jobPath(jobId)}/events`, { ...query }, options);
  }

  /** The history of everything. */
  events(query: EventQuery = {}, options?: ReadOptions): Promise<wire.Page<wire.LedgerEvent>> {
    return this.#get('/v1/events', { ...query }, options);
  }

  jobLogs(jobId: Id, query: PageQuery = {}, options?: ReadOptions): Promise<wire.Page<wire.LogRow>> {
    return this.#get(`${jobPath(jobId)}/logs`, { ...query }, options);
  }

  deadLetters(query: PageQuery = {}, options?: ReadOptions): Promise<wire.Page<wire.DeadLetter>> {
    return this.#get('/v1/dead-letters', { ...query }, options);
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
    return this.#get('/v1/queues', { ...query }, options);
  }

  queue(name: string, options?: ReadOptions): Promise<wire.Queue> {
    return this.#get(`/v1/queues/${encodeURIComponent(name)}`, {}, options);
  }

  // ------------------------------------------------------------------------------------------- operating

  reaper(options?: ReadOptions): Promise<wire.ReaperStatus> {
    return this.#get('/v1/reaper', {}, options);
  }

  /** Handles all that is due now, and says what it did. */
  sweep(request: wire.SweepRequest = {}, options?: CommandOptions): Promise<wire.SweepReport> {
    return this.#command('/v1/admin/reaper/sweep', request, options);
  }

  /** Ends a job that somebody works on or waits for as failed, `ManualTimeout`. */
  forceFail(jobId: Id, body: wire.OperateJob = {}, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#command(operatorPath(jobId, 'force-fail'), body, options);
  }

  /** Takes a job away from its worker, in the same run; gives a dead letter a new run. */
  requeue(jobId: Id, body: wire.OperateJob = {}, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#command(operatorPath(jobId, 'requeue'), body, options);
  }

  /** Ends whatever is not ended as failed, `EmergencyStop`; no events when it has ended already. */
  emergencyStop(jobId: Id, body: wire.OperateJob = {}, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#command(operatorPath(jobId, 'emergency-stop'), body, options);
  }

  /** The end of the log: keep it elsewhere, and give it to `verifyLog` later. */
  logHead(options?: ReadOptions): Promise<wire.LogHead> {
    return this.#get('/v1/log/head', {}, options);
  }

  /** Read models, each with how far behind it is and what was done to it last. */
  projections(options?: ReadOptions): Promise<{ readonly items: readonly wire.Projection[] }> {
    return this.#get('/v1/admin/projections', {}, options);
  }

  /** Makes a read model anew. Answers when done or after `waitMs`; then `upkeep` tells how it goes. */
  rebuild(name: string, request: wire.RebuildRequest = {}, options?: CommandOptions): Promise<wire.Upkeep> {
    return this.#upkeep(`projections/${encodeURIComponent(name)}/rebuild`, request, options);
  }

  /** Compares a read model with the log. Answers as `rebuild` does. */
  verifyProjection(
    name: string,
    request: wire.VerifyProjectionRequest = {},
    options?: CommandOptions,
  ): Promise<wire.Upkeep> {
    return this.#upkeep(`projections/${encodeURIComponent(name)}/verify`, request, options);
  }

  /** Checks the log against its chain of hashes, and a head that was kept. Answers as `rebuild` does. */
  verifyLog(request: wire.VerifyLogRequest = {}, options?: CommandOptions): Promise<wire.Upkeep> {
    return this.#upkeep('log/verify', request, options);
  }

  /** @param query.waitMs answer when the run has ended, or after this: 0–60,000. */
  upkeep(id: Id, { waitMs }: { waitMs?: number } = {}, options?: ReadOptions): Promise<wire.Upkeep> {
    return this.#get(`/v1/admin/upkeep/${encodeURIComponent(id)}`, { waitMs }, options, waitMs);
  }

  config(options?: ReadOptions): Promise<wire.ConfigView> {
    return this.#get('/v1/config', {}, options);
  }

  /** Answers `unavailable` too, instead of throwing it. */
  ready(options?: CallOptions): Promise<wire.Ready> {
    return this.#transport.send({ method: 'GET', path: '/health/ready', alsoAnswers: [503] }, options);
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

  #jobCommand(jobId: Id, name: string, body: object, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.#command(`${jobPath(jobId)}/${name}`, body, options);
  }

  #upkeep(path: string, request: { readonly waitMs?: number | undefined }, options?: CommandOptions) {
    const { waitMs = UPKEEP_WAIT_MS } = request;
    return this.#command<wire.Upkeep>(`/v1/admin/${path}`, { ...request, waitMs }, options, waitMs);
  }

  async #command<T>(path: string, body: object, options: CommandOptions = {}, waitMs = 0): Promise<T> {
    const idempotencyKey = options.idempotencyKey ?? crypto.randomUUID();
    const headers = commandHeaders(options);
    return this.#transport.send({ method: 'POST', path, body, headers, idempotencyKey, waitMs }, options);
  }

  async #get<T>(path: string, query: QueryValues, options: ReadOptions = {}, waitMs = 0): Promise<T> {
    const headers = { 'x-min-position': options.minPosition };
    return this.#transport.send({ method: 'GET', path, query, headers, waitMs }, options);
  }

  #stream<T>(
    path: string,
    query: QueryValues,
    options: StreamOptions,
    source: { resumable?: boolean; hasEnded?: (after: wire.Position | null) => Promise<boolean> } = {},
  ): AsyncGenerator<StreamFrame<T>, void, undefined> {
    const connect = (after: wire.Position | null, signal: AbortSignal): Promise<Response> => {
      const headers = { accept: 'text/event-stream', 'last-event-id': after ?? undefined };
      return this.#transport.open({ method: 'GET', path, query, headers }, signal);
    };
    return streamFrames<T>({ clock: this.clock, connect, resumable: true, ...source }, options);
  }
}

const jobPath = (jobId: Id): string => `/v1/jobs/${encodeURIComponent(jobId)}`;

const operatorPath = (jobId: Id, name: string): string => `/v1/admin/jobs/${encodeURIComponent(jobId)}/${name}`;

const commandHeaders = ({ ifMatch }: CommandOptions): Readonly<Record<string, string | undefined>> => ({
  'if-match': ifMatch?.toString(),
});
