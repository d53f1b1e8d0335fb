/** What a worker tells of its life: for logs and metrics, never for control. */
import type { CommandAnswer, Job } from '../api/contract.js';

/** A job this worker holds or held, without its token. */
export interface HeldJob {
  readonly job: Job;
  readonly attempt: number;
}

/**
 * Called as things happen. What a listener throws goes to `error`, and no further. Where trouble has no listener, a
 * line on the console says it, so that a worker is never silent about what keeps it from working.
 */
export interface WorkerListeners {
  readonly claimed?: (held: HeldJob) => unknown;
  readonly completed?: (held: HeldJob, answer: CommandAnswer) => unknown;
  /**
   * The attempt failed; `answer.status` says whether another follows. `error` is what was thrown, or a TypeError for a
   * result that cannot be stored. Default: a warning, in the words that the ledger was told.
   */
  readonly failed?: (held: HeldJob, answer: CommandAnswer, error: unknown) => unknown;
  /** Released, throttled or made to wait: no failed attempt. */
  readonly handedBack?: (held: HeldJob, answer: CommandAnswer, error: unknown) => unknown;
  /**
   * The attempt ended after a cancel, whatever its handler did. Default: a warning, where it gave a result: the event
   * `JobCancelled` keeps it as `outcome`, and the job does not have it.
   */
  readonly cancelled?: (held: HeldJob, answer: CommandAnswer) => unknown;
  /** The job is another's, or may be; once an attempt. Default: a warning. */
  readonly leaseLost?: (held: HeldJob, cause: unknown) => unknown;
  /**
   * A handler still runs 5 s after its signal was aborted: `held` of `slots` are so, and take no job until they return.
   * Default: a warning.
   */
  readonly slotsHeld?: (held: number, slots: number) => unknown;
  /**
   * The process stood still for so many whole milliseconds, longer than two thirds of a lease that it holds: no heartbeat
   * went out. `wasBusy`: it computed, as a handler does that blocks the event loop; else it was suspended, or waited in a
   * synchronous call. Default: a warning.
   */
  readonly stoodStill?: (stillMs: number, wasBusy: boolean) => unknown;
  /** The ledger cannot be reached, or turns calls away: once an outage, soon after it began. Default: as `error`. */
  readonly unreachable?: (error: Error) => unknown;
  /** It answers again, so many whole milliseconds after the first call that failed. Default: a line on the console, when that told of the outage. */
  readonly reachable?: (outageMs: number) => unknown;
  /**
   * A call failed: a claim, a heartbeat, an answer that could not be delivered. The worker goes on. Default: a warning,
   * except for what an outage explains that was told of already, and for a claim that is refused again for the same reason.
   */
  readonly error?: (error: unknown, held: HeldJob | null) => unknown;
}

export const LISTENERS: readonly (keyof WorkerListeners)[] = [
  ...(['claimed', 'completed', 'failed', 'handedBack', 'cancelled', 'leaseLost', 'slotsHeld', 'stoodStill'] as const),
  ...(['unreachable', 'reachable', 'error'] as const),
];
