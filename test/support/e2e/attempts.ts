/** The ways in which attempts go, by name: all that a worker says of a job, from its claim until it ends the attempt. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandAnswer } from '../../../src/api/contract.js';
import type { Random } from '../../simulation/random.js';
import type { Answer } from './recorder.js';
import type { Cluster } from './running-cluster.js';
import { command, expectStatus, type Holder, readJob, sayTogether, type SharedCall, type WorkerCall } from './work.js';

export interface Attempt {
  readonly cluster: Pick<Cluster, 'recorder'>;
  readonly holder: Holder;
  readonly random: Random;
  /** Told every answer that may have ended the run. */
  readonly ended: (answer: Answer<CommandAnswer>) => void;
}

type Way = (attempt: Attempt) => Promise<void>;

/** False when the attempt is lost, or its job is being cancelled: then there is nothing more to say. */
const went = (answer: Answer): boolean => {
  expectStatus(answer, 200, 409);
  return answer.status === 200;
};

const says =
  (call: WorkerCall, body: object): Way =>
  async ({ holder, ended }) => {
    const answer = await holder.say(call, body);
    went(answer);
    ended(answer);
  };

const completes: Way = async (attempt) => {
  if (!went(await attempt.holder.say('heartbeat', { state: 'finishing' }))) return;
  await says('complete', { result: { by: attempt.holder.workerId } })(attempt);
};

/** Longer than leases of `LOAD_POLICY`, mostly. */
const FROZEN_MS = [1_500, 3_000] as const;
const HANG_UP_MS = [1, 30] as const;
const PERSON_MS = [50, 1_000] as const;

const FLAKY = { code: 'Flaky', message: 'this time it failed' };

const WAYS = {
  completes,
  /** Nobody ends this attempt but the reaper. */
  dies: () => Promise.resolve(),
  releases: says('release', { reason: 'shutdown' }),
  fails: says('fail', FLAKY),
  failsForGood: says('fail', { code: 'Broken', message: 'no attempt would help', retryable: false }),
  throttles: says('throttle', { retryAfterMs: 100 }),
  /** Cut off in its last call: whether that was taken, nobody is told, and nobody asks again. */
  diesInACall: async ({ holder, random }) => {
    const timeoutMs = random.int(...HANG_UP_MS);
    await holder.once(random.pick(['complete', 'release', 'heartbeat', 'progress']), timeoutMs);
  },
  /** It comes back when somebody else may hold the job, and does not know. */
  freezes: async (attempt) => {
    await sleep(attempt.random.int(...FROZEN_MS));
    if (went(await attempt.holder.progress(1))) await completes(attempt);
  },
  /** Two threads end it at once: one of them is told that it is done already, or both the same. */
  endsTwice: async (attempt) => {
    const { holder, random } = attempt;
    const other = holder.thread('twin');
    other.ask(random.int(0, 1));
    const isSame = random.chance(0.5);
    const key = randomUUID();
    const say = (one: Holder) => one.say('complete', { result: 'twice' }, isSame ? { key } : {});
    const answers = await Promise.all([say(holder), say(other)]);
    for (const answer of answers) went(answer);
    attempt.ended(answers.find(({ status }) => status === 200) ?? answers[0]);
  },
  /** A person takes it up again; or does not, and the wait expires. */
  waits: async ({ cluster, holder, random, ended }) => {
    const until = random.chance(0.3) ? { until: new Date(Date.now() + random.int(...PERSON_MS)).toISOString() } : {};
    const answer = await holder.say('wait', { reason: 'approval', ...until });
    if (!went(answer)) return;
    ended(answer);
    await sleep(random.int(...PERSON_MS));
    const resumed = await command(cluster, holder.jobId, 'resume');
    expectStatus(resumed, 200, 409);
  },
  /** Beats with checkpoints, logs, and gives up half-way: the next attempt begins where this one came. */
  savesCheckpoints: async (attempt) => {
    const { holder, random } = attempt;
    for (let page = 1; page <= random.int(1, 3); page += 1) {
      if (!went(await holder.say('heartbeat', { checkpoint: { page }, state: `waiting for page ${page}` }))) return;
      expectStatus(await holder.say('logs', { lines: [{ level: 'info', message: `page ${page}` }] }), 200, 409);
    }
    await (random.chance(0.5) ? WAYS.fails(attempt) : completes(attempt));
  },
  /** Says all of it in one request, which is repeated as a whole. */
  saysAllAtOnce: async (attempt) => {
    const { holder, random } = attempt;
    const answers = await holder.sayTogether([
      ['progress', { batchId: 'together-1', processed: 1 }],
      ['progress', { batchId: 'together-2', processed: 2 }],
      ['heartbeat', { state: 'together' }],
      random.chance(0.8) ? ['complete', { result: 'together' }] : ['release', { reason: 'together' }],
    ]);
    for (const answer of answers) went(answer);
    attempt.ended(answers.at(-1) as Answer<CommandAnswer>);
  },
} satisfies Record<string, Way>;

export type WayName = keyof typeof WAYS;
/** How often attempts go so, compared with each other. */
export type Ways = Readonly<Partial<Record<WayName, number>>>;

export const USUAL_WAYS: Ways = { dies: 3, releases: 5, fails: 5, throttles: 5, completes: 82 };
export const ALL_WAYS: Ways = {
  ...{ completes: 40, saysAllAtOnce: 10, endsTwice: 6, releases: 5, fails: 5, failsForGood: 3, throttles: 5 },
  ...{ savesCheckpoints: 8, waits: 6, freezes: 3, dies: 3, diesInACall: 6 },
};

/** One attempt, in one of the ways. A lost lease ends it. */
export const attempt = async (one: Attempt, ways: Ways): Promise<void> => {
  const { cluster, holder, random } = one;
  if (!holder.isStarted && !went(await holder.say('start'))) return;
  const steps = random.int(1, 4);
  for (let step = 0; step < steps; step += 1) {
    const batchId = `batch-${step}`;
    if (!went(await holder.progress(1 + step, batchId))) return;
    // The same batch under another key: a worker that lost its answer and its memory of the key.
    if (random.chance(0.2) && !went(await holder.progress(1 + step, batchId))) return;
    if (random.chance(0.3)) await readJob(cluster, holder.jobId);
  }
  await WAYS[random.weighted(ways)](one);
};

/** What ends an attempt of many that are said in one request, and how often; none: its worker has died. */
const SHARED_ENDS = {
  completes: ['complete', { result: 'among many' }],
  fails: ['fail', FLAKY],
  releases: ['release', { reason: 'among many' }],
  dies: null,
} as const satisfies Partial<Record<WayName, SharedCall | null>>;
const SHARED_WAYS = { completes: 94, fails: 2, releases: 2, dies: 2 } as const;

/** All attempts of a claim: their progress and their ends in one request. */
export const attemptTogether = async (
  holders: readonly Holder[],
  random: Random,
  ended: Attempt['ended'],
): Promise<void> => {
  const said = holders.flatMap((holder): [Holder, SharedCall][] => {
    const end = SHARED_ENDS[random.weighted<keyof typeof SHARED_ENDS>(SHARED_WAYS)];
    const progress: SharedCall = ['progress', { batchId: 'all', processed: random.int(1, 9) }];
    return [progress, ...(end === null ? [] : [end])].map((call) => [holder, call]);
  });
  for (const answer of (await sayTogether(said)) as readonly Answer<CommandAnswer>[]) {
    went(answer);
    ended(answer);
  }
};
