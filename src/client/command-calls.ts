/** The calls that change something: one method each. */
import type * as wire from '../api/contract.js';
import type { CommandOptions } from './call-options.js';
import { BEAT, CLAIMED, COMMAND, CREATED, SWEPT, UPKEEP, type Shape } from './shape.js';
import type { Transport } from './transport.js';

type Id = string;

/** Null: without a key. */
type KeyedOptions = Omit<CommandOptions, 'idempotencyKey'> & { readonly idempotencyKey?: string | null };

export const jobPath = (jobId: Id): string => `/v1/jobs/${encodeURIComponent(jobId)}`;

const operatorPath = (jobId: Id, name: string): string => `/v1/admin/jobs/${encodeURIComponent(jobId)}/${name}`;

/** What the ledger takes when none is said. */
const UPKEEP_WAIT_MS = 30_000;

export abstract class CommandCalls {
  /** @internal */
  protected constructor(protected readonly transport: Transport) {}

  // ------------------------------------------------------------------------------------------- dispatching

  createJob(job: wire.CreateJob, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.command('/v1/jobs', COMMAND, job, options);
  }

  /** All or none. */
  createJobs(jobs: wire.CreateJobs, options?: CommandOptions): Promise<wire.CreateJobsAnswer> {
    return this.command('/v1/jobs/batch', CREATED, jobs, options);
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
    return this.command('/v1/claims', CLAIMED, request, options, request.waitMs);
  }

  /** Carries no idempotency key unless given one: a repeat has to renew the lease, not to hear of an old renewal. */
  heartbeat(jobId: Id, body: wire.Heartbeat, options: CommandOptions = {}): Promise<wire.HeartbeatAnswer> {
    return this.#jobCommand(jobId, 'heartbeat', body, { ...options, idempotencyKey: options.idempotencyKey ?? null });
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

  // ------------------------------------------------------------------------------------------- operating

  /** Handles all that is due now, and says what it did. */
  sweep(request: wire.SweepRequest = {}, options?: CommandOptions): Promise<wire.SweepReport> {
    return this.command('/v1/admin/reaper/sweep', SWEPT, request, options);
  }

  /** Ends a job that somebody works on or waits for as failed, `ManualTimeout`. */
  forceFail(jobId: Id, body: wire.OperateJob = {}, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.command(operatorPath(jobId, 'force-fail'), COMMAND, body, options);
  }

  /** Takes a job away from its worker, in the same run; gives a dead letter a new run. */
  requeue(jobId: Id, body: wire.OperateJob = {}, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.command(operatorPath(jobId, 'requeue'), COMMAND, body, options);
  }

  /** Ends whatever is not ended as failed, `EmergencyStop`; no events when it has ended already. */
  emergencyStop(jobId: Id, body: wire.OperateJob = {}, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.command(operatorPath(jobId, 'emergency-stop'), COMMAND, body, options);
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

  #upkeep(path: string, request: { readonly waitMs?: number | undefined }, options?: CommandOptions) {
    const { waitMs = UPKEEP_WAIT_MS } = request;
    return this.command<wire.Upkeep>(`/v1/admin/${path}`, UPKEEP, { ...request, waitMs }, options, waitMs);
  }

  protected command<T>(path: string, shape: Shape, body: object, options: CommandOptions = {}, waitMs = 0): Promise<T> {
    const idempotencyKey = options.idempotencyKey ?? crypto.randomUUID();
    const headers = { 'if-match': options.ifMatch?.toString() };
    return this.transport.send({ method: 'POST', path, body, shape, headers, idempotencyKey, waitMs }, options);
  }

  /** May go with others in one request. */
  #jobCommand<T = wire.CommandAnswer>(jobId: Id, name: string, body: object, options: KeyedOptions = {}): Promise<T> {
    const { idempotencyKey = crypto.randomUUID(), ifMatch } = options;
    const shape = name === 'heartbeat' ? BEAT : COMMAND;
    const call = { method: 'POST', path: `${jobPath(jobId)}/${name}`, body, shape } as const;
    const key = idempotencyKey === null ? {} : { idempotencyKey };
    const how = ifMatch === undefined ? { command: { name, jobId } } : { headers: { 'if-match': `${ifMatch}` } };
    return this.transport.send({ ...call, ...key, ...how }, options);
  }
}
