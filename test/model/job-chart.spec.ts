/**
 * The chart against everything that was read from it: the compiled tables, the fold, the decisions, the stall rules.
 * XState's own machine is the witness.
 */
import { describe, expect, it } from '@jest/globals';
import type { SnapshotFrom } from 'xstate';
import { getShortestPaths, getSimplePaths } from 'xstate/graph';
import { isFact } from '../../src/domain/decide.js';
import { BrokenHistory } from '../../src/domain/errors.js';
import {
  follow,
  hasTag,
  isTerminal,
  JOB_STATUSES,
  jobMachine,
  metaOf,
  statusesTagged,
  type JobStatus,
} from '../../src/domain/job-chart.js';
import type { JobEvent, JobEventType, QueuedReason, RecordedJobEvent } from '../../src/domain/job-events.js';
import { evolve, type Job } from '../../src/domain/job.js';
import { PRESETS } from '../../src/domain/policy.js';
import { nextDeadline } from '../../src/domain/stall-rules.js';
import { ask, at, given, JOB_ID, reap, spec } from '../support/given.js';

type Snapshot = SnapshotFrom<typeof jobMachine>;

const evidence = {
  rule: 'stalled',
  ruleVersion: 1,
  thresholds: {},
  lastActivityAt: null,
  lastActivityPosition: null,
  lastBeatAt: null,
  observedAt: at(0),
  revision: 0,
} as const;
const error = { code: 'E1', message: 'first', detail: null };

const QUEUED_REASONS: Readonly<Record<QueuedReason, true>> = {
  created: true,
  started: true,
  due: true,
  unblocked: true,
  lease_expired: true,
  stale: true,
  released: true,
  resumed: true,
  requeued: true,
  retried: true,
};

/** One of each type; the compiler sees to it that none is missing. */
const SAMPLES: { readonly [Type in JobEventType]: Extract<JobEvent, { readonly type: Type }> } = {
  JobCreated: { type: 'JobCreated', data: { spec: spec(), reason: null } },
  JobScheduled: { type: 'JobScheduled', data: { availableAt: at(60_000), reason: 'delay' } },
  JobBlocked: { type: 'JobBlocked', data: { on: ['parent'] } },
  JobQueued: { type: 'JobQueued', data: { reason: 'created' } },
  JobClaimed: { type: 'JobClaimed', data: { workerId: 'w-1', leaseMs: 1_000, leaseExpiresAt: at(1_000) } },
  JobStarted: { type: 'JobStarted', data: { workerId: 'w-1' } },
  CheckpointSaved: { type: 'CheckpointSaved', data: { checkpoint: 1, digest: '1' } },
  WorkerStateReported: { type: 'WorkerStateReported', data: { state: 'loading' } },
  JobReleased: { type: 'JobReleased', data: { reason: 'shutdown' } },
  LeaseExpired: { type: 'LeaseExpired', data: { workerId: 'w-1', lostLeases: 1, evidence } },
  JobThrottled: { type: 'JobThrottled', data: { retryAfterMs: 100, resource: null, throttles: 1, reason: null } },
  JobWaiting: { type: 'JobWaiting', data: { reason: 'approval', detail: null, until: null } },
  JobResumed: { type: 'JobResumed', data: { reason: null } },
  JobHeld: { type: 'JobHeld', data: { reason: null } },
  JobRescheduled: { type: 'JobRescheduled', data: { availableAt: at(60_000), reason: null } },
  PriorityChanged: { type: 'PriorityChanged', data: { priority: 7, reason: null } },
  AttemptFailed: { type: 'AttemptFailed', data: { error, retryAt: null } },
  JobFinalizing: { type: 'JobFinalizing', data: { missing: 1 } },
  JobCompleted: { type: 'JobCompleted', data: { result: null } },
  JobFailed: { type: 'JobFailed', data: { error, reason: null } },
  JobTimedOut: { type: 'JobTimedOut', data: { rule: 'stalled', error, evidence } },
  CancelRequested: { type: 'CancelRequested', data: { reason: null } },
  JobCancelled: {
    type: 'JobCancelled',
    data: { reason: null, forced: false, rule: null, evidence: null, outcome: null },
  },
  JobDeadLettered: { type: 'JobDeadLettered', data: { reason: 'not_retryable' } },
  JobRetried: { type: 'JobRetried', data: { run: 2, reason: null } },
};

/** Every event that the chart could tell apart: JobQueued once for each reason. */
const EVENTS: readonly JobEvent[] = Object.values(SAMPLES).flatMap((event): JobEvent[] =>
  event.type === 'JobQueued'
    ? (Object.keys(QUEUED_REASONS) as QueuedReason[]).map((reason) => ({ type: 'JobQueued', data: { reason } }))
    : [event],
);

const reasonOf = (event: JobEvent): string | undefined => (event.type === 'JobQueued' ? event.data.reason : undefined);

/** As the machine takes it. */
const toChart = (event: JobEvent): { readonly type: JobEventType; readonly reason?: string } => {
  const reason = reasonOf(event);
  return reason === undefined ? { type: event.type } : { type: event.type, reason };
};
const fromChart = ({ type, reason }: { readonly type: string; readonly reason?: string }): JobEvent => {
  const event = EVENTS.find((sample) => sample.type === type && reasonOf(sample) === reason);
  if (event === undefined) throw new Error(`no sample of ${type} ${reason ?? ''}`);
  return event;
};

const recorded = (event: JobEvent): RecordedJobEvent => ({ ...event, at: at(0), command: 'any' });
const born = (): Job => evolve(JOB_ID, null, recorded(SAMPLES.JobCreated));

const inState = (status: JobStatus): Snapshot => jobMachine.resolveState({ value: status });

const traversal = {
  events: EVENTS.map(toChart),
  serializeState: (snapshot: Snapshot) => snapshot.value,
  filterEvents: (snapshot: Snapshot, event: { readonly type: JobEventType }) => snapshot.can(event),
};

describe.each(JOB_STATUSES)('in state %s', (status) => {
  it.each(EVENTS.map((event) => [`${event.type} ${reasonOf(event) ?? ''}`.trim(), event] as const))(
    'the machine, its tables and the fold agree on %s',
    (_title, event) => {
      const snapshot = inState(status);
      const target = snapshot.can(toChart(event))
        ? jobMachine.getTransitionData(snapshot as never, toChart(event)).flatMap(({ target: nodes }) => nodes ?? [])
        : [];
      const expected = target[0]?.key;

      expect(follow(status, event.type, reasonOf(event))).toBe(expected);
      const job = given(status).job;
      if (expected === undefined) expect(() => evolve(JOB_ID, job, recorded(event))).toThrow(BrokenHistory);
      else expect(evolve(JOB_ID, job, recorded(event)).status).toBe(expected);
    },
  );

  it('the tables say the tags and the meta of the machine', () => {
    const snapshot = inState(status);
    for (const tag of ['claimable', 'active', 'waiting', 'terminal', 'reapable'] as const) {
      expect(hasTag(status, tag)).toBe(snapshot.hasTag(tag));
      expect(statusesTagged(tag).includes(status)).toBe(snapshot.hasTag(tag));
    }
    expect(Object.values(snapshot.getMeta())).toEqual([metaOf(status)]);
  });

  it('a JobQueued without a reason, or with one nobody knows, never follows', () => {
    expect(follow(status, 'JobQueued')).toBeUndefined();
    expect(follow(status, 'JobQueued', null)).toBeUndefined();
    expect(follow(status, 'JobQueued', 'whim')).toBeUndefined();
  });
});

describe('every path through the machine', () => {
  const simple = getSimplePaths(jobMachine, traversal);

  it('is walked by the fold, state by state', () => {
    expect(simple.length).toBeGreaterThan(1_000);
    for (const path of simple) {
      const [first, ...steps] = path.steps;
      expect(first?.state.value).toBe('created');
      const job = steps.reduce<Job>((before, step) => {
        const after = evolve(JOB_ID, before, recorded(fromChart(step.event)));
        expect(after.status).toBe(step.state.value);
        return after;
      }, born());
      expect(job.status).toBe(path.state.value);
      expect(job.revision).toBe(steps.length);
    }
  });

  it('leads to every state', () => {
    const reached = getShortestPaths(jobMachine, traversal).map((path) => path.state.value);
    expect([...reached].sort()).toEqual([...JOB_STATUSES].sort());
  });

  it('knows every event but the first', () => {
    const known = new Set(JOB_STATUSES.flatMap((status) => jobMachine.states[status]?.ownEvents ?? []));
    expect([...known, 'JobCreated'].sort()).toEqual(Object.keys(SAMPLES).sort());
  });
});

describe('every decision', () => {
  /** What a client, a worker, an operator and the reaper may ask, around every limit. */
  const asked = [
    ...Object.values(ask).filter(({ name }) => name !== 'create'),
    reap({ leaseExpiresAt: 0 }),
    reap({ leaseExpiresAt: 365 * 86_400_000 }),
    { ...ask.reschedule, availableAt: at(0) },
  ];
  const policies = [
    {},
    { maxAttempts: 1, maxThrottles: 0, maxLostLeases: 0 },
    { timeoutMs: 0, stallMs: 0 },
    { onStale: 'requeue' },
    { onStale: 'cancel' },
  ] as const;
  const instants = [10_000, 8 * 3_600_000, 9 * 86_400_000];

  // Nothing leads to finalizing in this version, so the reaper has no verdict on it yet.
  it.each(JOB_STATUSES.filter((status) => status !== 'finalizing'))(
    'in state %s is a path of the machine',
    (status) => {
      for (const history of [given(status), given(status).after(ask.emergencyStop)]) {
        for (const policy of policies) {
          for (const now of instants) {
            for (const command of asked) {
              const { events } = history.when(command, { now, policy });
              const end = events
                .filter((event): event is JobEvent => !isFact(event))
                .reduce<JobStatus>((from, event) => {
                  const snapshot = inState(from);
                  expect({ from, event: event.type, can: snapshot.can(toChart(event)) }).toMatchObject({ can: true });
                  return follow(from, event.type, reasonOf(event)) ?? from;
                }, history.job.status);
              expect(history.when(command, { now, policy }).situation.job.status).toBe(end);
            }
          }
        }
      }
    },
  );
});

describe('every state that is not terminal', () => {
  /** Listed as stuck after an alert threshold, never ended. */
  const LISTED: readonly JobStatus[] = ['created', 'blocked', 'queued'];

  it.each(JOB_STATUSES.filter((status) => !isTerminal(status)))(
    'has a rule that bounds it or is listed: %s',
    (status) => {
      expect(metaOf(status).bounds.length > 0).toBe(!LISTED.includes(status));
    },
  );

  it.each(JOB_STATUSES)('is reapable exactly when a rule bounds it: %s', (status) => {
    expect(hasTag(status, 'reapable')).toBe(metaOf(status).bounds.length > 0);
    if (isTerminal(status)) expect(metaOf(status).bounds).toEqual([]);
  });

  it.each(statusesTagged('reapable'))('that is reapable has a deadline by one of its rules: %s', (status) => {
    const { clocks } = reap({ leaseExpiresAt: 60_000 });
    const deadline = nextDeadline(given(status).job, clocks, PRESETS.protea);
    expect(metaOf(status).bounds).toContain(deadline?.rule);
  });

  it.each(JOB_STATUSES)('says what it means and who moves a job out of it: %s', (status) => {
    expect(metaOf(status).meaning).not.toBe('');
    expect(metaOf(status).movedBy).not.toBe('');
  });

  it('can be ended by cancel and by an operator', () => {
    for (const status of JOB_STATUSES.filter((candidate) => !isTerminal(candidate))) {
      expect(follow(status, 'JobCancelled')).toBe('cancelled');
      expect(follow(status, 'JobFailed')).toBe('failed');
    }
  });
});

describe('a terminal state', () => {
  it('is left by a retry alone', () => {
    const exits = JOB_STATUSES.filter(isTerminal).flatMap((status) =>
      EVENTS.filter((event) => {
        const to = follow(status, event.type, reasonOf(event));
        return to !== undefined && to !== status;
      }).map((event) => [status, event.type, reasonOf(event)]),
    );
    expect(exits).toEqual([
      ['failed', 'JobQueued', 'retried'],
      ['cancelled', 'JobQueued', 'retried'],
    ]);
  });
});
