/** The calls that change something: one method each. */
import type * as wire from '../api/contract.js';
import type { CommandOptions } from './call-options.js';
import type { Transport } from './transport.js';

type Id = string;

/** Null: without a key. */
type KeyedOptions = Omit<CommandOptions, 'idempotencyKey'> & { readonly idempotencyKey?: string | null };

export const jobPath = (jobId: Id): string => `/v1/jobs/${encodeURIComponent(jobId)}`;

export abstract class CommandCalls {
  /** @internal */
  protected constructor(protected readonly transport: Transport) {}

  // ------------------------------------------------------------------------------------------- dispatching

  createJob(job: wire.CreateJob, options?: CommandOptions): Promise<wire.CommandAnswer> {
    return this.command('/v1/jobs', job, options);
  }

  /** All or none. */
  createJobs(jobs: wire.CreateJobs, options?: CommandOptions): Promise<wire.CreateJobsAnswer> {
    return this.command('/v1/jobs/batch', jobs, options);
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
    return this.command('/v1/claims', request, options, request.waitMs);
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

  protected command<T>(path: string, body: object, options: CommandOptions = {}, waitMs = 0): Promise<T> {
    const idempotencyKey = options.idempotencyKey ?? crypto.randomUUID();
    const headers = { 'if-match': options.ifMatch?.toString() };
    return this.transport.send({ method: 'POST', path, body, headers, idempotencyKey, waitMs }, options);
  }

  /** May go with others in one request. */
  #jobCommand<T = wire.CommandAnswer>(jobId: Id, name: string, body: object, options: KeyedOptions = {}): Promise<T> {
    const { idempotencyKey = crypto.randomUUID(), ifMatch } = options;
    const call = { method: 'POST', path: `${jobPath(jobId)}/${name}`, body } as const;
    const key = idempotencyKey === null ? {} : { idempotencyKey };
    const how = ifMatch === undefined ? { command: { name, jobId } } : { headers: { 'if-match': `${ifMatch}` } };
    return this.transport.send({ ...call, ...key, ...how }, options as CommandOptions);
  }
}
