/** Commands of clients and operators: row by row the table "Commands and states" of the HTTP contract. */
import { AlreadyTerminal, IllegalTransition } from './errors.js';
import { backToQueue, enter, paused } from './enter.js';
import { hasTag, isTerminal, type JobStatus } from './job-chart.js';
import type { CommandOf, Context } from './job-commands.js';
import type { JobError, JobEvent, Value } from './job-events.js';
import type { Job } from './job.js';

type ClientCommand = CommandOf<
  | 'start'
  | 'cancel'
  | 'retry'
  | 'hold'
  | 'resume'
  | 'reschedule'
  | 'priority'
  | 'force-fail'
  | 'emergency-stop'
  | 'requeue'
>;

const refuse = (job: Job, command: ClientCommand): never => {
  throw isTerminal(job.status) && command.name !== 'retry'
    ? new AlreadyTerminal(command.name, job.status)
    : new IllegalTransition(command.name, job.status);
};

const isOneOf = (status: JobStatus, ...statuses: JobStatus[]): boolean => statuses.includes(status);

/** Not started by anybody, or started and waiting for its turn. */
const isPending = (status: JobStatus): boolean => isOneOf(status, 'blocked', 'scheduled', 'queued');

const start = (job: Job, context: Context): readonly JobEvent[] | undefined => {
  if (job.status === 'created') return [enter(job.availableAt, context.now, 'started')];
  return isPending(job.status) || isOneOf(job.status, 'claimed', 'running') ? [] : undefined;
};

const cancel = (job: Job, command: CommandOf<'cancel'>): readonly JobEvent[] | undefined => {
  const { reason, force } = command;
  const cancelled = (forced: boolean): readonly JobEvent[] => [
    { type: 'JobCancelled', data: { reason, forced, rule: null, evidence: null, outcome: null } },
  ];
  switch (job.status) {
    case 'claimed':
    case 'running':
      return force ? cancelled(true) : [{ type: 'CancelRequested', data: { reason } }];
    case 'cancelling':
      return force ? cancelled(true) : [];
    case 'cancelled':
      return [];
    case 'completed':
    case 'failed':
      return undefined;
    case 'created':
    case 'blocked':
    case 'scheduled':
    case 'queued':
    case 'waiting':
    case 'finalizing':
      return cancelled(false);
  }
};

const retried = (job: Job, reason: string | null, payload?: Value): readonly JobEvent[] => [
  { type: 'JobRetried', data: { run: job.run + 1, reason, ...(payload === undefined ? {} : { payload }) } },
  { type: 'JobQueued', data: { reason: 'retried' } },
];

const hold = (job: Job, command: CommandOf<'hold'>): readonly JobEvent[] | undefined => {
  const held: JobEvent = { type: 'JobHeld', data: { reason: command.reason } };
  if (isPending(job.status)) return [held, paused(command.reason)];
  if (isOneOf(job.status, 'claimed', 'running')) return job.held ? [] : [held];
  return isOneOf(job.status, 'waiting', 'finalizing') ? [] : undefined;
};

const resume = (job: Job, command: CommandOf<'resume'>, context: Context): readonly JobEvent[] | undefined => {
  const resumed: JobEvent = { type: 'JobResumed', data: { reason: command.reason } };
  if (job.status === 'waiting') return [resumed, enter(job.availableAt, context.now, 'resumed')];
  if (isPending(job.status) || isOneOf(job.status, 'claimed', 'running')) return job.held ? [resumed] : [];
  return isOneOf(job.status, 'created', 'finalizing') ? [] : undefined;
};

const reschedule = (job: Job, command: CommandOf<'reschedule'>, context: Context): readonly JobEvent[] | undefined => {
  const { availableAt, reason } = command;
  const moved: JobEvent = { type: 'JobRescheduled', data: { availableAt, reason } };
  if (isOneOf(job.status, 'created', 'blocked')) return [moved];
  return isPending(job.status) ? [moved, enter(availableAt, context.now, 'due', 'rescheduled')] : undefined;
};

const priority = (job: Job, command: CommandOf<'priority'>): readonly JobEvent[] | undefined => {
  if (job.status !== 'created' && !isPending(job.status) && !isOneOf(job.status, 'waiting', 'finalizing')) {
    return undefined;
  }
  return job.priority === command.priority
    ? []
    : [{ type: 'PriorityChanged', data: { priority: command.priority, reason: command.reason } }];
};

const failedByHand = (error: JobError, reason: string | null): readonly JobEvent[] => [
  { type: 'JobFailed', data: { error, reason } },
];

const forceFail = (job: Job, reason: string | null): readonly JobEvent[] | undefined =>
  hasTag(job.status, 'active') || isOneOf(job.status, 'waiting', 'finalizing')
    ? failedByHand({ code: 'ManualTimeout', message: 'Manually marked FAILED by operator', detail: null }, reason)
    : undefined;

const emergencyStop = (job: Job, reason: string | null): readonly JobEvent[] =>
  isTerminal(job.status)
    ? []
    : failedByHand({ code: 'EmergencyStop', message: 'Stopped by operator', detail: null }, reason);

/** An active job is taken from its worker in the same run; a dead letter gets a new run. */
const requeue = (job: Job, reason: string | null): readonly JobEvent[] | undefined => {
  if (isOneOf(job.status, 'claimed', 'running')) {
    return [{ type: 'JobReleased', data: { reason: reason ?? 'requeued' } }, backToQueue(job, 'requeued')];
  }
  return job.deadLettered ? retried(job, reason) : undefined;
};

const propose = (job: Job, command: ClientCommand, context: Context): readonly JobEvent[] | undefined => {
  switch (command.name) {
    case 'start':
      return start(job, context);
    case 'cancel':
      return cancel(job, command);
    case 'retry':
      return isOneOf(job.status, 'failed', 'cancelled') ? retried(job, command.reason, command.payload) : undefined;
    case 'hold':
      return hold(job, command);
    case 'resume':
      return resume(job, command, context);
    case 'reschedule':
      return reschedule(job, command, context);
    case 'priority':
      return priority(job, command);
    case 'force-fail':
      return forceFail(job, command.reason);
    case 'emergency-stop':
      return emergencyStop(job, command.reason);
    case 'requeue':
      return requeue(job, command.reason);
  }
};

/** @throws Refusal where the table says "illegal" or "already_terminal". */
export const decideByClient = (job: Job, command: ClientCommand, context: Context): readonly JobEvent[] =>
  propose(job, command, context) ?? refuse(job, command);
