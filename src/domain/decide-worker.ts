/** Calls that carry a lease token. Fencing is by (run, attempt): only the current attempt's holder changes a job. */
import { backToQueue, backToSchedule } from './enter.js';
import { StaleLease } from './errors.js';
import type { CommandOf, Context, Token, WorkerCommandName } from './job-commands.js';
import { toInstant, type JobError, type JobEvent, type JobFact, type Outcome } from './job-events.js';
import type { Job } from './job.js';
import { retryDelayMs, throttleDelayMs } from './retry-delay.js';
import { isTerminal } from './job-chart.js';

type WorkerCommand = CommandOf<WorkerCommandName>;

const isCurrent = (job: Job, token: Token): boolean =>
  token !== null && token.run === job.run && token.attempt === job.attempt;

const heartbeat = (job: Job, command: CommandOf<'heartbeat'>): readonly JobEvent[] => {
  const { checkpoint, state } = command;
  const events: JobEvent[] = [];
  if (checkpoint !== null && checkpoint.digest !== job.checkpointDigest) {
    events.push({ type: 'CheckpointSaved', data: { checkpoint: checkpoint.value, digest: checkpoint.digest } });
  }
  if (state !== null && state !== job.workerState?.state) {
    events.push({ type: 'WorkerStateReported', data: { state } });
  }
  return events;
};

const progress = (command: CommandOf<'progress'>): readonly JobFact[] => {
  const { name: _name, token: _token, ...data } = command;
  return [{ type: 'ProgressRecorded', data }];
};

const deadLettered = (error: JobError, reason: string): readonly JobEvent[] => [
  { type: 'JobFailed', data: { error, reason: null } },
  { type: 'JobDeadLettered', data: { reason } },
];

const errorOf = ({ code, message, detail }: CommandOf<'fail'>): JobError => ({ code, message, detail });

const fail = (job: Job, command: CommandOf<'fail'>, context: Context): readonly JobEvent[] => {
  const error = errorOf(command);
  const failedAttempts = job.failedAttempts + 1;
  const { retry, maxAttempts } = context.policy;
  if (command.retryable && failedAttempts < maxAttempts) {
    const retryAt = toInstant(context.now + retryDelayMs(retry, failedAttempts, context.random));
    return [{ type: 'AttemptFailed', data: { error, retryAt } }, ...backToSchedule(job, retryAt, 'retry')];
  }
  return [
    { type: 'AttemptFailed', data: { error, retryAt: null } },
    ...deadLettered(error, command.retryable ? 'attempts_exhausted' : 'not_retryable'),
  ];
};

const throttle = (job: Job, command: CommandOf<'throttle'>, context: Context): readonly JobEvent[] => {
  const retryAfterMs =
    'retryAfterMs' in command ? command.retryAfterMs : throttleDelayMs(command.baseMs, job.throttles);
  const throttles = job.throttles + 1;
  const { maxThrottles } = context.policy;
  const throttled: JobEvent = {
    type: 'JobThrottled',
    data: { retryAfterMs, resource: null, throttles, reason: command.reason },
  };
  if (throttles > maxThrottles) {
    const message = `throttled ${throttles} times in this run, ${maxThrottles} are allowed`;
    return [throttled, ...deadLettered({ code: 'ThrottleLimit', message, detail: null }, 'throttle_limit')];
  }
  const availableAt = toInstant(context.now + retryAfterMs);
  return [throttled, ...backToSchedule(job, availableAt, 'throttle')];
};

const release = (job: Job, command: CommandOf<'release'>): readonly JobEvent[] => [
  { type: 'JobReleased', data: { reason: command.reason } },
  backToQueue(job, 'released'),
];

const underLease = (job: Job, command: WorkerCommand, context: Context): readonly (JobEvent | JobFact)[] => {
  switch (command.name) {
    case 'heartbeat':
      return heartbeat(job, command);
    case 'progress':
      return progress(command);
    case 'complete':
      return [{ type: 'JobCompleted', data: { result: command.result } }];
    case 'fail':
      return fail(job, command, context);
    case 'throttle':
      return throttle(job, command, context);
    case 'wait': {
      const { reason, detail, until } = command;
      return [{ type: 'JobWaiting', data: { reason, detail, until } }];
    }
    case 'release':
      return release(job, command);
  }
};

/** What the worker says that ends its attempt; undefined: the call does not. */
const outcomeOf = (command: WorkerCommand): Outcome | undefined => {
  switch (command.name) {
    case 'heartbeat':
    case 'progress':
      return undefined;
    case 'complete':
      return { command: command.name, result: command.result };
    case 'fail':
      return { command: command.name, error: errorOf(command) };
    case 'throttle':
    case 'wait':
    case 'release':
      return { command: command.name, reason: command.reason };
  }
};

/** @throws StaleLease unless the token is that of the attempt that holds the lease, or the call repeats the last one. */
export const decideByWorker = (job: Job, command: WorkerCommand, context: Context): readonly (JobEvent | JobFact)[] => {
  const { token } = command;
  if (job.lease !== null && isCurrent(job, token)) {
    const outcome = job.status === 'cancelling' ? outcomeOf(command) : undefined;
    if (outcome === undefined) return underLease(job, command, context);
    // Whatever it says once cancel was asked, its attempt is over.
    const reason = job.cancel?.reason ?? null;
    return [{ type: 'JobCancelled', data: { reason, forced: false, rule: null, evidence: null, outcome } }];
  }
  const repeated =
    isCurrent(job, token) &&
    ((isTerminal(job.status) && job.endedBy?.command === command.name) ||
      (job.status === 'finalizing' && command.name === 'complete'));
  if (repeated) return [];
  throw new StaleLease(command.name, job, token);
};
