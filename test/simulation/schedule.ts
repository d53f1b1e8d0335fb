/**
 * One schedule: an installation, those who call it, and what goes wrong, all chosen by a seed. Then everything heals,
 * and nothing may be left behind.
 */
import { hasTag, isTerminal } from '../../src/domain/job-chart.js';
import { mergePolicy, PRESETS, type Policy } from '../../src/domain/policy.js';
import type { Outcome } from '../../src/commands/envelope.js';
import type { SweepReport } from '../../src/reaper/sweep.js';
import { Client, Reaper, resetKeys, Worker, type Habits } from './actors.js';
import type { Heard } from './caller.js';
import { Violation } from './witness.js';
import { Random } from './random.js';
import { atRandom, inOrder, Scheduler } from './scheduler.js';
import { withVirtualTime } from './virtual-time.js';
import { World } from './world.js';

const MAX_OFFSET_MS = 20;

/** Small limits, so that a short schedule meets them. */
const policyOf = (random: Random): Policy =>
  mergePolicy(PRESETS.protea, {
    leaseMs: random.pick([100, 300, 1_000]),
    timeoutMs: random.pick([0, 0, 200, 800]),
    stallMs: random.pick([0, 200, 600]),
    onStale: random.pick(['fail', 'requeue', 'cancel']),
    maxLostLeases: random.int(0, 3),
    maxAttempts: random.int(1, 3),
    retry: { initialMs: 100, factor: 2, maxMs: 400, jitter: 0.5 },
    maxThrottles: random.int(0, 2),
    waitLimitMs: random.pick([300, 2_000]),
    cancelLimitMs: random.pick([150, 800]),
  });

const habitsOf = (random: Random): Habits => ({
  keyed: random.pick([0, 0.3, 0.8]),
  repeats: random.pick([0.3, 0.9]),
  pauseMs: random.pick([5, 60, 300]),
  freezes: random.pick([0, 0.2, 0.6]),
  vanishes: random.pick([0, 0.15, 0.4]),
  heartbeats: random.pick([0, 2, 6]),
});

/** What goes wrong, by how often in a step. Many schedules are without a kind: what one hides, another shows. */
interface Mishaps {
  readonly crash: number;
  readonly freeze: number;
  readonly loseLease: number;
  readonly spoilRow: number;
  readonly skip: number;
}

const mishapsOf = (random: Random): Mishaps => ({
  crash: random.pick([0, 0, 0.005, 0.02]),
  freeze: random.pick([0, 0, 0.01, 0.03]),
  loseLease: random.pick([0, 0, 0.01, 0.04]),
  spoilRow: random.pick([0, 0, 0.01, 0.04]),
  skip: random.pick([0, 0.01, 0.03]),
});

export interface Report {
  readonly seed: number;
  readonly steps: number;
  readonly events: number;
}

/** Everything that a seed decides. */
class Schedule {
  private readonly random: Random;
  readonly scheduler = new Scheduler();
  readonly world: World;
  private readonly mishaps: Mishaps;
  private readonly length: number;
  steps = 0;

  constructor(private readonly seed: number) {
    const random = new Random(seed);
    this.random = random;
    resetKeys();
    const pace = {
      stepMs: random.pick([0, 2, 10]),
      late: random.pick([0, 0.03, 0.15]),
      lateMs: random.pick([50, 500, 3_000]),
    };
    this.scheduler.chooser = atRandom(random, pace);
    const notDone = random.pick([0, 0, 0.01, 0.05]);
    const lost = random.pick([0, 0, 0.02, 0.08]);
    const unheard = random.pick([0, 0, 0.05]);
    this.mishaps = mishapsOf(random);
    this.length = random.int(80, 320);
    this.world = new World(this.scheduler, {
      nodes: random.chance(0.8) ? 2 : 1,
      policy: policyOf(random),
      random: () => random.next(),
      offsetMs: () => random.int(-MAX_OFFSET_MS, MAX_OFFSET_MS),
      maxOffsetMs: MAX_OFFSET_MS,
      ...(random.chance(0.05) ? { maxPending: 3 } : {}),
      fault: () => {
        const drawn = random.next();
        return drawn < notDone ? 'not done' : drawn < notDone + lost ? 'answer lost' : 'none';
      },
      losesWakeUp: () => random.chance(0.1),
      losesAnswer: () => random.chance(unheard),
    });
    const habits = habitsOf(random);
    const of = (count: number, make: (index: number) => { start: () => void }): void => {
      for (let index = 1; index <= count; index += 1) make(index).start();
    };
    of(random.int(1, 2), (index) => new Client(this.world, random, habits, `client${index}`));
    of(random.int(1, 4), (index) => new Worker(this.world, random, habits, `worker${index}`));
    of(random.int(1, 2), (index) => new Reaper(this.world, random, habits, `reaper${index}`));
  }

  async run(): Promise<Report> {
    while (this.steps < this.length && (await this.step())) this.goWrong();
    await this.heal();
    await this.sweepAll();
    this.checkNothingIsStuck();
    await this.workOff();
    this.checkNothingIsLeft();
    return { seed: this.seed, steps: this.steps, events: this.world.witness.head };
  }

  private async step(until?: number): Promise<boolean> {
    this.steps += 1;
    const went = await this.scheduler.step(until);
    this.check();
    return went;
  }

  private check(): void {
    const [first] = this.world.witness.violations;
    if (first !== undefined) throw new Violation(first);
  }

  private goWrong(): void {
    const { random, world, scheduler, mishaps } = this;
    const node = random.int(0, world.nodes.length - 1);
    if (random.chance(mishaps.crash)) {
      scheduler.note(`!! ${world.nodes[node]!.name} crashes`);
      world.crash(node);
      if (random.chance(0.5)) world.restart(node);
    }
    if (random.chance(0.05)) world.restart(node);
    if (random.chance(mishaps.freeze)) {
      const ms = random.int(10, 3_000);
      scheduler.note(`!! ${world.nodes[node]!.name} freezes for ${ms} ms`);
      world.nodes[node]!.frozenUntil = scheduler.now + ms;
    }
    if (random.chance(mishaps.skip)) scheduler.now += random.int(50, 1_000);
    if (random.chance(mishaps.loseLease)) this.loseLease();
    if (random.chance(mishaps.spoilRow)) this.spoilRow();
  }

  private loseLease(): void {
    const { leases } = this.world.database;
    const ids = [...leases.rows.keys()];
    if (ids.length === 0) return;
    const id = this.random.pick(ids);
    this.scheduler.note(`!! the lease row of ${this.world.witness.name(id)} is lost`);
    leases.rows.delete(id);
  }

  /** A row that is lost, is of an earlier time, or claims to be of a later one. */
  private spoilRow(): void {
    const { random, world } = this;
    const { rows } = world.database.jobs;
    const ids = [...rows.keys()];
    if (ids.length === 0) return;
    const id = random.pick(ids);
    const row = rows.get(id)!;
    const how = random.pick(['lost', 'earlier', 'later', 'edited']);
    this.scheduler.note(`!! the row of ${world.witness.name(id)} is spoilt: ${how}`);
    world.witness.spoil(id);
    if (how === 'lost') rows.delete(id);
    else if (how === 'earlier') rows.set(id, random.pick(world.database.jobs.past.get(id) ?? [row]));
    else if (how === 'later') rows.set(id, { ...row, revision: row.revision + 5, status: 'completed', leased: false });
    else rows.set(id, { ...row, status: 'completed', leased: false, readyAt: null, wakeAt: null });
    world.witness.compareRow(id);
  }

  /** Faults stop; what was frozen goes on, what died starts again, who called hears the last answer. */
  private async heal(): Promise<void> {
    const { world, scheduler, random } = this;
    scheduler.note('-- everything heals');
    world.healed = true;
    for (const [index, node] of world.nodes.entries()) {
      node.frozenUntil = Math.min(node.frozenUntil, scheduler.now + random.int(0, 100));
      world.restart(index);
    }
    while (await this.step()) if (this.steps > 20_000) throw new Violation('the schedule does not come to rest');
  }

  /** Time goes on, and the reapers do what they do. */
  private async sweepAll(): Promise<void> {
    const { world, scheduler } = this;
    scheduler.chooser = inOrder;
    const operator = world.process('operator');
    for (const jobId of [...world.witness.tainted]) {
      await this.ask('repair', () =>
        world.network.call(operator, world.nodes[0]!, 'repair', () => world.nodes[0]!.verification.repair(jobId)),
      );
      world.witness.compareRow(jobId);
    }
    for (const ms of [200, 500, 1_000, 2_000, 4_000, 8_000]) {
      scheduler.now += ms;
      for (const node of world.nodes) {
        await this.ask('keep house', () => world.network.call(operator, node, 'keep house', () => node.keepHouse()));
        const sweep = (): Promise<SweepReport> => world.network.call(operator, node, 'sweep', () => node.sweep());
        const { errors } = await this.ask('sweep', sweep);
        if (errors > 0) throw new Violation('a sweep failed for a job, although nothing was away');
      }
    }
  }

  /** Runs until a call is answered. */
  private async ask<T>(what: string, call: () => Promise<T>): Promise<T> {
    let answer: { readonly value: T } | { readonly error: unknown } | undefined;
    call().then(
      (value) => (answer = { value }),
      (error: unknown) => (answer = { error }),
    );
    while (await this.step());
    if (answer === undefined) throw new Violation(`${what} was never answered`);
    if ('error' in answer) throw new Violation(`${what} failed: ${String((answer.error as Error).stack)}`);
    return answer.value;
  }

  private checkNothingIsStuck(): void {
    const { witness } = this.world;
    for (const id of witness.jobIds) {
      const job = witness.job(id)!;
      const rests = isTerminal(job.status) || job.status === 'created' || job.status === 'queued';
      if (!rests) throw new Violation(`${witness.name(id)} is stuck: ${job.status} since ${job.statusSince}`);
    }
  }

  /** A last worker takes whatever is there, and ends it. */
  private async workOff(): Promise<void> {
    const { world, scheduler } = this;
    const worker = world.process('last worker');
    const node = world.nodes[0]!;
    // Candidates that somebody held before are free by now.
    scheduler.now += 5_000;
    for (;;) {
      const heard = await this.ask('the last claim', () => world.caller.claim(worker, node, { max: 2 }));
      if (heard.kind !== 'done') throw new Violation('the last claim failed');
      if (heard.value.length === 0) return;
      for (const { outcome } of heard.value) {
        const token = { run: outcome.run, attempt: outcome.attempt };
        const command = { name: 'complete', token, result: null } as const;
        const complete = (): Promise<Heard<Outcome>> => world.caller.execute(worker, node, outcome.jobId, command);
        const done = await this.ask('the last completion', complete);
        if (done.kind !== 'done') throw new Violation('the last completion was not accepted');
      }
    }
  }

  private checkNothingIsLeft(): void {
    const { world } = this;
    const { witness, database, nodes } = world;
    for (const id of witness.jobIds) {
      const job = witness.job(id)!;
      if (!isTerminal(job.status) && job.status !== 'created') {
        throw new Violation(`${witness.name(id)} is ${job.status}, and nobody could claim it`);
      }
      witness.compareRow(id);
    }
    this.check();
    for (const node of nodes) if (!node.isIdle) throw new Violation(`${node.name} still holds something`);
    if (world.caller.open.size > 0)
      throw new Violation(`a call was never answered: ${[...world.caller.open][0]?.name}`);
    const held = [...database.leases.rows.values()].find(
      ({ jobId }) => !hasTag(witness.job(jobId)!.status, 'reapable') && !witness.spoilt.has(jobId),
    );
    if (held !== undefined)
      throw new Violation(`a lease row of ${witness.name(held.jobId)} is left, and bounds nothing`);
  }
}

/** Thrown when a schedule fails: says how to run it again, and how it came to it. */
export class ScheduleFailed extends Error {
  constructor(seed: number, cause: unknown, trace: readonly string[], lines: number) {
    const why = cause instanceof Violation ? cause.message : cause instanceof Error ? cause.stack : String(cause);
    super(
      `${why}

Run this schedule again: SIM_SEED=${seed} npm run jest -- test/model/simulation.spec.ts

Its last steps:
  ${trace.slice(-lines).join('\n  ')}`,
      { cause },
    );
  }
}

/**
 * @param lines of its trace that a failure shows
 * @throws ScheduleFailed when something happened that must not.
 */
export const runSchedule = async (seed: number, lines = 120): Promise<Report> => {
  const schedule = new Schedule(seed);
  const unhandled = (error: unknown): void => schedule.world.witness.violated(`unhandled rejection: ${String(error)}`);
  process.on('unhandledRejection', unhandled);
  try {
    return await withVirtualTime(schedule.scheduler, () => schedule.run());
  } catch (error) {
    throw new ScheduleFailed(seed, error, schedule.scheduler.trace, lines);
  } finally {
    process.off('unhandledRejection', unhandled);
  }
};
