/**
 * The life of a job: the only definition of its states. Tags and `meta` answer what claim, reaper, API and metrics
 * ask; the README's diagram is generated from here. The chart's events are the job's events, so it says what may
 * follow what; which of them a command causes is `decide`'s question.
 *
 * Cost, measured with XState 5.33 on Node 20: `transition()` 22–75 µs, `snapshot.can()` 1–2 µs, a look-up in the
 * tables below, read from the machine once, 0.05 µs. So the service asks the tables, and model tests hold the
 * tables against the machine.
 */
import { setup, type StateNode, type StateValueFrom } from 'xstate';
import type { JobEventType, QueuedReason, Rule } from './job-events.js';

export type Tag = 'claimable' | 'active' | 'waiting' | 'terminal' | 'reapable';

interface StateMeta {
  readonly meaning: string;
  /** Who moves a job out of this state. */
  readonly movedBy: string;
  /** Stall rules that bound it; none: it is listed as stuck after its alert threshold, and never ended. */
  readonly bounds: readonly Rule[];
}

interface ChartEvent {
  readonly type: JobEventType;
  readonly reason?: string;
}

const chart = setup({
  types: {
    events: {} as ChartEvent,
    tags: {} as Tag,
    meta: {} as StateMeta,
  },
  guards: {
    /** A move that only these reasons make: nothing else raises a finished job. */
    because: ({ event }, params: { readonly reasons: readonly QueuedReason[] }) =>
      params.reasons.some((reason) => reason === event.reason),
  },
});

const queuedBecause = (...reasons: QueuedReason[]) =>
  ({ target: 'queued', guard: { type: 'because', params: { reasons } } }) as const;

/** Whatever happens to it, a job that is not finished can be cancelled, stopped, and given another priority. */
const unfinished = { JobCancelled: 'cancelled', JobFailed: 'failed' } as const;

const leased = (self: 'claimed' | 'running') =>
  ({
    CheckpointSaved: self,
    WorkerStateReported: self,
    JobHeld: self,
    JobResumed: self,
    JobReleased: self,
    LeaseExpired: self,
    AttemptFailed: self,
    JobThrottled: self,
    JobQueued: queuedBecause('released', 'lease_expired', 'stale', 'requeued'),
    JobScheduled: 'scheduled',
    JobWaiting: 'waiting',
    JobFinalizing: 'finalizing',
    JobCompleted: 'completed',
    JobTimedOut: 'failed',
    CancelRequested: 'cancelling',
    ...unfinished,
  }) as const;

export const jobMachine = chart.createMachine({
  id: 'job',
  initial: 'created',
  states: {
    created: {
      meta: {
        meaning: 'a draft, or the instant of creation',
        movedBy: 'a client, with `start`; create itself unless `autostart` is false',
        bounds: [],
      },
      on: {
        JobQueued: queuedBecause('created', 'started'),
        JobScheduled: 'scheduled',
        JobBlocked: 'blocked',
        JobRescheduled: 'created',
        PriorityChanged: 'created',
        ...unfinished,
      },
    },
    blocked: {
      tags: ['waiting'],
      meta: { meaning: 'waits for parents or dependencies', movedBy: 'the ledger', bounds: [] },
      on: {
        JobQueued: queuedBecause('unblocked'),
        JobScheduled: 'scheduled',
        JobHeld: 'blocked',
        JobResumed: 'blocked',
        JobWaiting: 'waiting',
        JobRescheduled: 'blocked',
        PriorityChanged: 'blocked',
        ...unfinished,
      },
    },
    scheduled: {
      tags: ['claimable', 'waiting', 'reapable'],
      meta: {
        meaning: 'not before `availableAt`: delay, retry back-off, throttle',
        movedBy: 'time; a claim takes due ones too, so a dead reaper stops no retry',
        bounds: ['due'],
      },
      on: {
        JobQueued: queuedBecause('due'),
        JobScheduled: 'scheduled',
        JobHeld: 'scheduled',
        JobResumed: 'scheduled',
        JobWaiting: 'waiting',
        JobRescheduled: 'scheduled',
        PriorityChanged: 'scheduled',
        ...unfinished,
      },
    },
    queued: {
      tags: ['claimable'],
      meta: { meaning: 'claimable', movedBy: 'a worker, with a claim', bounds: [] },
      on: {
        JobClaimed: 'claimed',
        JobQueued: queuedBecause('due'),
        JobScheduled: 'scheduled',
        JobHeld: 'queued',
        JobResumed: 'queued',
        JobWaiting: 'waiting',
        JobRescheduled: 'queued',
        PriorityChanged: 'queued',
        ...unfinished,
      },
    },
    claimed: {
      tags: ['active', 'reapable'],
      meta: {
        meaning: 'leased, not started',
        movedBy: 'the worker, with `start` and its token',
        bounds: ['lease_expired', 'stalled'],
      },
      on: { JobStarted: 'running', ...leased('claimed') },
    },
    running: {
      tags: ['active', 'reapable'],
      meta: {
        meaning: 'an attempt runs under a lease',
        movedBy: 'the worker; lease and stall rules bound it',
        bounds: ['lease_expired', 'stalled'],
      },
      on: leased('running'),
    },
    waiting: {
      tags: ['waiting', 'reapable'],
      meta: {
        meaning: 'waits for a person or a credential, without a lease; its clocks stand still',
        movedBy: 'the awaited thing, with `resume`',
        bounds: ['wait_expired'],
      },
      on: {
        JobResumed: 'waiting',
        JobQueued: queuedBecause('resumed'),
        JobScheduled: 'scheduled',
        JobBlocked: 'blocked',
        PriorityChanged: 'waiting',
        JobTimedOut: 'failed',
        ...unfinished,
      },
    },
    finalizing: {
      tags: ['reapable'],
      meta: {
        meaning: 'the worker is done, items are still missing',
        movedBy: 'the finaliser',
        bounds: ['finalize_expired'],
      },
      on: { PriorityChanged: 'finalizing', JobCompleted: 'completed', ...unfinished },
    },
    cancelling: {
      tags: ['active', 'reapable'],
      meta: {
        meaning: 'cancel asked, worker not yet stopped',
        movedBy: 'the worker; forced after a limit, or when its lease lapses',
        bounds: ['cancel_forced', 'lease_expired'],
      },
      on: { CheckpointSaved: 'cancelling', WorkerStateReported: 'cancelling', ...unfinished },
    },
    completed: {
      tags: ['terminal'],
      meta: { meaning: 'done', movedBy: 'nobody', bounds: [] },
    },
    failed: {
      tags: ['terminal'],
      meta: {
        meaning: 'ended by failure, timeout or an operator',
        movedBy: 'a client, with `retry`, into a new run',
        bounds: [],
      },
      on: { JobDeadLettered: 'failed', JobRetried: 'failed', JobQueued: queuedBecause('retried') },
    },
    cancelled: {
      tags: ['terminal'],
      meta: { meaning: 'ended by cancel', movedBy: 'a client, with `retry`, into a new run', bounds: [] },
      on: { JobRetried: 'cancelled', JobQueued: queuedBecause('retried') },
    },
  },
});

export type JobStatus = StateValueFrom<typeof jobMachine>;

interface Move {
  readonly to: JobStatus;
  /** Only for these reasons; absent: for any. */
  readonly reasons?: readonly string[];
}

const nodes = Object.entries(jobMachine.states) as [JobStatus, StateNode][];

/** Every status of a job, as the chart lists them. */
export const JOB_STATUSES: readonly JobStatus[] = nodes.map(([status]) => status);

const readMove = (node: StateNode, type: string): Move => {
  const transition = node.transitions.get(type)?.[0];
  const target = transition?.target?.[0];
  if (target === undefined) throw new Error(`chart: ${node.key} has no target for ${type}`);
  const guard = transition?.guard as { params?: { reasons?: readonly string[] } } | undefined;
  const reasons = guard?.params?.reasons;
  return { to: target.key as JobStatus, ...(reasons === undefined ? {} : { reasons }) };
};

const moves: ReadonlyMap<JobStatus, ReadonlyMap<string, Move>> = new Map(
  nodes.map(([status, node]) => [
    status,
    new Map([...node.transitions.keys()].map((type) => [type, readMove(node, type)])),
  ]),
);

/** The state that the event leads to, or undefined when the chart does not allow it there. */
export const follow = (from: JobStatus, type: JobEventType, reason?: string | null): JobStatus | undefined => {
  const move = moves.get(from)?.get(type);
  if (move === undefined) return undefined;
  return move.reasons === undefined || (typeof reason === 'string' && move.reasons.includes(reason))
    ? move.to
    : undefined;
};

const tagged: ReadonlyMap<JobStatus, ReadonlySet<string>> = new Map(
  nodes.map(([status, node]) => [status, new Set(node.tags)]),
);

export const hasTag = (status: JobStatus, tag: Tag): boolean => tagged.get(status)?.has(tag) ?? false;

export const statusesTagged = (tag: Tag): readonly JobStatus[] => JOB_STATUSES.filter((status) => hasTag(status, tag));

export const isTerminal = (status: JobStatus): boolean => hasTag(status, 'terminal');

const metas = new Map(nodes.map(([status, node]) => [status, node.meta as StateMeta]));

export const metaOf = (status: JobStatus): StateMeta => {
  const meta = metas.get(status);
  if (meta === undefined) throw new Error(`chart: ${status} has no meta`);
  return meta;
};
