/**
 * Which events a command causes, given a job's state. Pure: time, chance and policy arrive in the context.
 * No events: the command is already in effect. Whoever appends folds them first with `evolve`, which throws where the
 * chart does not allow one; a model test shows that it never has to.
 */
import { decideByClient } from './decide-client.js';
import { decideByReaper } from './decide-reaper.js';
import { decideByWorker } from './decide-worker.js';
import { enter } from './enter.js';
import { AlreadyTerminal, IllegalTransition, StaleLease } from './errors.js';
import { hasTag, isTerminal } from './job-chart.js';
import type { Context, JobCommand } from './job-commands.js';
import { toEpochMs, toInstant, type JobEvent, type JobFact, type JobSpec } from './job-events.js';
import type { Job } from './job.js';

/** A fact goes to a stream of its own. */
export type Decided = JobEvent | JobFact;

export const isFact = (event: Decided): event is JobFact => event.type === 'ProgressRecorded';

const created = (spec: JobSpec, reason: string | null, now: number): readonly JobEvent[] => {
  const birth: JobEvent = { type: 'JobCreated', data: { reason, spec } };
  if (!spec.autostart) return [birth];
  return [birth, enter(spec.availableAt, now, 'created')];
};

const claimed = (job: Job, command: JobCommand & { name: 'claim' }, context: Context): readonly JobEvent[] => {
  const { workerId, start } = command;
  if (!hasTag(job.status, 'claimable')) {
    throw isTerminal(job.status)
      ? new AlreadyTerminal('claim', job.status)
      : new IllegalTransition('claim', job.status);
  }
  const early: JobEvent[] = [];
  if (job.status === 'scheduled') {
    if (job.availableAt !== null && toEpochMs(job.availableAt) > context.now) {
      throw new IllegalTransition('claim', job.status);
    }
    early.push({ type: 'JobQueued', data: { reason: 'due' } });
  }
  const leaseMs = command.leaseMs ?? context.policy.leaseMs;
  const leaseExpiresAt = toInstant(context.now + leaseMs);
  return [
    ...early,
    { type: 'JobClaimed', data: { leaseExpiresAt, leaseMs, workerId } },
    ...(start ? [{ type: 'JobStarted', data: { workerId } } as const] : []),
  ];
};

const propose = (job: Job, command: JobCommand, context: Context): readonly Decided[] => {
  switch (command.name) {
    case 'create':
      // Ids are made by the ledger: a job that exists was created by this very command.
      return [];
    case 'claim':
      return claimed(job, command, context);
    case 'start':
      return command.token === undefined ? decideByClient(job, command, context) : startedByWorker(job, command.token);
    case 'cancel':
    case 'retry':
    case 'hold':
    case 'resume':
    case 'reschedule':
    case 'priority':
    case 'force-fail':
    case 'emergency-stop':
    case 'requeue':
      return decideByClient(job, command, context);
    case 'heartbeat':
    case 'progress':
    case 'complete':
    case 'fail':
    case 'throttle':
    case 'wait':
    case 'release':
      return decideByWorker(job, command, context);
    case 'reap':
      return decideByReaper(job, command, context);
  }
};

const startedByWorker = (job: Job, token: { run: number; attempt: number } | null): readonly JobEvent[] => {
  const current = job.lease !== null && token !== null && token.run === job.run && token.attempt === job.attempt;
  if (!current || job.status === 'cancelling') throw new StaleLease('start', job, token);
  return job.status === 'running' ? [] : [{ type: 'JobStarted', data: { workerId: job.lease.workerId } }];
};

/**
 * @param job null when no job of this id exists; only `create` may then be asked.
 * @throws Refusal when the command is not possible in the job's state.
 */
export const decide = (job: Job | null, command: JobCommand, context: Context): readonly Decided[] => {
  if (job === null) {
    if (command.name !== 'create') throw new Error(`${command.name} was decided on a job that does not exist`);
    return created(command.spec, command.reason, context.now);
  }
  return propose(job, command, context);
};
