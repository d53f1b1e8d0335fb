/**
 * given(what happened).when(command).then(what follows), over the pure domain. `given` takes a status, which stands for
 * the usual way to get there, or a history of commands and events.
 */
import { expect } from '@jest/globals';
import { decide, isFact, type Decided } from '../../src/domain/decide.js';
import { Refusal, type RefusalCode } from '../../src/domain/errors.js';
import type { JobStatus } from '../../src/domain/job-chart.js';
import type { CommandOf, JobCommand, Token } from '../../src/domain/job-commands.js';
import {
  toInstant,
  type JobEvent,
  type JobFact,
  type JobSpec,
  type RecordedJobEvent,
} from '../../src/domain/job-events.js';
import { evolve, type Job } from '../../src/domain/job.js';
import { mergePolicy, PRESETS, type PolicyOverrides } from '../../src/domain/policy.js';

/** When the first event of every history here was recorded, epoch ms. */
export const START = Date.parse('2026-01-01T00:00:00.000Z');
/** Between the steps of a history, and before the command. */
export const STEP_MS = 1_000;
export const JOB_ID = '01980000-0000-7000-8000-000000000001';

export const at = (sinceStartMs: number): string => toInstant(START + sinceStartMs);

export const spec = (over: Partial<JobSpec> = {}): JobSpec => ({
  type: 'report',
  queue: 'default',
  payload: { page: 1 },
  priority: 0,
  tags: [],
  autostart: true,
  availableAt: null,
  maxAttempts: null,
  total: null,
  policy: null,
  preset: null,
  correlationId: 'c-1',
  createdBy: 'anonymous',
  ...over,
});

/** Lease tokens by what they name. */
export const CURRENT = { run: 1, attempt: 1 } satisfies Token;
export const FORGED = null;

const token = CURRENT;
const reason = null;

/** The commands with plain arguments: `{ ...ask.fail, retryable: false }` where a test means more. */
export const ask = {
  create: { name: 'create', spec: spec(), reason },
  draft: { name: 'create', spec: spec({ autostart: false }), reason },
  delayed: { name: 'create', spec: spec({ availableAt: at(3_600_000) }), reason },
  start: { name: 'start', token: undefined, reason },
  startAsWorker: { name: 'start', token, reason },
  cancel: { name: 'cancel', force: false, reason },
  cancelByForce: { name: 'cancel', force: true, reason },
  retry: { name: 'retry', reason },
  hold: { name: 'hold', reason },
  resume: { name: 'resume', reason },
  reschedule: { name: 'reschedule', availableAt: at(7_200_000), reason },
  priority: { name: 'priority', priority: 7, reason },
  claim: { name: 'claim', workerId: 'w-1', leaseMs: null, start: true },
  claimWithoutStart: { name: 'claim', workerId: 'w-1', leaseMs: null, start: false },
  beat: { name: 'heartbeat', token, checkpoint: null, state: null },
  save: { name: 'heartbeat', token, checkpoint: { value: { row: 10 }, digest: 'digest-10' }, state: null },
  report: {
    name: 'progress',
    token,
    batchId: 'b-1',
    processed: 1,
    failed: 0,
    skipped: 0,
    stage: null,
    current: null,
    total: null,
    message: null,
  },
  complete: { name: 'complete', token, result: { rows: 10 } },
  fail: { name: 'fail', token, code: 'E1', message: 'first', detail: null, retryable: true },
  failForGood: { name: 'fail', token, code: 'E1', message: 'first', detail: null, retryable: false },
  throttle: { name: 'throttle', token, reason, retryAfterMs: 60_000 },
  throttleByBase: { name: 'throttle', token, reason, baseMs: 60_000 },
  wait: { name: 'wait', token, reason: 'approval', detail: null, until: null },
  release: { name: 'release', token, reason: 'shutdown' },
  forceFail: { name: 'force-fail', reason },
  emergencyStop: { name: 'emergency-stop', reason },
  requeue: { name: 'requeue', reason },
} satisfies Record<string, JobCommand>;

/** The reaper looks: expiry of the lease, last beat and last work in ms since START. */
export const reap = (
  clocks: { leaseExpiresAt?: number | null; lastBeatAt?: number | null; lastActivityAt?: number } = {},
): CommandOf<'reap'> => {
  const instant = (ms: number | null | undefined): number | null =>
    ms === null || ms === undefined ? null : START + ms;
  return {
    name: 'reap',
    clocks: {
      leaseExpiresAt: instant(clocks.leaseExpiresAt),
      lastBeatAt: instant(clocks.lastBeatAt),
      lastActivityAt: START + (clocks.lastActivityAt ?? 0),
    },
    lastActivityPosition: '7',
  };
};

/** No command of this version leads there, so these histories hold the events themselves. */
const blocked: readonly Step[] = [ask.draft, { type: 'JobBlocked', data: { on: ['parent'] } }];
const running: readonly Step[] = [ask.create, ask.claim];

/** The usual way to each state. Where there was an attempt, its token is CURRENT. */
export const WAY_TO: Readonly<Record<JobStatus, readonly Step[]>> = {
  created: [ask.draft],
  blocked,
  scheduled: [ask.delayed],
  queued: [ask.create],
  claimed: [ask.create, ask.claimWithoutStart],
  running,
  waiting: [...running, ask.wait],
  finalizing: [...running, { type: 'JobFinalizing', data: { missing: 1 } }],
  cancelling: [...running, ask.cancel],
  completed: [...running, ask.complete],
  failed: [...running, ask.failForGood],
  cancelled: [...running, ask.cancel, ask.release],
};

/** A command, decided and applied at its place, or an event as it stands. */
export type Step = JobCommand | JobEvent;

/** What the world adds: `now` in ms since START (default: one step after the last), the rest as in preset protea. */
export interface When {
  readonly now?: number;
  readonly random?: number;
  readonly policy?: PolicyOverrides;
}

/** An event by its type, or with the part of its data that matters. */
export type Expected = Decided['type'] | { readonly type: Decided['type']; readonly data: object };

/** A job with its history. */
export class Situation {
  constructor(
    private readonly folded: Job | null,
    /** Transitions so far. */
    readonly log: readonly RecordedJobEvent[],
    readonly facts: readonly JobFact[],
    /** Of the next step, ms since START. */
    private readonly clock: number,
    private readonly policy: PolicyOverrides,
  ) {}

  get job(): Job {
    if (this.folded === null) throw new Error('the history is empty');
    return this.folded;
  }

  /** The job has at least this. */
  withJob(fields: Partial<Job>): this {
    expect(this.job).toMatchObject(fields);
    return this;
  }

  /** @param when wins over what `given` said. */
  when(command: JobCommand, when: When = {}): Outcome {
    const now = START + (when.now ?? this.clock);
    const policy = mergePolicy(PRESETS.protea, this.policy, when.policy);
    try {
      const decided = decide(this.folded, command, { now, random: when.random ?? 0, policy });
      return new Outcome(decided, null, this.apply(decided, command.name, now));
    } catch (error) {
      if (error instanceof Refusal) return new Outcome([], error.code, this);
      throw error;
    }
  }

  /** @throws Error when the step is a command that is refused: a history holds what happened. */
  after(step: Step): Situation {
    if ('type' in step) return this.apply([step], 'replayed', START + this.clock);
    const { refusal, situation } = this.when(step);
    if (refusal !== null) throw new Error(`${step.name} is refused in this history: ${refusal}`);
    return situation;
  }

  private apply(decided: readonly Decided[], command: string, now: number): Situation {
    const events = decided
      .filter((event): event is JobEvent => !isFact(event))
      .map((event): RecordedJobEvent => ({ ...event, at: toInstant(now), command }));
    return new Situation(
      events.reduce<Job | null>((job, event) => evolve(JOB_ID, job, event), this.folded),
      [...this.log, ...events],
      [...this.facts, ...decided.filter(isFact)],
      now - START + STEP_MS,
      this.policy,
    );
  }
}

/** What came of a command. */
export class Outcome {
  constructor(
    readonly events: readonly Decided[],
    readonly refusal: RefusalCode | null,
    /** Once the events are applied; as it was where the command was refused. */
    readonly situation: Situation,
  ) {}

  /** Exactly these events in this order, or this refusal; and then, where given, in this state. */
  then(expected: readonly Expected[] | RefusalCode, status?: JobStatus): Situation {
    if (typeof expected === 'string') {
      expect({ refusal: this.refusal, events: this.events }).toEqual({ refusal: expected, events: [] });
    } else {
      const types = expected.map((event) => (typeof event === 'string' ? event : event.type));
      expect({ refusal: this.refusal, events: this.events.map((event) => event.type) }).toEqual({
        refusal: null,
        events: types,
      });
      expected.forEach((event, index) => {
        if (typeof event !== 'string') expect(this.events[index]).toMatchObject(event);
      });
    }
    if (status !== undefined) expect(this.situation.job.status).toBe(status);
    return this.situation;
  }
}

/**
 * @param past a status, for the usual way there, or the steps from the first.
 * @param policy over preset protea, for every step and for what is asked then.
 */
export const given = (past: JobStatus | readonly Step[], policy: PolicyOverrides = {}): Situation =>
  (typeof past === 'string' ? WAY_TO[past] : past).reduce<Situation>(
    (situation, step) => situation.after(step),
    new Situation(null, [], [], 0, policy),
  );
