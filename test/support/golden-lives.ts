/**
 * A life of a job for each type of event, as commands that lead to it: what its golden file is made from. The policy is
 * written out, so that a changed default changes no byte here.
 */
import type { JobCommand } from '../../src/domain/job-commands.js';
import type { JobEvent, JobSpec } from '../../src/domain/job-events.js';
import type { Policy } from '../../src/domain/policy.js';
import type { EventType } from '../../src/domain/upcast.js';

export const GOLDEN_START = Date.parse('2026-01-01T00:00:00.000Z');
/** Between the steps of a life. */
export const GOLDEN_STEP_MS = 1_000;

export const GOLDEN_POLICY: Policy = {
  leaseMs: 120_000,
  timeoutMs: 21_600_000,
  stallMs: 1_800_000,
  onStale: 'fail',
  maxLostLeases: 3,
  maxAttempts: 3,
  retry: { initialMs: 1_000, factor: 2, maxMs: 600_000, jitter: 0.2 },
  maxThrottles: 100,
  completion: { minSuccessRatio: 0, comparator: '>' },
  itemTimeoutMs: 900_000,
  finalizeLimitMs: 900_000,
  waitLimitMs: 604_800_000,
  cancelLimitMs: 300_000,
  createdAlertMs: 86_400_000,
  queuedAlertMs: 300_000,
  claimedAlertMs: 600_000,
  runningAlertMs: 1_800_000,
  onChildFailure: 'continue',
};

const spec: JobSpec = {
  type: 'report',
  queue: 'letters é 漢',
  payload: { page: 1, 'ключ "q"': [1.5, -0, 1e21, null, true, '\u001f\u2028'] },
  priority: 5,
  tags: ['a', 'b'],
  autostart: true,
  availableAt: null,
  maxAttempts: 4,
  total: 10,
  policy: { leaseMs: 90_000, retry: { initialMs: 2_000 } },
  preset: null,
  correlationId: 'correlation-1',
  createdBy: 'anonymous',
};

const HOUR_LATER = '2026-01-01T01:00:00.000Z';
const token = { run: 1, attempt: 1 };
const reason = 'because';
const detail = { ticket: 7 };

/** A command, or an event that no command of this version leads to. */
export type Step = JobCommand | JobEvent;

const create: Step = { name: 'create', spec, reason };
const draft: Step = { name: 'create', spec: { ...spec, autostart: false }, reason };
const claim: Step = { name: 'claim', workerId: 'w-1', leaseMs: null, start: true };
const running: readonly Step[] = [create, claim];
const fail: Step = { name: 'fail', token, code: 'E1', message: 'first', detail, retryable: true };
const failed: readonly Step[] = [...running, { ...fail, retryable: false }];

/** The reaper looks a step after the lease has run out; ms since the start. */
const reap = (leaseExpiresAt: number, lastActivityAt: number): Step => ({
  name: 'reap',
  clocks: {
    leaseExpiresAt: GOLDEN_START + leaseExpiresAt,
    lastBeatAt: GOLDEN_START + 1_500,
    lastActivityAt: GOLDEN_START + lastActivityAt,
  },
  lastActivityPosition: '4',
});

const progress: Step = {
  ...{ name: 'progress', token, batchId: 'b-1', processed: 3, failed: 1, skipped: 1 },
  ...{ stage: 'read', current: 4, total: 20, message: 'reading' },
};

export const LIVES: Readonly<Record<EventType, readonly Step[]>> = {
  JobCreated: [create],
  JobScheduled: [{ name: 'create', spec: { ...spec, availableAt: HOUR_LATER }, reason }],
  JobBlocked: [draft, { type: 'JobBlocked', data: { on: ['parent-1', 'parent-2'] } }],
  JobQueued: [draft, { name: 'start', token: undefined, reason }],
  JobClaimed: [create, { ...claim, start: false }],
  JobStarted: [create, { ...claim, start: false }, { name: 'start', token, reason }],
  CheckpointSaved: [
    ...running,
    { name: 'heartbeat', token, checkpoint: { value: { row: 10 }, digest: 'digest-10' }, state: null },
  ],
  WorkerStateReported: [...running, { name: 'heartbeat', token, checkpoint: null, state: 'waiting_auth' }],
  JobReleased: [...running, { name: 'release', token, reason: 'shutdown' }],
  LeaseExpired: [...running, reap(92_000, 1_000)],
  JobThrottled: [...running, { name: 'throttle', token, reason, retryAfterMs: 60_000 }],
  JobWaiting: [...running, { name: 'wait', token, reason: 'approval', detail, until: HOUR_LATER }],
  JobResumed: [create, { name: 'hold', reason }, { name: 'resume', reason }],
  JobHeld: [...running, { name: 'hold', reason }],
  JobRescheduled: [create, { name: 'reschedule', availableAt: HOUR_LATER, reason }],
  PriorityChanged: [create, { name: 'priority', priority: -7, reason }],
  AttemptFailed: [...running, fail],
  JobFinalizing: [...running, { type: 'JobFinalizing', data: { missing: 2 } }],
  JobCompleted: [...running, progress, { name: 'complete', token, result: { rows: 10 } }],
  JobFailed: [...running, { name: 'force-fail', reason }],
  JobTimedOut: [
    { ...create, spec: { ...spec, policy: { timeoutMs: 500, stallMs: 500 } } },
    claim,
    reap(9_000_000, 1_000),
  ],
  CancelRequested: [...running, { name: 'cancel', force: false, reason }],
  JobCancelled: [...running, { name: 'cancel', force: false, reason }, { name: 'release', token, reason: 'stopped' }],
  JobDeadLettered: failed,
  JobRetried: [...failed, { name: 'retry', payload: { page: 2 }, reason }],
  ProgressRecorded: [...running, progress, { ...progress, batchId: 'b-2', stage: null, current: null, total: null }],
  CommandRefused: [...running, { ...fail, token: { run: 1, attempt: 9 } }],
};
