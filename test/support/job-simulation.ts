/**
 * One job under random commands, tokens, policies and jumps of time: decide, then evolve, as the pipeline does, with
 * the clocks that the service keeps beside the log.
 */
import fc from 'fast-check';
import { decide, isFact } from '../../src/domain/decide.js';
import { Refusal, type RefusalCode } from '../../src/domain/errors.js';
import type { Context, JobCommand, Token } from '../../src/domain/job-commands.js';
import { toInstant, type RecordedJobEvent, type RecordedJobFact } from '../../src/domain/job-events.js';
import type { JobStatus } from '../../src/domain/job-chart.js';
import { evolve, type Job } from '../../src/domain/job.js';
import { mergePolicy, PRESETS, type Policy } from '../../src/domain/policy.js';
import { counts, foldFact, foldTransition, NO_PROGRESS, type ProgressFold } from '../../src/domain/progress.js';
import type { Clocks } from '../../src/domain/stall-rules.js';
import { ask, JOB_ID, spec, START } from './given.js';

export type Entry = RecordedJobEvent | RecordedJobFact;
export const isTransition = (entry: Entry): entry is RecordedJobEvent => entry.type !== 'ProgressRecorded';

export interface Simulation {
  readonly job: Job;
  readonly progress: ProgressFold;
  readonly clocks: Clocks;
  /** Epoch ms. */
  readonly now: number;
  readonly log: readonly Entry[];
}

/** A token as a worker may have it. */
export type TokenChoice = 'current' | 'earlier' | 'later' | 'run before' | 'forged' | 'as it is';

/** What is asked, with the token still to be chosen, and how long after the last. */
export interface Act {
  /** A number chooses among what fits the state: most of what is drawn blindly is refused. */
  readonly command: JobCommand | number;
  readonly token: TokenChoice;
  readonly afterMs: number;
}

const tokenOf = ({ run, attempt }: Job, choice: Exclude<TokenChoice, 'as it is'>): Token => {
  switch (choice) {
    case 'current':
      return { run, attempt };
    case 'earlier':
      return { run, attempt: attempt - 1 };
    case 'later':
      return { run, attempt: attempt + 1 };
    case 'run before':
      return { run: run - 1, attempt };
    case 'forged':
      return null;
  }
};

const reap: JobCommand = {
  name: 'reap',
  clocks: { leaseExpiresAt: null, lastBeatAt: null, lastActivityAt: 0 },
  lastActivityPosition: null,
};

const { claim, claimWithoutStart, start, startAsWorker, beat, save, report, resume, retry } = ask;
/** More often what moves the job on. */
const underLease: readonly JobCommand[] = [
  ...[startAsWorker, beat, save, report, ask.complete, ask.complete, ask.fail, ask.fail, ask.failForGood],
  ...[ask.throttle, ask.throttleByBase, ask.wait, ask.release, ask.requeue, ask.hold, ask.cancel, ask.forceFail, reap],
];
const FITTING: Readonly<Record<JobStatus, readonly JobCommand[]>> = {
  created: [start, start, ask.reschedule, ask.priority, ask.cancel],
  blocked: [ask.cancel],
  scheduled: [claim, claim, reap, ask.hold, ask.reschedule],
  queued: [claim, claim, claim, claimWithoutStart, ask.hold, ask.reschedule, ask.cancel],
  claimed: underLease,
  running: underLease,
  waiting: [resume, resume, resume, reap, ask.cancel],
  finalizing: [ask.complete],
  cancelling: [beat, report, ask.complete, ask.release, reap, ask.cancelByForce, ask.emergencyStop],
  completed: [ask.complete, retry],
  failed: [retry, retry, ask.requeue, ask.fail],
  cancelled: [retry, ask.cancel, ask.release],
};

/** The command with the token and the clocks of the moment. */
export const commandOf = (act: Act, { job, clocks }: Simulation): JobCommand => {
  const fitting = FITTING[job.status];
  const command = typeof act.command === 'number' ? (fitting[act.command % fitting.length] ?? reap) : act.command;
  if (command.name === 'reap') return { ...command, clocks };
  if (!('token' in command) || command.token === undefined || act.token === 'as it is') return command;
  return { ...command, token: tokenOf(job, act.token) };
};

const deepFreeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
};

export const contextOf = (simulation: { readonly now: number }, policy: Policy, random = 0.5): Context => ({
  now: simulation.now,
  random,
  policy,
});

const applyEntry = (simulation: Simulation, entry: Entry): Simulation => {
  const log = [...simulation.log, entry];
  const now = Date.parse(entry.at);
  if (!isTransition(entry)) {
    const clocks = counts(simulation.progress, entry)
      ? { ...simulation.clocks, lastActivityAt: now }
      : simulation.clocks;
    return { ...simulation, log, clocks, progress: foldFact(simulation.progress, entry) };
  }
  const job = deepFreeze(evolve(JOB_ID, simulation.job, entry));
  const works = ['JobClaimed', 'JobStarted', 'CheckpointSaved', 'WorkerStateReported'].includes(entry.type);
  const { clocks } = simulation;
  return {
    ...simulation,
    log,
    job,
    progress: foldTransition(simulation.progress, entry, job),
    clocks: {
      leaseExpiresAt: job.lease === null ? null : (clocks.leaseExpiresAt ?? now + job.lease.leaseMs),
      lastBeatAt: job.lease === null ? null : clocks.lastBeatAt,
      lastActivityAt: works ? now : clocks.lastActivityAt,
    },
  };
};

/** What came of an act: the simulation after it, and the refusal or the entries of its append. */
export interface Step {
  readonly before: Simulation;
  readonly after: Simulation;
  readonly command: JobCommand;
  readonly entries: readonly Entry[];
  readonly refusal: RefusalCode | null;
}

/** @throws BrokenHistory when a decision holds what the chart cannot follow. */
export const perform = (before: Simulation, act: Act, policy: Policy): Step => {
  const now = before.now + act.afterMs;
  const simulation = { ...before, now };
  const command = commandOf(act, simulation);
  try {
    const entries = decide(before.job, command, contextOf(simulation, policy)).map((event): Entry =>
      isFact(event)
        ? { ...event, at: toInstant(now), run: before.job.run, attempt: before.job.attempt }
        : { ...event, at: toInstant(now), command: command.name },
    );
    const applied = entries.reduce(applyEntry, simulation);
    const beats = 'token' in command && command.token !== undefined && applied.job.lease !== null;
    const after = beats
      ? { ...applied, clocks: { ...applied.clocks, lastBeatAt: now, leaseExpiresAt: now + applied.job.lease.leaseMs } }
      : applied;
    return { before, after, command, entries, refusal: null };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { before, after: simulation, command, entries: [], refusal: error.code };
  }
};

export const begin = (autostart: boolean, delayMs: number): Simulation => {
  const availableAt = delayMs === 0 ? null : toInstant(START + delayMs);
  const create: JobCommand = { name: 'create', reason: null, spec: spec({ autostart, availableAt, total: 10 }) };
  const [first, ...rest] = decide(null, create, contextOf({ now: START }, PRESETS.protea)).map(
    (event) => ({ ...event, at: toInstant(START), command: 'create' }) as RecordedJobEvent,
  );
  if (first === undefined) throw new Error('create decided nothing');
  const job = evolve(JOB_ID, null, first);
  const born: Simulation = {
    job,
    progress: foldTransition(NO_PROGRESS, first, job),
    clocks: { leaseExpiresAt: null, lastBeatAt: null, lastActivityAt: START },
    now: START,
    log: [first],
  };
  return rest.reduce(applyEntry, born);
};

// ------------------------------------------------------------------------------------------------------- arbitraries

const { create: _create, draft: _draft, delayed: _delayed, ...fixed } = ask;

const batchId = fc.integer({ min: 1, max: 4 }).map((n) => `b-${n}`);
const digest = fc.constantFrom('d-1', 'd-2');

/** What only arguments tell apart. */
const varied: readonly fc.Arbitrary<JobCommand>[] = [
  fc.record({ batchId, processed: fc.nat(3) }).map((said) => ({ ...ask.report, ...said })),
  fc.record({ batchId, current: fc.nat(20) }).map((said) => ({ ...ask.report, processed: 0, ...said })),
  fc
    .record({ batchId, stage: fc.constantFrom('a', 'b'), processed: fc.nat(3), total: fc.option(fc.nat(9)) })
    .map((said) => ({ ...ask.report, ...said })),
  digest.map((name) => ({ ...ask.beat, checkpoint: { value: name, digest: name } })),
  fc.constantFrom('waiting', 'loading').map((state) => ({ ...ask.beat, state })),
  fc.integer({ min: 0, max: 7_200_000 }).map((ms) => ({ ...ask.reschedule, availableAt: toInstant(START + ms) })),
  fc.integer({ min: -2, max: 2 }).map((priority) => ({ ...ask.priority, priority })),
  fc.integer({ min: 0, max: 900_000 }).map((ms) => ({ ...ask.wait, until: toInstant(START + ms) })),
];

const command: fc.Arbitrary<JobCommand | number> = fc.oneof(
  { weight: 8, arbitrary: fc.nat(100) },
  { weight: 4, arbitrary: fc.constantFrom<JobCommand>(...Object.values(fixed)) },
  { weight: 3, arbitrary: fc.oneof(...varied) },
  { weight: 1, arbitrary: fc.constant(reap) },
);

/** Mostly the holder's own token: the rest is refused, and teaches little. */
const tokenChoice = fc.oneof(
  { weight: 8, arbitrary: fc.constant<TokenChoice>('current') },
  { weight: 2, arbitrary: fc.constantFrom<TokenChoice>('earlier', 'later', 'run before', 'forged') },
);

const afterMs = fc.oneof(
  fc.constantFrom(0, 1, 999, 1_000),
  fc.nat(300_000),
  fc.constantFrom(3_600_000, 86_400_000, 8 * 86_400_000),
);

export const acts: fc.Arbitrary<readonly Act[]> = fc.array(fc.record({ command, token: tokenChoice, afterMs }), {
  maxLength: 60,
  size: 'max',
});

const limitMs = fc.constantFrom(0, 1_000, 60_000, 3_600_000);

/** Small limits, so that a short sequence meets them. */
export const policies: fc.Arbitrary<Policy> = fc
  .record({
    leaseMs: fc.constantFrom(100, 60_000, 7_200_000),
    timeoutMs: limitMs,
    stallMs: limitMs,
    onStale: fc.constantFrom('fail', 'requeue', 'cancel'),
    maxLostLeases: fc.nat(2),
    maxAttempts: fc.integer({ min: 1, max: 3 }),
    maxThrottles: fc.nat(2),
    waitLimitMs: fc.constantFrom(100, 600_000, 7 * 86_400_000),
    cancelLimitMs: fc.constantFrom(100, 300_000),
  } as const)
  .map((over) => mergePolicy(PRESETS.protea, over));

export const beginnings: fc.Arbitrary<Simulation> = fc
  .record({ autostart: fc.boolean(), delayMs: fc.constantFrom(0, 0, 60_000) })
  .map(({ autostart, delayMs }) => begin(autostart, delayMs));
