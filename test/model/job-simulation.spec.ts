/**
 * What holds for every job, whatever is asked of it, by whom and when. fast-check prints seed and path of a failure:
 * `fc.assert(…, { seed, path })` runs it again.
 */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hasTag, isTerminal } from '../../src/domain/job-chart.js';
import type { RecordedJobEvent } from '../../src/domain/job-events.js';
import { evolve, type Job } from '../../src/domain/job.js';
import type { Policy } from '../../src/domain/policy.js';
import { foldFact, foldTransition, NO_PROGRESS } from '../../src/domain/progress.js';
import { stamp } from '../../src/domain/stamp.js';
import { nextDeadline } from '../../src/domain/stall-rules.js';
import { ask, JOB_ID } from '../support/given.js';
import {
  acts,
  beginnings,
  isTransition,
  perform,
  policies,
  type Act,
  type Simulation,
  type Step,
} from '../support/job-simulation.js';

/** Sequences for each property; MODEL_RUNS=5000 looks further. */
const RUNS = Number(process.env.MODEL_RUNS ?? 250);

/** Performs the acts under one policy, and shows each step. */
const play = (start: Simulation, sequence: readonly Act[], policy: Policy, see: (step: Step) => void): Simulation =>
  sequence.reduce<Simulation>((simulation, act) => {
    const step = perform(simulation, act, policy);
    see(step);
    return step.after;
  }, start);

/** The property holds at each step of every sequence. */
const always = (see: (step: Step, policy: Policy) => void, parameters: { readonly seed?: number } = {}): void =>
  fc.assert(
    fc.property(beginnings, acts, policies, (start, sequence, policy) => {
      play(start, sequence, policy, (step) => see(step, policy));
    }),
    { numRuns: RUNS, ...parameters },
  );

/** The property holds of every history. */
const atTheEnd = (see: (end: Simulation, policy: Policy) => void): void =>
  fc.assert(
    fc.property(beginnings, acts, policies, (start, sequence, policy) =>
      see(
        play(start, sequence, policy, () => undefined),
        policy,
      ),
    ),
    { numRuns: RUNS },
  );

const transitions = (simulation: Simulation): readonly RecordedJobEvent[] => simulation.log.filter(isTransition);

const TERMINAL = ['JobCompleted', 'JobFailed', 'JobTimedOut', 'JobCancelled'];

/** The transitions of each run; the events that raise a finished job belong to the new one. */
const byRun = (log: readonly RecordedJobEvent[]): readonly (readonly RecordedJobEvent[])[] =>
  log.reduce<readonly (readonly RecordedJobEvent[])[]>((runs, event) => {
    const last = runs.at(-1);
    return event.type === 'JobRetried' || last === undefined
      ? [...runs, [event]]
      : [...runs.slice(0, -1), [...last, event]];
  }, []);

const stages = (simulation: Simulation): Record<string, number> => ({
  '': simulation.progress.progress.processed,
  ...Object.fromEntries(
    Object.entries(simulation.progress.progress.stages).map(([name, line]) => [name, line.processed]),
  ),
});

describe('any sequence of commands', () => {
  it('folds the same before the time is known as after: a mark is stamped with it', () => {
    const MARK = 'a mark';
    always(({ after }) => {
      const history = transitions(after);
      const last = history.at(-1)?.at;
      if (last === undefined) return;
      // Some of one append: all that were recorded at the last time.
      const fold = (events: readonly RecordedJobEvent[]) =>
        events.reduce<Job | null>((job, event) => evolve(JOB_ID, job, event), null)!;
      const marked = history.map((event) => (event.at === last ? { ...event, at: MARK } : event));
      expect(stamp(fold(marked), MARK, last)).toEqual(fold(history));
    });
  });

  it('reaches every state that commands lead to, so the properties below mean something', () => {
    const reached = new Set<string>();
    const refusals = new Set<string>();
    // One seed: this asks the sequences what they cover, not the domain.
    always(
      ({ after, refusal }) => {
        reached.add(after.job.status);
        if (refusal !== null) refusals.add(refusal);
      },
      { seed: 1 },
    );
    expect([...reached].sort()).toEqual(
      'cancelled cancelling claimed completed created failed queued running scheduled waiting'.split(' '),
    );
    expect([...refusals].sort()).toEqual(['already_terminal', 'illegal_transition', 'stale_lease']);
  });

  it('never decides an event that the chart refuses, nor changes a state in place', () => {
    // `perform` folds each event with the fold that throws, over states that are frozen.
    always(({ before, after, entries, refusal }) => {
      if (refusal !== null || entries.length === 0) expect(after.job).toBe(before.job);
    });
  });

  it('is replayed to the state that deciding it gave, through JSON too', () => {
    atTheEnd((end) => {
      const replayed = transitions(end).reduce<Job | null>(
        (job, event) => JSON.parse(JSON.stringify(evolve(JOB_ID, job, event))) as Job,
        null,
      );
      expect(replayed).toEqual(end.job);
      let job: Job | null = null;
      let fold = NO_PROGRESS;
      for (const entry of end.log) {
        if (isTransition(entry)) fold = foldTransition(fold, entry, (job = evolve(JOB_ID, job, entry)));
        else fold = foldFact(fold, entry);
      }
      expect(fold.progress).toEqual(end.progress.progress);
    });
  });

  it('has the number of its transitions, less one, as revision', () => {
    atTheEnd((end) => expect(end.job.revision).toBe(transitions(end).length - 1));
  });

  it('ends each run with exactly one terminal event, after which only dead letter and retry follow', () => {
    atTheEnd((end) => {
      const runs = byRun(transitions(end));
      expect(runs).toHaveLength(end.job.run);
      runs.forEach((events, index) => {
        const types = events.map(({ type }) => type);
        const ended = index < runs.length - 1 || isTerminal(end.job.status);
        expect(types.filter((type) => TERMINAL.includes(type))).toHaveLength(ended ? 1 : 0);
        const after = types.slice(types.findIndex((type) => TERMINAL.includes(type)) + 1);
        if (ended) expect([[], ['JobDeadLettered']]).toContainEqual(after);
      });
    });
  });

  it('never hands out, completes or requeues a run that was cancelled or is to be', () => {
    atTheEnd((end) => {
      for (const run of byRun(transitions(end))) {
        const types = run.map(({ type }) => type);
        const cancelled = types.findIndex((type) => type === 'CancelRequested' || type === 'JobCancelled');
        if (cancelled === -1) continue;
        for (const type of ['JobClaimed', 'JobStarted', 'JobQueued', 'JobScheduled', 'JobCompleted', 'JobTimedOut']) {
          expect(types.slice(cancelled)).not.toContain(type);
        }
      }
    });
  });
});

describe('any one command', () => {
  it('given twice at the same instant changes nothing the second time', () => {
    // A reschedule is asked anew; a fact is written again, and counts once.
    always(({ after, command, entries, refusal }, policy) => {
      if (refusal !== null || command.name === 'reschedule') return;
      const again = perform(after, { command, token: 'as it is', afterMs: 0 }, policy);
      if (command.name === 'progress') expect(again.after.progress.progress).toEqual(after.progress.progress);
      else expect({ first: entries.map(({ type }) => type), second: again.entries }).toMatchObject({ second: [] });
    });
  });

  it('changes nothing but by the holder of the current attempt where it carries a token', () => {
    always(({ before, command, entries, refusal }) => {
      if (!('token' in command) || command.token === undefined) return;
      const { token } = command;
      const holds = before.job.lease !== null && token?.run === before.job.run && token.attempt === before.job.attempt;
      if (!holds && refusal === null) expect(entries).toEqual([]);
      if (!holds && refusal !== null) expect(refusal).toBe('stale_lease');
      if (holds) expect([null, 'stale_lease']).toContain(refusal);
      if (holds && refusal === 'stale_lease')
        expect([command.name, before.job.status]).toEqual(['start', 'cancelling']);
    });
  });

  it('raises the attempt by one with each claim, and lowers it in a new run alone', () => {
    always(({ before, after, entries }) => {
      const claims = entries.filter(({ type }) => type === 'JobClaimed').length;
      const retries = entries.filter(({ type }) => type === 'JobRetried').length;
      expect(after.job.run).toBe(before.job.run + retries);
      expect(after.job.attempt).toBe(retries === 1 ? 0 : before.job.attempt + claims);
    });
  });

  it('adds to the failures one for each attempt that failed, was lost or timed out, and overwrites none', () => {
    always(({ before, after, entries }) => {
      const known = before.job.failures;
      expect(after.job.failures.slice(0, known.length)).toEqual(known);
      const types = entries.map(({ type }) => type);
      const ofAttempt = types.filter((type) => ['AttemptFailed', 'LeaseExpired', 'JobTimedOut'].includes(type)).length;
      const byHand = types[0] === 'JobFailed' && before.job.lease !== null ? 1 : 0;
      expect(after.job.failures).toHaveLength(known.length + ofAttempt + byHand);
      // An attempt ends once; a job that is held afterwards may expire besides.
      const ends = after.job.failures.filter(({ code }) => code !== 'WaitExpired');
      expect(new Set(ends.map(({ run, attempt }) => `${run}/${attempt}`)).size).toBe(ends.length);
    });
  });

  it('never takes progress back within an attempt', () => {
    always(({ before, after, entries }) => {
      if (entries.some(({ type }) => type === 'JobClaimed' || type === 'JobRetried')) return;
      const now = stages(after);
      for (const [name, processed] of Object.entries(stages(before))) {
        expect(now[name]).toBeGreaterThanOrEqual(processed);
      }
      expect(after.progress.progress.total).toBeGreaterThanOrEqual(before.progress.progress.total ?? 0);
    });
  });
});

describe('any state', () => {
  it('has the fields of its status, and no others', () => {
    always(({ after: { job } }) => {
      expect({
        lease: job.lease !== null,
        waiting: job.waiting !== null,
        cancel: job.cancel !== null,
        finished: job.finishedAt !== null,
        endedBy: job.endedBy !== null,
      }).toEqual({
        lease: hasTag(job.status, 'active'),
        waiting: ['waiting', 'scheduled', 'blocked'].includes(job.status),
        cancel: job.status === 'cancelling',
        finished: isTerminal(job.status),
        endedBy: isTerminal(job.status),
      });
      if (job.held) expect(['claimed', 'running']).toContain(job.status);
      if (job.workerState !== null) expect(job.lease).not.toBeNull();
      if (job.deadLettered) expect(job.status).toBe('failed');
      if (['created', 'queued', 'scheduled', 'claimed'].includes(job.status)) expect(job.startedAt).toBeNull();
      if (job.status === 'running' || job.status === 'completed') expect(job.error).toBeNull();
      if (job.status === 'failed') expect(job.error).not.toBeNull();
      if (job.startedAt !== null) expect(job.firstStartedAt).not.toBeNull();
    });
  });

  it('keeps its numbers within their bounds, and ends the run where one is passed', () => {
    always(({ after: { job } }, { maxAttempts, maxLostLeases, maxThrottles }) => {
      expect(job.failedAttempts).toBeLessThanOrEqual(maxAttempts);
      expect(job.lostLeases).toBeLessThanOrEqual(maxLostLeases + 1);
      expect(job.throttles).toBeLessThanOrEqual(maxThrottles + 1);
      const exhausted =
        job.failedAttempts === maxAttempts || job.lostLeases > maxLostLeases || job.throttles > maxThrottles;
      if (exhausted) expect(job).toMatchObject({ status: 'failed', deadLettered: true });
    });
  });

  it('has times in order: none before its creation, none later than its last event', () => {
    always(({ after: { job, log } }) => {
      const last = log.at(-1)?.at ?? '';
      const { createdAt, statusSince, queuedAt, firstStartedAt, startedAt, finishedAt } = job;
      for (const instant of [statusSince, queuedAt, firstStartedAt, startedAt, finishedAt]) {
        if (instant !== null) expect(createdAt <= instant && instant <= last).toBe(true);
      }
      if (startedAt !== null && firstStartedAt !== null) expect(firstStartedAt <= startedAt).toBe(true);
    });
  });

  it('has a deadline exactly when it is reapable; the reaper leaves it alone until then, and never after', () => {
    const reap = (simulation: Simulation, at: number, policy: Policy): Step =>
      perform(
        { ...simulation, now: at },
        {
          command: { name: 'reap', clocks: simulation.clocks, lastActivityPosition: null },
          token: 'current',
          afterMs: 0,
        },
        policy,
      );
    always(({ after }, policy) => {
      const deadline = nextDeadline(after.job, after.clocks, policy);
      expect(deadline !== null).toBe(hasTag(after.job.status, 'reapable'));
      if (deadline === null) return;
      expect(reap(after, deadline.at - 1, policy).entries).toEqual([]);
      const late = reap(after, deadline.at + 1, policy);
      expect(late.entries).not.toEqual([]);
      expect(late.after.job.status).not.toBe(after.job.status);
    });
  });

  it('leads to an end, or to a person, when its workers all die', () => {
    const deadWorker = (simulation: Simulation, policy: Policy): Simulation => {
      const { job, clocks } = simulation;
      const deadline = nextDeadline(job, clocks, policy);
      const wait = deadline === null ? 0 : Math.max(deadline.at + 1 - simulation.now, 0);
      const command =
        job.status === 'queued' ? ask.claim : ({ name: 'reap', clocks, lastActivityPosition: null } as const);
      return perform(simulation, { command, token: 'current', afterMs: wait }, policy).after;
    };
    atTheEnd((end, policy) => {
      let simulation = end;
      // A claim and a lapse for each lease that it may lose, and a move from wherever it stands.
      for (let i = 0; i < 2 * (policy.maxLostLeases + 2) && !isTerminal(simulation.job.status); i++) {
        simulation = deadWorker(simulation, policy);
      }
      expect(isTerminal(simulation.job.status) || simulation.job.status === 'created').toBe(true);
    });
  });
});
