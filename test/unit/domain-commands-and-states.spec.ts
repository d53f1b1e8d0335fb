/** The table "Commands and states" of the HTTP contract, cell by cell: every command in every one of the 12 states. */
import { describe, expect, it } from '@jest/globals';
import type { RefusalCode } from '../../src/domain/errors.js';
import { JOB_STATUSES, type JobStatus } from '../../src/domain/job-chart.js';
import type { JobCommand, Token } from '../../src/domain/job-commands.js';
import { ask, FORGED, given, reap, type Expected } from '../support/given.js';

/** A refusal, or the events and the state after them; no state: the same as before. */
type Cell = RefusalCode | { readonly events: readonly Expected[]; readonly to?: JobStatus };

const IN_EFFECT: Cell = { events: [] };
const because = (reason: string): Expected => ({ type: 'JobQueued', data: { reason } });
const cancelled = (forced: boolean): Cell => ({
  events: [{ type: 'JobCancelled', data: { forced, rule: null, evidence: null, outcome: null } }],
  to: 'cancelled',
});
const failedBy = (code: string): Cell => ({
  events: [{ type: 'JobFailed', data: { error: { code } } }],
  to: 'failed',
});
const newRun: Cell = {
  events: [{ type: 'JobRetried', data: { run: 2 } }, because('retried')],
  to: 'queued',
};
const paused: Expected = { type: 'JobWaiting', data: { reason: 'paused' } };

/** Columns may name several states: `'claimed running': …`. */
const row = (columns: Readonly<Record<string, Cell>>): ReadonlyMap<JobStatus, Cell> => {
  const cells = Object.entries(columns).flatMap(([names, cell]) =>
    names.split(' ').map((name) => [name, cell] as const),
  );
  const named = new Map(cells);
  if (cells.length !== JOB_STATUSES.length || !JOB_STATUSES.every((status) => named.has(status))) {
    throw new Error(
      `a row needs each of the ${JOB_STATUSES.length} states once: ${cells.map(([name]) => name).join()}`,
    );
  }
  return named as ReadonlyMap<string, Cell> as ReadonlyMap<JobStatus, Cell>;
};

const PENDING = 'blocked scheduled queued';
const TERMINAL = 'completed failed cancelled';
const EVERYWHERE_ELSE = (except: string): string =>
  JOB_STATUSES.filter((status) => !except.split(' ').includes(status)).join(' ');

type Row = readonly [title: string, command: JobCommand, cells: ReadonlyMap<JobStatus, Cell>];

const clientRows: readonly Row[] = [
  [
    'start without token',
    ask.start,
    row({
      created: { events: [because('started')], to: 'queued' },
      [PENDING]: IN_EFFECT,
      'claimed running': IN_EFFECT,
      'waiting finalizing cancelling': 'illegal_transition',
      [TERMINAL]: 'already_terminal',
    }),
  ],
  [
    'cancel',
    ask.cancel,
    row({
      [`created ${PENDING}`]: cancelled(false),
      'claimed running': { events: ['CancelRequested'], to: 'cancelling' },
      'waiting finalizing': cancelled(false),
      'cancelling cancelled': IN_EFFECT,
      'completed failed': 'already_terminal',
    }),
  ],
  [
    'cancel by force',
    ask.cancelByForce,
    row({
      [`created ${PENDING}`]: cancelled(false),
      'claimed running cancelling': cancelled(true),
      'waiting finalizing': cancelled(false),
      cancelled: IN_EFFECT,
      'completed failed': 'already_terminal',
    }),
  ],
  [
    'retry',
    ask.retry,
    row({ [EVERYWHERE_ELSE('failed cancelled')]: 'illegal_transition', 'failed cancelled': newRun }),
  ],
  [
    'hold',
    ask.hold,
    row({
      'created cancelling': 'illegal_transition',
      [PENDING]: { events: ['JobHeld', paused], to: 'waiting' },
      'claimed running': { events: ['JobHeld'] },
      'waiting finalizing': IN_EFFECT,
      [TERMINAL]: 'already_terminal',
    }),
  ],
  [
    'resume',
    ask.resume,
    row({
      [`created ${PENDING} claimed running finalizing`]: IN_EFFECT,
      waiting: { events: ['JobResumed', because('resumed')], to: 'queued' },
      cancelling: 'illegal_transition',
      [TERMINAL]: 'already_terminal',
    }),
  ],
  [
    'reschedule',
    ask.reschedule,
    row({
      'created blocked': { events: ['JobRescheduled'] },
      'scheduled queued': {
        events: ['JobRescheduled', { type: 'JobScheduled', data: { reason: 'rescheduled' } }],
        to: 'scheduled',
      },
      'claimed running waiting finalizing cancelling': 'illegal_transition',
      [TERMINAL]: 'already_terminal',
    }),
  ],
  [
    'priority',
    ask.priority,
    row({
      [`created ${PENDING} waiting finalizing`]: { events: [{ type: 'PriorityChanged', data: { priority: 7 } }] },
      'claimed running cancelling': 'illegal_transition',
      [TERMINAL]: 'already_terminal',
    }),
  ],
  [
    'force-fail',
    ask.forceFail,
    row({
      [`created ${PENDING}`]: 'illegal_transition',
      'claimed running waiting finalizing cancelling': failedBy('ManualTimeout'),
      [TERMINAL]: 'already_terminal',
    }),
  ],
  [
    'emergency-stop',
    ask.emergencyStop,
    row({ [EVERYWHERE_ELSE(TERMINAL)]: failedBy('EmergencyStop'), [TERMINAL]: IN_EFFECT }),
  ],
  [
    'requeue',
    ask.requeue,
    row({
      [`created ${PENDING} waiting finalizing cancelling`]: 'illegal_transition',
      'claimed running': { events: ['JobReleased', because('requeued')], to: 'queued' },
      // This one failed for good, so it is a dead letter.
      failed: newRun,
      'completed cancelled': 'already_terminal',
    }),
  ],
  [
    'claim',
    ask.claim,
    row({
      [EVERYWHERE_ELSE(`queued ${TERMINAL}`)]: 'illegal_transition',
      queued: { events: ['JobClaimed', 'JobStarted'], to: 'running' },
      [TERMINAL]: 'already_terminal',
    }),
  ],
];

/** What the worker said is kept: it did what it did. */
const stopped = (outcome: object): Cell => ({
  events: [{ type: 'JobCancelled', data: { forced: false, rule: null, outcome } }],
  to: 'cancelled',
});
const FAILED = stopped({ command: 'fail', error: { code: 'E1', message: 'first', detail: null } });
const move = (to: JobStatus, ...events: Expected[]): Cell => ({ events, to });

/** What each worker call does under its lease, in claimed and running, then in cancelling. */
const workerCalls: readonly (readonly [title: string, command: JobCommand, held: Cell, cancelling: Cell])[] = [
  ['heartbeat', ask.beat, IN_EFFECT, IN_EFFECT],
  ['heartbeat with a checkpoint', ask.save, { events: ['CheckpointSaved'] }, { events: ['CheckpointSaved'] }],
  ['progress', ask.report, { events: ['ProgressRecorded'] }, { events: ['ProgressRecorded'] }],
  ['complete', ask.complete, move('completed', 'JobCompleted'), stopped({ command: 'complete', result: { rows: 10 } })],
  ['fail', ask.fail, move('scheduled', 'AttemptFailed', { type: 'JobScheduled', data: { reason: 'retry' } }), FAILED],
  ['fail for good', ask.failForGood, move('failed', 'AttemptFailed', 'JobFailed', 'JobDeadLettered'), FAILED],
  [
    'throttle',
    ask.throttle,
    move('scheduled', 'JobThrottled', { type: 'JobScheduled', data: { reason: 'throttle' } }),
    stopped({ command: 'throttle', reason: null }),
  ],
  [
    'wait',
    ask.wait,
    move('waiting', { type: 'JobWaiting', data: { reason: 'approval' } }),
    stopped({ command: 'wait', reason: 'approval' }),
  ],
  [
    'release',
    ask.release,
    move('queued', 'JobReleased', because('released')),
    stopped({ command: 'release', reason: 'shutdown' }),
  ],
];

/** In the histories of `given` these are what ended the run. */
const ENDED_BY: Partial<Record<JobStatus, string>> = { completed: 'complete', failed: 'fail', cancelled: 'release' };

const workerRows: readonly Row[] = [
  [
    'start with token',
    ask.startAsWorker,
    row({
      [EVERYWHERE_ELSE('claimed running')]: 'stale_lease',
      claimed: { events: ['JobStarted'], to: 'running' },
      running: IN_EFFECT,
    }),
  ],
  ...workerCalls.map(([title, command, held, cancelling]): Row => {
    const afterwards = (status: JobStatus): Cell => (ENDED_BY[status] === command.name ? IN_EFFECT : 'stale_lease');
    return [
      title,
      command,
      row({
        [`created ${PENDING} waiting`]: 'stale_lease',
        'claimed running': held,
        finalizing: command.name === 'complete' ? IN_EFFECT : 'stale_lease',
        cancelling,
        completed: afterwards('completed'),
        failed: afterwards('failed'),
        cancelled: afterwards('cancelled'),
      }),
    ];
  }),
];

const check = (status: JobStatus, command: JobCommand, cell: Cell | undefined): void => {
  if (cell === undefined) throw new Error('no such cell');
  if (typeof cell === 'string') given(status).when(command).then(cell, status);
  else
    given(status)
      .when(command)
      .then(cell.events, cell.to ?? status);
};

const describeCell = (cell: Cell | undefined): string =>
  typeof cell === 'string'
    ? cell
    : `[${(cell?.events ?? []).map((event) => (typeof event === 'string' ? event : event.type)).join(', ')}]`;

describe.each(JOB_STATUSES)('a %s job', (status) => {
  it('is what its history leads to', () => {
    expect(given(status).job.status).toBe(status);
  });

  it.each(
    clientRows.map(([title, command, cells]) => [title, describeCell(cells.get(status)), command, cells] as const),
  )('answers %s with %s', (_title, _cell, command, cells) => check(status, command, cells.get(status)));

  it.each(
    workerRows.map(([title, command, cells]) => [title, describeCell(cells.get(status)), command, cells] as const),
  )('answers %s under the last token with %s', (_title, _cell, command, cells) =>
    check(status, command, cells.get(status)),
  );

  const others: readonly (readonly [string, Token])[] = [
    ['an earlier attempt', { run: 1, attempt: 0 }],
    ['a later attempt', { run: 1, attempt: 2 }],
    ['another run', { run: 2, attempt: 1 }],
    ['nothing: it is forged', FORGED],
  ];
  it.each(others)('refuses every worker call with a token of %s', (_title, token) => {
    // Nobody ever held attempt 0; a job that was never claimed is at attempt 0 all the same.
    for (const [, command] of workerRows)
      given(status)
        .when({ ...command, token } as JobCommand)
        .then('stale_lease');
  });
});

describe('a command given twice', () => {
  const twice: readonly (readonly [title: string, status: JobStatus, command: JobCommand])[] = [
    ['start of a draft', 'created', ask.start],
    ['start with the token', 'claimed', ask.startAsWorker],
    ['cancel of a queued job', 'queued', ask.cancel],
    ['cancel of a running job', 'running', ask.cancel],
    ['cancel by force', 'running', ask.cancelByForce],
    ['hold of a queued job', 'queued', ask.hold],
    ['hold of a running job', 'running', ask.hold],
    ['resume of a waiting job', 'waiting', ask.resume],
    ['priority', 'queued', ask.priority],
    ['emergency-stop', 'running', ask.emergencyStop],
    ['a checkpoint of the same bytes', 'running', ask.save],
    ['complete', 'running', ask.complete],
    ['a failure for good', 'running', ask.failForGood],
    ['the call that stopped a cancelling job', 'cancelling', ask.throttle],
  ];
  it.each(twice)('is in effect already: %s', (_title, status, command) => {
    const once = given(status).when(command);
    expect(once.events).not.toEqual([]);
    once.situation.when(command).then([], once.situation.job.status);
  });

  it('is no lease any more once the attempt went back to the queue', () => {
    for (const command of [ask.release, ask.fail, ask.throttle, ask.wait]) {
      given('running').when(command).situation.when(command).then('stale_lease');
    }
  });

  it('is refused where the first one moved the job beyond it', () => {
    given('failed').when(ask.retry).situation.when(ask.retry).then('illegal_transition');
    given('running').when(ask.forceFail).situation.when(ask.forceFail).then('already_terminal');
    given('running').when(ask.requeue).situation.when(ask.requeue).then('illegal_transition');
  });
});

describe('a finished job, told by the worker of its last attempt', () => {
  const exhausted = { maxAttempts: 1, maxThrottles: 0 };
  const endings: readonly (readonly [title: string, from: JobStatus, ending: JobCommand])[] = [
    ['completed by complete', 'running', ask.complete],
    ['failed by fail', 'running', ask.fail],
    ['failed by fail for good', 'running', ask.failForGood],
    ['failed by throttle', 'running', ask.throttle],
    ['cancelled by complete', 'cancelling', ask.complete],
    ['cancelled by fail', 'cancelling', ask.fail],
    ['cancelled by throttle', 'cancelling', ask.throttle],
    ['cancelled by wait', 'cancelling', ask.wait],
    ['cancelled by release', 'cancelling', ask.release],
    ['cancelled by a client', 'running', ask.cancelByForce],
    ['failed by an operator', 'running', ask.forceFail],
    ['stopped by an operator', 'running', ask.emergencyStop],
    ['cancelled by the reaper', 'cancelling', reap({ leaseExpiresAt: -1 })],
  ];
  it.each(endings)('%s: the same call is in effect already, every other one stale', (_title, from, ending) => {
    const finished = given(from, exhausted).when(ending, { now: 3_000 }).situation;
    expect(finished.job.finishedAt).not.toBeNull();
    for (const [, command] of workerRows) {
      finished.when(command).then(command.name === ending.name ? [] : 'stale_lease', finished.job.status);
    }
  });

  it('takes the repeat only of that attempt: an earlier one that said the same is stale', () => {
    const second = given([ask.create, ask.claim, ask.release, ask.claim])
      .when({ ...ask.complete, token: { run: 1, attempt: 2 } })
      .then(['JobCompleted']);
    second.when(ask.complete).then('stale_lease');
    second.when({ ...ask.complete, token: { run: 1, attempt: 2 } }).then([]);
  });

  it('forgets who ended it once it is retried', () => {
    given('failed').when(ask.retry).then(['JobRetried', 'JobQueued']).when(ask.failForGood).then('stale_lease');
  });
});

describe('a hold', () => {
  const held = [ask.create, ask.claim, ask.hold];

  it('makes the next release of a claimed or running job a pause', () => {
    given(held).when(ask.release).then(['JobReleased', paused], 'waiting').withJob({ held: false, lease: null });
    given([ask.create, ask.claimWithoutStart, ask.hold]).when(ask.release).then(['JobReleased', paused], 'waiting');
  });

  it('says why, whoever has the job: at once, or when its worker gives it back', () => {
    const hold = { ...ask.hold, reason: 'audit' };
    const audit: Expected = { type: 'JobWaiting', data: { reason: 'paused', detail: 'audit' } };
    given('queued').when(hold).then(['JobHeld', audit]);
    given([ask.create, ask.claim, hold]).when(ask.release).then(['JobReleased', audit]);
  });

  it('that says nothing has nothing of the one before', () => {
    const none: Expected = { type: 'JobWaiting', data: { reason: 'paused', detail: null } };
    const audited = [ask.create, ask.claim, { ...ask.hold, reason: 'audit' }, ask.resume];
    given([...audited, ask.hold])
      .when(ask.release)
      .then(['JobReleased', none]);
  });

  it('leaves a wait its own reason', () => {
    given(held)
      .when(ask.wait)
      .then([{ type: 'JobWaiting', data: { reason: 'approval' } }], 'waiting');
  });

  it('is taken back by resume while it pends', () => {
    given(held)
      .when(ask.resume)
      .then(['JobResumed'], 'running')
      .when(ask.release)
      .then(['JobReleased', because('released')], 'queued');
  });

  it('keeps a job whose attempt fails, is throttled, lost, stalled or requeued from being handed out, until it is resumed', () => {
    const audited = [ask.create, ask.claim, { ...ask.hold, reason: 'audit' }];
    const audit: Expected = { type: 'JobWaiting', data: { reason: 'paused', detail: 'audit' } };
    const stale = { now: 20_000, policy: { timeoutMs: 0, stallMs: 2_000, onStale: 'requeue' } } as const;
    for (const [end, events, when] of [
      [ask.fail, ['AttemptFailed', 'JobScheduled', audit], {}],
      [ask.throttle, ['JobThrottled', 'JobScheduled', audit], {}],
      [ask.requeue, ['JobReleased', audit], {}],
      [reap({ leaseExpiresAt: 0 }), ['LeaseExpired', audit], {}],
      [reap({ leaseExpiresAt: 30_000, lastBeatAt: 20_000 }), ['LeaseExpired', audit], stale],
    ] as const) {
      const waits = given(audited).when(end, when).then(events, 'waiting').withJob({ held: false, lease: null });
      waits.when(ask.claim, { now: 7_200_000 }).then('illegal_transition');
      waits.when(ask.resume, { now: 7_200_000 }).then(['JobResumed', because('resumed')], 'queued');
    }
  });

  it('resumed before the time of its retry has come leaves the job scheduled for it', () => {
    for (const end of [ask.fail, ask.throttle]) {
      const waits = given([...held, end]).withJob({ status: 'waiting' });
      const { availableAt } = waits.job;
      const data = { availableAt, reason: 'delay' };
      waits.when(ask.resume, { now: 3_500 }).then(['JobResumed', { type: 'JobScheduled', data }], 'scheduled');
    }
  });

  it('does not outlive its run', () => {
    given([...held, ask.failForGood, ask.retry]).withJob({ status: 'queued', held: false });
  });

  it('keeps nothing from ending the job', () => {
    given(held).when(ask.complete).then(['JobCompleted'], 'completed').withJob({ held: false });
    given(held).when(ask.cancel).then(['CancelRequested'], 'cancelling').withJob({ held: false });
  });

  it('of a job that is not yet due leads back to scheduled when it is resumed early, to queued when late', () => {
    const paused = given('scheduled').when(ask.hold).then(['JobHeld', 'JobWaiting'], 'waiting');
    paused.when(ask.resume).then(['JobResumed', 'JobScheduled'], 'scheduled');
    paused.when(ask.resume, { now: 3_600_000 }).then(['JobResumed', because('resumed')], 'queued');
  });
});

describe('a cancelling job', () => {
  it('is never handed out, held, resumed, requeued or raised again', () => {
    for (const command of [ask.claim, ask.hold, ask.resume, ask.requeue, ask.retry, ask.start, ask.reschedule]) {
      given('cancelling').when(command).then('illegal_transition', 'cancelling');
    }
  });

  it('keeps the reason of the cancel when the worker stops', () => {
    given([ask.create, ask.claim, { ...ask.cancel, reason: 'obsolete' }])
      .when(ask.complete)
      .then([{ type: 'JobCancelled', data: { reason: 'obsolete', forced: false } }], 'cancelled');
  });
});

describe('an operator', () => {
  it('gives a dead letter a new run, and no other finished job', () => {
    given('failed')
      .withJob({ deadLettered: true })
      .when(ask.requeue)
      .then(['JobRetried', because('retried')], 'queued');
    given([ask.create, ask.claim, ask.forceFail])
      .withJob({ deadLettered: false })
      .when(ask.requeue)
      .then('already_terminal');
  });

  it('requeues an active job in the same run at no cost', () => {
    given('running')
      .when({ ...ask.requeue, reason: 'node drained' })
      .then([{ type: 'JobReleased', data: { reason: 'node drained' } }, because('requeued')], 'queued')
      .withJob({ run: 1, attempt: 1, failedAttempts: 0, lostLeases: 0, failures: [] });
  });

  it('fails by force what has not yet stopped after cancel', () => {
    given('cancelling').when(ask.forceFail).then(['JobFailed'], 'failed').when(ask.complete).then('stale_lease');
  });
});

describe('a job that does not exist', () => {
  it('is created queued, scheduled or as a draft', () => {
    given([])
      .when(ask.create)
      .then(['JobCreated', because('created')], 'queued');
    given([])
      .when(ask.delayed)
      .then(['JobCreated', { type: 'JobScheduled', data: { reason: 'delay' } }], 'scheduled');
    given([]).when(ask.draft).then(['JobCreated'], 'created');
  });

  it('takes no other command', () => {
    for (const command of Object.values(ask).filter(({ name }) => name !== 'create')) {
      expect(() => given([]).when(command)).toThrow('does not exist');
    }
  });
});
