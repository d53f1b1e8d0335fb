/** `statusSince`, `queuedAt`, `startedAt`, `firstStartedAt`, `finishedAt`, `availableAt`, and what a job waits on. */
import { describe, expect, it } from '@jest/globals';
import { JOB_STATUSES, isTerminal } from '../../src/domain/job-chart.js';
import { ask, at, given, spec } from '../support/given.js';

describe('statusSince', () => {
  it('is the instant of the last change of status', () => {
    given('running').withJob({ statusSince: at(1_000) });
    given('cancelling').withJob({ statusSince: at(2_000) });
  });

  it('stays where an event does not change the status', () => {
    given('running')
      .after(ask.save)
      .after(ask.hold)
      .after(ask.resume)
      .withJob({ statusSince: at(1_000) });
    given('queued')
      .after(ask.priority)
      .withJob({ statusSince: at(0), priority: 7 });
    given('scheduled')
      .after(ask.reschedule)
      .withJob({ statusSince: at(0), status: 'scheduled' });
  });
});

describe('queuedAt', () => {
  it('is null until the job is queued, then its last entry', () => {
    given('created').withJob({ queuedAt: null });
    given('scheduled').withJob({ queuedAt: null });
    given('queued').withJob({ queuedAt: at(0) });
    given('running').withJob({ queuedAt: at(0) });
    given('running')
      .after(ask.release)
      .withJob({ queuedAt: at(2_000) });
    given('failed')
      .after(ask.retry)
      .withJob({ queuedAt: at(3_000) });
  });

  it('is the claim’s own instant when a due job is taken from scheduled', () => {
    given('scheduled')
      .when(ask.claim, { now: 3_600_000 })
      .then([{ type: 'JobQueued', data: { reason: 'due' } }, 'JobClaimed', 'JobStarted'], 'running')
      .withJob({ queuedAt: at(3_600_000) });
  });
});

describe('startedAt and firstStartedAt', () => {
  it('are set by the start, not by the claim', () => {
    given('claimed').withJob({ startedAt: null, firstStartedAt: null });
    given('claimed')
      .after(ask.startAsWorker)
      .withJob({ startedAt: at(2_000), firstStartedAt: at(2_000) });
  });

  it('part once the job is requeued: the first stays, the current one is null until the next start', () => {
    for (const ending of [ask.release, ask.requeue, ask.fail, ask.throttle]) {
      given('running')
        .after(ending)
        .withJob({ startedAt: null, firstStartedAt: at(1_000) });
    }
    given([ask.create, ask.claim, ask.release, ask.claim]).withJob({
      startedAt: at(3_000),
      firstStartedAt: at(1_000),
    });
    given('failed')
      .after(ask.retry)
      .withJob({ startedAt: null, firstStartedAt: at(1_000) });
  });

  it('stay when the run ends', () => {
    given('completed').withJob({ startedAt: at(1_000), firstStartedAt: at(1_000) });
    given('running')
      .after(ask.forceFail)
      .withJob({ startedAt: at(1_000) });
  });
});

describe('finishedAt', () => {
  it.each(JOB_STATUSES)('of a %s job is set when that is terminal, and then alone', (status) => {
    expect(given(status).job.finishedAt !== null).toBe(isTerminal(status));
  });

  it('is null again in a new run', () => {
    given('cancelled').after(ask.retry).withJob({ finishedAt: null });
  });
});

describe('availableAt', () => {
  it('stays when its time has come, until a retry, throttle or reschedule sets it anew', () => {
    const due = given('scheduled').when(ask.claim, { now: 3_600_000 }).situation;
    due.withJob({ availableAt: at(3_600_000) });
    due.after(ask.release).withJob({ availableAt: at(3_600_000) });
    due.after(ask.throttle).withJob({ availableAt: at(3_661_000) });
    due.after({ ...ask.fail }).withJob({ availableAt: at(3_602_000) });
    given('queued')
      .after(ask.reschedule)
      .withJob({ availableAt: at(7_200_000), status: 'scheduled' });
  });

  it('of a draft decides where its start leads', () => {
    const draft = given([{ ...ask.draft, spec: spec({ autostart: false, availableAt: at(60_000) }) }]);
    draft
      .when(ask.start)
      .then([{ type: 'JobScheduled', data: { availableAt: at(60_000), reason: 'delay' } }], 'scheduled');
    draft.when(ask.start, { now: 60_000 }).then([{ type: 'JobQueued', data: { reason: 'started' } }], 'queued');
  });

  it('is null where nobody said one', () => {
    given('running').withJob({ availableAt: null });
  });

  it('that has passed queues a rescheduled job at once', () => {
    given('scheduled')
      .when({ ...ask.reschedule, availableAt: at(0) })
      .then(['JobRescheduled', { type: 'JobQueued', data: { reason: 'due' } }], 'queued');
  });

  it('keeps a claim away until it has come', () => {
    given('scheduled').when(ask.claim, { now: 3_599_999 }).then('illegal_transition');
    given('scheduled').when(ask.claim, { now: 3_600_000 }).then(['JobQueued', 'JobClaimed', 'JobStarted']);
  });
});

describe('waiting', () => {
  it('says why a job is scheduled, and until when', () => {
    given('scheduled').withJob({ waiting: { reason: 'delay', detail: null, since: at(0), until: at(3_600_000) } });
    given('running')
      .after(ask.throttle)
      .withJob({
        waiting: { reason: 'throttled', detail: null, since: at(2_000), until: at(62_000) },
      });
    given('running')
      .after(ask.fail)
      .withJob({
        waiting: { reason: 'retry', detail: null, since: at(2_000), until: at(3_000) },
      });
    given('queued')
      .after(ask.reschedule)
      .withJob({
        waiting: { reason: 'delay', detail: null, since: at(1_000), until: at(7_200_000) },
      });
  });

  it('says whom a waiting or blocked job waits for', () => {
    const wait = { ...ask.wait, detail: { form: 3 }, until: at(9_000) };
    given([ask.create, ask.claim, wait]).withJob({
      waiting: { reason: 'approval', detail: { form: 3 }, since: at(2_000), until: at(9_000) },
    });
    given('blocked').withJob({ waiting: { reason: 'children', detail: ['parent'], since: at(1_000), until: null } });
    given('queued')
      .after(ask.hold)
      .withJob({
        waiting: { reason: 'paused', detail: null, since: at(1_000), until: null },
      });
  });

  it.each(JOB_STATUSES)('of a %s job is set in waiting, scheduled and blocked alone', (status) => {
    expect(given(status).job.waiting !== null).toBe(['waiting', 'scheduled', 'blocked'].includes(status));
  });
});

describe('lease', () => {
  it('is held from the claim, by whom and for how long', () => {
    given('claimed').withJob({ lease: { workerId: 'w-1', leaseMs: 120_000, claimedAt: at(1_000) } });
    given('queued')
      .when({ ...ask.claim, leaseMs: 5_000 })
      .then([{ type: 'JobClaimed', data: { leaseMs: 5_000, leaseExpiresAt: at(6_000) } }, 'JobStarted'])
      .withJob({ lease: { workerId: 'w-1', leaseMs: 5_000, claimedAt: at(1_000) } });
  });

  it.each(JOB_STATUSES)('of a %s job is held in the active states alone', (status) => {
    expect(given(status).job.lease !== null).toBe(['claimed', 'running', 'cancelling'].includes(status));
  });

  it('takes the worker’s state with it, and a pending hold, which the end of an attempt honours and that of a run ends', () => {
    const said = given([ask.create, ask.claim, { ...ask.beat, state: 'loading' }, ask.hold]);
    said.withJob({ workerState: { state: 'loading', since: at(2_000) }, held: true });
    const pausing = [ask.release, ask.wait, ask.fail, ask.throttle, ask.requeue];
    for (const ending of [...pausing, ask.complete, ask.forceFail]) {
      said.after(ending).withJob({ lease: null, workerState: null, held: false });
    }
  });
});

describe('a heartbeat', () => {
  it('is an event only where it brings news', () => {
    const saved = given('running').when(ask.save).then(['CheckpointSaved']);
    saved.when(ask.save).then([]);
    saved
      .when({ ...ask.beat, state: 'loading' })
      .then(['WorkerStateReported'])
      .when({ ...ask.beat, state: 'loading' })
      .then([]);
    saved.when({ ...ask.beat, state: 'loading', checkpoint: { value: 1, digest: 'other' } }).then([
      { type: 'CheckpointSaved', data: { checkpoint: 1 } },
      { type: 'WorkerStateReported', data: { state: 'loading' } },
    ]);
  });

  it('of the next attempt that saves the checkpoint it was handed brings none', () => {
    const handed = given([ask.create, ask.claim, ask.save, ask.release, ask.claim]);
    handed.when({ ...ask.save, token: { run: 1, attempt: 2 } }).then([]);
  });

  it('of a new run begins without a checkpoint', () => {
    given([ask.create, ask.claim, ask.save, ask.failForGood, ask.retry]).withJob({ checkpointDigest: null });
  });
});
