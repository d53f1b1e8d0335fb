/** Why a command is refused: a closed set with stable codes. The API maps each to one problem document. */
import { type JobStatus, metaOf } from './job-chart.js';
import type { Token } from './job-commands.js';

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

/** What a refusal needs to know of a job. */
interface Standing {
  readonly status: JobStatus;
  readonly run: number;
  readonly attempt: number;
}

/** What became of the attempt that a token stands for, and what its worker is to do. Says of no token what it is. */
const whatBecameOf = ({ status, run, attempt }: Standing, token: Token): string => {
  if (token === null)
    return 'the lease token is not one that a claim of this job gave: send the leaseToken of the claim';
  const mine = token.run === run ? `attempt ${token.attempt}` : `attempt ${token.attempt} of run ${token.run}`;
  if (token.run > run || (token.run === run && token.attempt > attempt)) {
    return `the ledger does not know ${mine}: its log is older than the token`;
  }
  if (token.run < run) return `${mine} has ended, and run ${run} has begun; the job is ${status}. Drop this work`;
  if (token.attempt < attempt) {
    return `${mine} has ended, and the job was given out again, as attempt ${attempt}; it is ${status}. Drop this work`;
  }
  if (status === 'cancelling')
    return `the job is being cancelled: stop ${mine}, and end it with \`fail\` or \`release\``;
  return `${mine} has ended; the job is ${status}. Drop this work: the events of the job say how it ended`;
};

/** Thrown when the caller's lease is not the job's current one. */
export class StaleLease extends Refusal {
  readonly code = 'stale_lease';

  constructor(command: string, job: Standing, token: Token) {
    super(command, job.status, whatBecameOf(job, token));
  }
}

/** Thrown when the run has ended and the command cannot be in effect already. */
export class AlreadyTerminal extends Refusal {
  readonly code = 'already_terminal';

  constructor(command: string, from: JobStatus) {
    super(command, from, `the job is ${from}: its run has ended (moved on by ${metaOf(from).movedBy})`);
  }
}

/** Thrown when the chart has no such move from the job's state. */
export class IllegalTransition extends Refusal {
  readonly code = 'illegal_transition';

  constructor(command: string, from: JobStatus) {
    super(command, from, `${command} is not possible while the job is ${from} (moved on by ${metaOf(from).movedBy})`);
  }
}

/** Thrown on replay of an event that the chart cannot follow: the history is damaged, never a no-op. */
export class BrokenHistory extends Error {
  constructor(jobId: string, from: string, type: string) {
    super(`job ${jobId}: ${type} cannot follow in state ${from}`);
  }
}
