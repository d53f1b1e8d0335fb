/** Schedules by hand: tasks run in the order of their arrival, but for those that a test holds back. */
import type { ClaimedJob } from '../../src/commands/claim-request.js';
import type { CommandName, CommandOf, JobCommand } from '../../src/domain/job-commands.js';
import { mergePolicy, PRESETS, type PolicyOverrides } from '../../src/domain/policy.js';
import type { Job } from '../../src/domain/job.js';
import type { SweepReport } from '../../src/reaper/sweep.js';
import { spec, type Heard, type With } from './caller.js';
import { inOrder, Scheduler, type Process } from './scheduler.js';
import { withVirtualTime } from './virtual-time.js';
import { World } from './world.js';

/** Something under way. */
export interface Pending<T> {
  /** What came of it. @throws Error when nothing came yet */
  readonly result: T;
  readonly isOver: boolean;
}

type Token = NonNullable<CommandOf<'complete'>['token']>;

const defaults: { readonly [Name in CommandName]?: object } = {
  cancel: { force: false, reason: null },
  complete: { result: null },
  fail: { code: 'Boom', message: 'boom', detail: null, retryable: true },
  throttle: { reason: null, retryAfterMs: 1_000 },
  wait: { reason: 'approval', detail: null, until: null },
  release: { reason: 'shutdown' },
  heartbeat: { checkpoint: null, state: null },
  progress: { processed: 1, failed: 0, skipped: 0, stage: null, current: null, total: null, message: null },
};

export class Script {
  readonly scheduler = new Scheduler();
  readonly world: World;
  private readonly callers = new Map<string, Process>();

  private constructor(policy: PolicyOverrides) {
    this.scheduler.chooser = inOrder;
    this.world = new World(this.scheduler, {
      ...{ nodes: 2, policy: mergePolicy(PRESETS.protea, policy), random: () => 0.5 },
      ...{ offsetMs: () => 0, maxOffsetMs: 0 },
    });
  }

  /** Runs a script; what the witness saw is an error at its end. */
  static async run(policy: PolicyOverrides, play: (script: Script) => Promise<void>): Promise<void> {
    const script = new Script(policy);
    await withVirtualTime(script.scheduler, () => play(script));
    const [first] = script.world.witness.violations;
    if (first !== undefined) throw new Error(`${first}\n${script.scheduler.trace.join('\n')}`);
  }

  /** Starts something, and lets everything run that is not held. */
  async begin<T>(start: () => Promise<T>): Promise<Pending<T>> {
    let over: { readonly value: T } | { readonly error: unknown } | undefined;
    start().then(
      (value) => (over = { value }),
      (error: unknown) => (over = { error }),
    );
    await this.scheduler.settle();
    const result = (): T => {
      if (over === undefined) throw new Error(`it is not over:\n${this.scheduler.trace.join('\n')}`);
      if ('error' in over) throw over.error;
      return over.value;
    };
    return {
      get result() {
        return result();
      },
      get isOver() {
        return over !== undefined;
      },
    };
  }

  private caller(name: string): Process {
    const caller = this.callers.get(name) ?? this.world.process(name);
    this.callers.set(name, caller);
    return caller;
  }

  create(over: Parameters<typeof spec>[0] = {}, node = 0, with_: With = {}) {
    return this.begin(() =>
      this.world.caller.create(this.caller('client'), this.world.nodes[node]!, [spec(over)], with_),
    );
  }

  claim(worker: string, node = 0, over: Parameters<World['caller']['claim']>[2] = {}) {
    return this.begin(() => this.world.caller.claim(this.caller(worker), this.world.nodes[node]!, over));
  }

  command<Name extends CommandName>(
    name: Name,
    jobId: string,
    over: Partial<CommandOf<Name>> = {},
    { node = 0, ...with_ }: With & { readonly node?: number } = {},
  ) {
    const command = { name, reason: null, ...defaults[name], ...over } as unknown as JobCommand;
    return this.begin(() =>
      this.world.caller.execute(this.caller('caller'), this.world.nodes[node]!, jobId, command, with_),
    );
  }

  beat(jobId: string, token: Token, { node = 0, ...with_ }: With & { readonly node?: number } = {}) {
    const command = { name: 'heartbeat', token, checkpoint: null, state: null } as const;
    return this.begin(() =>
      this.world.caller.heartbeat(this.caller('caller'), this.world.nodes[node]!, jobId, command, with_),
    );
  }

  sweep(node = 0): Promise<Pending<SweepReport>> {
    return this.begin(() => this.world.nodes[node]!.sweep());
  }

  keepHouse(node = 0): Promise<Pending<void>> {
    return this.begin(() => this.world.nodes[node]!.keepHouse());
  }

  /** A job that waits for a worker. */
  async queued(over: Parameters<typeof spec>[0] = {}): Promise<string> {
    return done((await this.create(over)).result)[0]!.jobId;
  }

  /** A job that a worker holds. */
  async running(over: Parameters<typeof spec>[0] = {}): Promise<{ readonly jobId: string; readonly token: Token }> {
    await this.create(over);
    const [claimed] = done((await this.claim('worker')).result);
    const { jobId, run, attempt } = claimed!.outcome;
    return { jobId, token: { run, attempt } };
  }

  job(jobId: string): Job {
    return this.world.witness.job(jobId)!;
  }

  /** Types of the job's transitions. */
  events(jobId: string): readonly string[] {
    return this.world.witness.events.filter(({ stream }) => stream === `job-${jobId}`).map(({ type }) => type);
  }

  processed(jobId: string): number {
    return this.world.witness.fold(jobId).stored!.progress.processed;
  }
}

/** The answer of a call that was accepted. */
export const done = <T>(heard: Heard<T>): T => {
  if (heard.kind !== 'done') throw new Error(`the call was not done: ${heard.kind}`);
  return heard.value;
};

export const tokenOf = ({ outcome: { run, attempt } }: ClaimedJob): Token => ({ run, attempt });
