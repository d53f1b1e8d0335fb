/**
 * The users of the log: submit each job at its time, cancel what they cancelled. What waits for the ledger is bounded;
 * answers that are lost are asked for again with the same key, so no job is created twice.
 */
import { type JobledgerClient, ProblemError, UnavailableError } from '../../client/client.js';
import type { ReplayClock } from './replay-clock.js';
import { createJob, isCancelledBeforeItRan } from './replayed-job.js';
import type { LoggedJob } from './workload.js';

const BATCH = 250;
const CANCELS_AT_ONCE = 16;
const LOOK_MS = 20;

export interface SubmitterOptions {
  readonly client: JobledgerClient;
  readonly queue: string;
  readonly leaseMs: number;
  readonly clock: ReplayClock;
  /** Ends calls that are under way: a service that has gone would be asked for minutes. */
  readonly signal: AbortSignal;
  /** Whether so many more jobs may be submitted now. */
  readonly room: () => number;
}

interface DueCancel {
  readonly jobId: string;
  /** Second of the log. */
  readonly at: number;
}

export class Submitter {
  #submitted = 0;
  /** Sorted by time. */
  readonly #later: DueCancel[] = [];
  readonly #cancels: string[] = [];
  #cancelling = 0;
  #failure: { readonly error: unknown } | null = null;

  constructor(
    private readonly jobs: readonly LoggedJob[],
    private readonly options: SubmitterOptions,
  ) {}

  get submitted(): number {
    return this.#submitted;
  }

  /** How late the next job is, ms; 0 when it is not yet due, or all are submitted. */
  get lateMs(): number {
    const next = this.jobs[this.#submitted];
    return next === undefined ? 0 : Math.max(0, -this.options.clock.msUntil(next.submit));
  }

  /** When something is due next, ms from now; 0 when something is; null when nothing is left to do. */
  get dueInMs(): number | null {
    const { clock } = this.options;
    if (this.#cancels.length > 0 || this.#cancelling > 0) return 0;
    const times = [this.jobs[this.#submitted]?.submit, this.#later[0]?.at].filter((at) => at !== undefined);
    return times.length === 0 ? null : Math.max(0, Math.min(...times.map((at) => clock.msUntil(at))));
  }

  /** The job has run for as long as it did in the log. */
  cancelNow(jobId: string): void {
    this.#cancels.push(jobId);
    this.#startCancels();
  }

  /** Until all are submitted and what is to be cancelled by the clock has been. @throws what the ledger refused. */
  async run(signal: AbortSignal): Promise<void> {
    while (this.dueInMs !== null) {
      signal.throwIfAborted();
      if (this.#failure !== null) throw this.#failure.error;
      const didSome = await this.#submitDue(signal);
      this.#cancelDue();
      if (!didSome) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async #submitDue(signal: AbortSignal): Promise<boolean> {
    const { client, queue, leaseMs, clock, room } = this.options;
    const most = Math.min(BATCH, room());
    const due: LoggedJob[] = [];
    for (let at = this.#submitted; due.length < most && at < this.jobs.length; at += 1) {
      const job = this.jobs[at]!;
      if (clock.msUntil(job.submit) > 0) break;
      due.push(job);
    }
    if (due.length === 0) return false;
    const jobs = due.map((job) => createJob(job, queue, clock.msOf(job.wait), leaseMs));
    // A key that a run would make again; the client repeats it until it is answered.
    const idempotencyKey = `${queue}/${this.#submitted}`;
    const { items } = await client.createJobs({ jobs }, { signal, idempotencyKey });
    for (const [at, job] of due.entries()) if (isCancelledBeforeItRan(job)) this.#cancelAt(job, items[at]!.jobId);
    this.#submitted += due.length;
    return true;
  }

  #cancelAt(job: LoggedJob, jobId: string): void {
    const at = job.submit + job.wait;
    const behind = this.#later.findLastIndex((other) => other.at <= at);
    this.#later.splice(behind + 1, 0, { jobId, at });
  }

  #cancelDue(): void {
    const notYet = this.#later.findIndex(({ at }) => this.options.clock.msUntil(at) > 0);
    const due = this.#later.splice(0, notYet < 0 ? this.#later.length : notYet);
    this.#cancels.push(...due.map(({ jobId }) => jobId));
    this.#startCancels();
  }

  #startCancels(): void {
    while (!this.options.signal.aborted && this.#cancelling < CANCELS_AT_ONCE && this.#cancels.length > 0) {
      this.#cancelling += 1;
      void this.#cancel(this.#cancels.shift()!).finally(() => {
        this.#cancelling -= 1;
        this.#startCancels();
      });
    }
  }

  async #cancel(jobId: string): Promise<void> {
    try {
      const { client, signal } = this.options;
      await client.cancel(jobId, { reason: 'cancelled in the log' }, { signal });
    } catch (error) {
      // What somebody else did to the job is found by the comparison.
      if (error instanceof ProblemError && !(error instanceof UnavailableError)) return;
      this.#failure ??= { error };
    }
  }
}
