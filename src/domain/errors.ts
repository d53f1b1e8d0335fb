/** Why a command is refused: a closed set with stable codes. The API maps each to one problem document. */
import type { JobStatus } from './job-chart.js';

export type RefusalCode = 'stale_lease' | 'already_terminal' | 'illegal_transition';

/** Thrown by `decide`. What it says of the job is the state it was decided on. */
export abstract class Refusal extends Error {
  abstract readonly code: RefusalCode;

  constructor(
    readonly command: string,
    readonly from: JobStatus,
    message: string,
  ) {
    super(message);
  }
}

/** Thrown when the caller's lease is not the job's current one. */
export class StaleLease extends Refusal {
  readonly code = 'stale_lease';

  constructor(command: string, from: JobStatus) {
    super(command, from, `the lease token is not that of the current attempt; the job is ${from}`);
  }
}

/** Thrown when the run has ended and the command cannot be in effect already. */
export class AlreadyTerminal extends Refusal {
  readonly code = 'already_terminal';

  constructor(command: string, from: JobStatus) {
    super(command, from, `the job is ${from}: its run has ended`);
  }
}

/** Thrown when the chart has no such move from the job's state. */
export class IllegalTransition extends Refusal {
  readonly code = 'illegal_transition';

  constructor(command: string, from: JobStatus) {
    super(command, from, `${command} is not possible while the job is ${from}`);
  }
}

/** Thrown on replay of an event that the chart cannot follow: the history is damaged, never a no-op. */
export class BrokenHistory extends Error {
  constructor(jobId: string, from: string, type: string) {
    super(`job ${jobId}: ${type} cannot follow in state ${from}`);
  }
}
