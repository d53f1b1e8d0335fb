/** Those who call: workers that work, forget, freeze and wake as zombies; clients that change their minds; reapers. */
import type { JobCommand, Token } from '../../src/domain/job-commands.js';
import { toInstant } from '../../src/domain/job-events.js';
import type { ClaimedJob } from '../../src/commands/claim-request.js';
import { spec, type Heard, type With } from './caller.js';
import type { SimulatedNode } from './node.js';
import type { Random } from './random.js';
import type { Process } from './scheduler.js';
import type { World } from './world.js';

/** How the people of one schedule are. */
export interface Habits {
  /** Share of calls with an idempotency key. */
  readonly keyed: number;
  /** Share of unanswered calls that are made again. */
  readonly repeats: number;
  /** Longest pause, ms. */
  readonly pauseMs: number;
  /** Share of pauses of a worker that outlast its lease. */
  readonly freezes: number;
  /** Share of attempts that nobody ends. */
  readonly vanishes: number;
  readonly heartbeats: number;
}

let keys = 0;

/** Keys count anew in each schedule, so that a seed always tells the same. */
export const resetKeys = (): void => {
  keys = 0;
};

abstract class Actor {
  readonly process: Process;

  constructor(
    protected readonly world: World,
    protected readonly random: Random,
    protected readonly habits: Habits,
    name: string,
  ) {
    this.process = world.process(name);
  }

  /** Does what it does until the world is healed. */
  start(): void {
    this.world.scheduler.enqueue(`${this.process.name} starts`, this.process, () => {
      this.live().catch((error: unknown) =>
        this.world.witness.violated(`${this.process.name}: ${error instanceof Error ? error.stack : String(error)}`),
      );
    });
  }

  protected abstract turn(): Promise<void>;

  private async live(): Promise<void> {
    while (!this.world.healed) await this.turn();
  }

  protected get node(): SimulatedNode {
    return this.random.pick(this.world.nodes);
  }

  protected pause(most = this.habits.pauseMs): Promise<void> {
    return this.world.scheduler.sleep(this.process, this.random.int(0, most));
  }

  protected key(): With {
    keys += 1;
    return this.random.chance(this.habits.keyed) ? { key: `key ${keys}` } : {};
  }

  /** Makes the call; an unanswered one again, perhaps at another node. */
  protected async insist<T>(call: (node: SimulatedNode) => Promise<Heard<T>>): Promise<Heard<T>> {
    let heard = await call(this.node);
    while (heard.kind === 'unknown' && !this.world.healed && this.random.chance(this.habits.repeats)) {
      await this.pause(20);
      heard = await call(this.node);
    }
    return heard;
  }
}

export class Worker extends Actor {
  protected async turn(): Promise<void> {
    const { random, world } = this;
    const request = {
      max: random.chance(0.4) ? 3 : 1,
      waitMs: random.chance(0.3) ? random.int(1, 600) : 0,
      start: random.chance(0.8),
      ...(random.chance(0.2) ? { leaseMs: random.int(100, 1_500) } : {}),
      ...this.key(),
    };
    const heard = await this.insist((node) => {
      const hangsUp = new AbortController();
      if (random.chance(0.05)) {
        world.scheduler.enqueue(`${node.name} hears that ${this.process.name} hung up`, node, () => hangsUp.abort(), 5);
      }
      return world.caller.claim(this.process, node, { ...request, signal: hangsUp.signal });
    });
    if (heard.kind === 'done' && heard.value.length > 0) {
      if (random.chance(0.3)) await this.beatAll(heard.value);
      await Promise.all(heard.value.map((claimed) => this.work(claimed)));
    } else await this.pause();
  }

  /** Beats of many jobs at one node at once: they go together. */
  private async beatAll(claimed: readonly ClaimedJob[]): Promise<void> {
    const { node, world, process } = this;
    const jobs = [...claimed, ...claimed].map(({ outcome }) => outcome);
    await Promise.all(
      jobs.map(({ jobId, run, attempt }) => {
        const command = { name: 'heartbeat', token: { run, attempt }, checkpoint: null, state: null } as const;
        return world.caller.heartbeat(process, node, jobId, command);
      }),
    );
  }

  private async work({ outcome }: ClaimedJob): Promise<void> {
    const { jobId, run, attempt } = outcome;
    const token = { run, attempt };
    let batches = 0;
    for (let left = this.random.int(0, 5); left > 0; left -= 1) {
      const step = this.random.weighted({ beat: this.habits.heartbeats, progress: 3, again: 1, pause: 2, start: 0.5 });
      let goesOn = true;
      if (step === 'beat') goesOn = await this.beat(jobId, token);
      else if (step === 'start') goesOn = await this.tell(jobId, { name: 'start', token, reason: null });
      else if (step === 'pause') await this.rest();
      else {
        if (step === 'progress') batches += 1;
        goesOn = await this.report(jobId, token, `b${Math.max(1, batches)}`);
      }
      if (!goesOn && this.random.chance(0.7)) return;
    }
    if (this.random.chance(this.habits.vanishes)) return;
    const ending = this.ending(token);
    await this.tell(jobId, ending);
    // A slow writer says it again, or changes its mind.
    if (this.random.chance(0.15)) await this.rest();
    if (this.random.chance(0.2)) await this.tell(jobId, this.random.chance(0.5) ? ending : this.ending(token));
  }

  private async rest(): Promise<void> {
    if (!this.random.chance(this.habits.freezes)) return this.pause();
    this.process.frozenUntil = this.world.scheduler.now + this.random.int(100, 2_500);
    await this.pause();
  }

  private async beat(jobId: string, token: NonNullable<Token>): Promise<boolean> {
    const { random, world } = this;
    const value = random.pick(['a', 'b']);
    const command = {
      name: 'heartbeat',
      token,
      checkpoint: random.chance(0.25) ? { value, digest: value } : null,
      state: random.chance(0.15) ? random.pick(['waiting', 'loading']) : null,
    } as const;
    const over = { ...(random.chance(0.2) ? this.key() : {}), ...(random.chance(0.2) ? { leaseMs: 700 } : {}) };
    const heard = await this.insist((node) => world.caller.heartbeat(this.process, node, jobId, command, over));
    return heard.kind !== 'refused';
  }

  private async report(jobId: string, token: NonNullable<Token>, batchId: string): Promise<boolean> {
    const { random } = this;
    const processed = Number(batchId.slice(1));
    const command: JobCommand = {
      ...{ name: 'progress', token, batchId, processed, failed: 0, skipped: 0 },
      ...{ stage: null, current: null, total: null, message: null },
    };
    const sends = random.chance(0.15) ? 2 : 1;
    const sent = await Promise.all(Array.from({ length: sends }, () => this.tell(jobId, command)));
    return sent.every(Boolean);
  }

  private ending(token: NonNullable<Token>): JobCommand {
    const { random } = this;
    switch (random.weighted({ complete: 5, fail: 2, failForGood: 0.5, throttle: 1, wait: 1, release: 1 })) {
      case 'complete':
        return { name: 'complete', token, result: { ok: true } };
      case 'fail':
        return { name: 'fail', token, code: 'Boom', message: 'boom', detail: null, retryable: true };
      case 'failForGood':
        return { name: 'fail', token, code: 'Boom', message: 'boom', detail: null, retryable: false };
      case 'throttle':
        return { name: 'throttle', token, reason: null, retryAfterMs: random.int(100, 800) };
      case 'wait':
        return { name: 'wait', token, reason: 'approval', detail: null, until: null };
      case 'release':
        return { name: 'release', token, reason: 'shutdown' };
    }
  }

  private async tell(jobId: string, command: JobCommand): Promise<boolean> {
    const over = this.key();
    const heard = await this.insist((node) => this.world.caller.execute(this.process, node, jobId, command, over));
    return heard.kind !== 'refused';
  }
}

/** Creates jobs, and changes its mind about any of them. */
export class Client extends Actor {
  private left = this.random.int(1, 4);

  protected async turn(): Promise<void> {
    if (this.left > 0) {
      this.left -= 1;
      await this.create();
    } else await this.command();
    await this.pause();
  }

  private async create(): Promise<void> {
    const { random, world } = this;
    const specs = Array.from({ length: random.chance(0.2) ? 2 : 1 }, () =>
      spec({
        autostart: random.chance(0.9),
        priority: random.int(-1, 1),
        total: random.chance(0.3) ? 5 : null,
        availableAt: random.chance(0.2) ? toInstant(world.scheduler.now + random.int(-100, 1_500)) : null,
        maxAttempts: random.chance(0.2) ? random.int(1, 3) : null,
        policy: random.chance(0.2) ? { onStale: random.pick(['fail', 'requeue', 'cancel']), leaseMs: 200 } : null,
      }),
    );
    const over = this.key();
    const call = () => this.insist((node) => world.caller.create(this.process, node, specs, over));
    // The same key at several nodes at once: one job.
    const calls = over.key !== undefined && random.chance(0.3) ? [call(), call(), call()] : [call()];
    await Promise.all(calls);
  }

  private async command(): Promise<void> {
    const { random, world } = this;
    const jobId = random.chance(0.03) ? '0190a000-0000-7000-8000-000000000000' : random.pick([...world.witness.jobIds]);
    if ((jobId as string | undefined) === undefined) return;
    const known = world.witness.job(jobId);
    const ifMatch = known !== undefined && random.chance(0.15) ? { ifMatch: known.revision } : {};
    const over = { ...this.key(), ...ifMatch };
    const command = this.choose();
    const call = () => this.insist((node) => world.caller.execute(this.process, node, jobId, command, over));
    await Promise.all(random.chance(0.15) ? [call(), call()] : [call()]);
  }

  private choose(): JobCommand {
    const { random, world } = this;
    const reason = null;
    const name = random.weighted({
      ...{ cancel: 1, force: 0.5, retry: 3, hold: 1.5, resume: 2, reschedule: 1, priority: 1, start: 1 },
      ...{ 'force-fail': 0.5, 'emergency-stop': 0.4, requeue: 1 },
    });
    switch (name) {
      case 'cancel':
        return { name: 'cancel', force: false, reason };
      case 'force':
        return { name: 'cancel', force: true, reason };
      case 'reschedule':
        return { name, availableAt: toInstant(world.scheduler.now + random.int(-500, 2_000)), reason };
      case 'priority':
        return { name, priority: random.int(-2, 2), reason };
      case 'start':
        return { name, token: undefined, reason };
      default:
        return { name, reason };
    }
  }
}

/** Sweeps on some node, as often as it likes; two of them may sweep at once. */
export class Reaper extends Actor {
  protected async turn(): Promise<void> {
    const { node, world, random } = this;
    const keepsHouse = random.chance(0.3);
    await world.network
      .call(this.process, node, keepsHouse ? 'keep house' : 'sweep', async () => {
        if (keepsHouse) await node.keepHouse();
        else await node.sweep();
      })
      .catch((error: unknown) => world.sweepFailed(error));
    await this.pause();
  }
}
