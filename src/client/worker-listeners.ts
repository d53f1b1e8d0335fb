/** What a worker tells of its life: for logs and metrics, never for control. */
import type { CommandAnswer, Job } from '../api/contract.js';

/** A job this worker holds or held, without its token. */
export interface HeldJob {
  readonly job: Job;
  readonly attempt: number;
}

/** Called as things happen. What a listener throws goes to `error`, and no further. */
export interface WorkerListeners {
  readonly claimed?: (held: HeldJob) => unknown;
  readonly completed?: (held: HeldJob, answer: CommandAnswer) => unknown;
  /** The attempt failed; `answer.status` says whether another follows. */
  readonly failed?: (held: HeldJob, answer: CommandAnswer, error: unknown) => unknown;
  /** Released, throttled or made to wait: no failed attempt. */
  readonly handedBack?: (held: HeldJob, answer: CommandAnswer, error: unknown) => unknown;
  /** The attempt ended after a cancel, whatever its handler did. */
  readonly cancelled?: (held: HeldJob, answer: CommandAnswer) => unknown;
  /** The job is another's, or may be; once an attempt. */
  readonly leaseLost?: (held: HeldJob, cause: unknown) => unknown;
  /** A call failed: a claim, a heartbeat, an answer that could not be delivered. The worker goes on. */
  readonly error?: (error: unknown, held: HeldJob | null) => unknown;
}

/** Calls listeners so that none can break the worker, be it sync or async. */
export class Announcer {
  constructor(private readonly listeners: WorkerListeners) {}

  tell(held: HeldJob | null, call: (listeners: WorkerListeners) => unknown): void {
    this.#call(call, (error) => {
      this.error(error, held);
    });
  }

  error(error: unknown, held: HeldJob | null): void {
    this.#call(
      (listeners) => listeners.error?.(error, held),
      () => undefined,
    );
  }

  #call(call: (listeners: WorkerListeners) => unknown, onError: (error: unknown) => void): void {
    const calling = async (): Promise<void> => {
      await call(this.listeners);
    };
    calling().catch(onError);
  }
}
