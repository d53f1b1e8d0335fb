/** What may be asked of a job. Everything that a decision needs arrives here or in its context: no clock, no chance. */
import type { Instant, JobSpec, Value } from './job-events.js';
import type { Policy } from './policy.js';
import type { Clocks } from './stall-rules.js';

/** The attempt that a lease token names; null when the token was not made here. */
export type Token = { readonly run: number; readonly attempt: number } | null;

/** `reason` is free text, kept in the event. */
interface Reasoned {
  readonly reason: string | null;
}
interface Leased {
  readonly token: Token;
}

export interface CommandArguments {
  create: { readonly spec: JobSpec } & Reasoned;
  /** By a client when `token` is undefined, else by the worker that claimed without starting. */
  start: { readonly token: Token | undefined } & Reasoned;
  cancel: { readonly force: boolean } & Reasoned;
  retry: { readonly payload?: Value } & Reasoned;
  hold: Reasoned;
  resume: Reasoned;
  reschedule: { readonly availableAt: Instant } & Reasoned;
  priority: { readonly priority: number } & Reasoned;
  /** `leaseExpiresAt` is what the answer promises; the lease's own row may hold it longer, never shorter. */
  claim: { readonly workerId: string; readonly leaseMs: number | null; readonly start: boolean };
  heartbeat: Leased & {
    readonly checkpoint: { readonly value: Value; readonly digest: string } | null;
    readonly state: string | null;
  };
  progress: Leased & {
    readonly batchId: string;
    readonly processed: number;
    readonly failed: number;
    readonly skipped: number;
    readonly stage: string | null;
    readonly current: number | null;
    readonly total: number | null;
    readonly message: string | null;
  };
  complete: Leased & { readonly result: Value };
  fail: Leased & {
    readonly code: string;
    readonly message: string;
    readonly detail: Value;
    readonly retryable: boolean;
  };
  throttle: Leased & Reasoned & ({ readonly retryAfterMs: number } | { readonly baseMs: number });
  wait: Leased & { readonly reason: string; readonly detail: Value; readonly until: Instant | null };
  release: Leased & { readonly reason: string };
  /** Of the reaper: judge the stall rules on what it saw. */
  reap: { readonly clocks: Clocks; readonly lastActivityPosition: string | null };
  'force-fail': Reasoned;
  'emergency-stop': Reasoned;
  requeue: Reasoned;
}

export type CommandName = keyof CommandArguments;

/** The calls that carry a lease token; each renews the lease when it is accepted. */
export type WorkerCommandName = 'heartbeat' | 'progress' | 'complete' | 'fail' | 'throttle' | 'wait' | 'release';

export type JobCommand = {
  readonly [Name in CommandName]: { readonly name: Name } & CommandArguments[Name];
}[CommandName];

export type CommandOf<Name extends CommandName> = Extract<JobCommand, { readonly name: Name }>;

/** What the world adds to a command. */
export interface Context {
  /** The database's time, epoch ms. */
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
  /** In force for this job now. */
  readonly policy: Policy;
}
