/** Why a command has no answer, beside the domain's refusals: a closed set, mapped to problems by the API. */
import { MAX_STAGES } from '../domain/progress.js';
import { Unavailable } from '../event-store/event-store.js';

/** Thrown when no job of this id was ever created, or not yet at the moment that was asked for. */
export class JobNotFound extends Error {
  constructor(
    readonly jobId: string,
    why = 'it was never created on this ledger',
  ) {
    super(`there is no job ${jobId}: ${why}`);
  }
}

/** Thrown when the caller may only change jobs of its own, and this one is not. */
export class NotOwner extends Error {
  constructor(jobId: string) {
    super(`job ${jobId} was created with another API key: only a key with the role operator or admin may change it`);
  }
}

/** Thrown when `If-Match` names another revision than the job's. */
export class PreconditionFailed extends Error {
  constructor(
    readonly expected: number,
    readonly actual: number,
  ) {
    super(`the job is at revision ${actual}, not ${expected}: it has changed; read it again`);
  }
}

/** Thrown when an idempotency key comes again with another method, path or body. */
export class IdempotencyKeyReused extends Error {
  constructor() {
    super('this idempotency key was used for another request: give each call a key of its own');
  }
}

/** Thrown when progress names a stage beside as many as a run may have: nothing of it was counted. */
export class TooManyStages extends Error {
  constructor() {
    super(`must be one of the ${MAX_STAGES} that this run has, and may have at most: name one of those, or no stage`);
  }
}

/** Thrown before any work when too much waits, or when the service drains. */
export class Overloaded extends Error {}

/** Thrown when a command's time was up before it was appended: it did not happen. */
export class DeadlineExceeded extends Error {
  constructor() {
    super('the command could not be appended in time; nothing was changed: repeat it');
  }
}

/** Thrown once a loss, at the first call that meets it: nothing was done, and the next one is decided on what there is. */
export class LogLost extends Unavailable {
  constructor(jobId: string) {
    super(
      `the log lacks what it had of job ${jobId}: it was restored, or another copy answers; nothing was done, repeat the call`,
    );
  }
}

/** Thrown when a lease is neither the caller's nor anybody's: its end is on its way to a log elsewhere, or was left on it. */
export class LeaseUnsettled extends Unavailable {
  constructor() {
    super('whether the lease has ended is not known yet; nothing was done, repeat the call');
  }
}
