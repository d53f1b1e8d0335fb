/**
 * Everything that is asynchronous in a simulated system is a task here: a statement on its way to the database, its
 * answer on its way back, a call over the network, a timer. One task runs at a time, to the end of every promise it
 * settles; which one is next is chosen by a seed, or by a script. Time stands still but for what the scheduler adds.
 */
import type { Random } from './random.js';

/** What can die or freeze: a node, a worker, a client. The database is none: it is what outlives them. */
export interface Process {
  readonly name: string;
  alive: boolean;
  /** Runs nothing before, epoch ms. */
  frozenUntil: number;
}

export interface Task {
  readonly label: string;
  /** Whose code runs; null: the database's. */
  readonly process: Process | null;
  /** Not before, epoch ms. */
  readonly at: number;
  readonly run: () => void;
}

/** Chooses among tasks that can run, and says how the time goes on. */
export interface Chooser {
  choose(tasks: readonly Task[]): Task;
  /** How much time passes before a task runs, ms. */
  tick(): number;
  /** How much longer a task is on its way, ms. */
  delay(): number;
}

/** In the order of arrival, at once. */
export const inOrder: Chooser = { choose: (tasks) => tasks[0]!, tick: () => 0, delay: () => 0 };

export interface Pace {
  /** Most ms that a step takes. */
  readonly stepMs: number;
  /** How often a task is late, and by at most how much. */
  readonly late: number;
  readonly lateMs: number;
}

export const atRandom = (random: Random, { stepMs, late, lateMs }: Pace): Chooser => ({
  choose: (tasks) => random.pick(tasks),
  tick: () => random.int(0, stepMs),
  delay: () => (random.chance(late) ? random.int(1, lateMs) : 0),
});

const drained = globalThis.setImmediate;
const MAX_TRACE = 4_000;

export class Scheduler {
  /** Epoch ms: the database's time. */
  now = Date.UTC(2030, 0, 1);
  /** Whose code runs just now. */
  current: Process | null = null;
  chooser: Chooser = inOrder;
  readonly trace: string[] = [];
  private tasks: Task[] = [];
  private holds: RegExp[] = [];

  /** @param delayMs how long until it may run; chance may add to it */
  enqueue(label: string, process: Process | null, run: () => void, delayMs = 0): Task {
    const task = { label, process, at: this.now + delayMs + this.chooser.delay(), run };
    this.tasks.push(task);
    return task;
  }

  remove(task: Task): void {
    const index = this.tasks.indexOf(task);
    if (index >= 0) this.tasks.splice(index, 1);
  }

  note(text: string): void {
    if (this.trace.length < MAX_TRACE) this.trace.push(`${this.now % 100_000_000} ${text}`);
  }

  sleep(process: Process, ms: number): Promise<void> {
    return new Promise((resolve) => this.enqueue(`${process.name} wakes`, process, resolve, ms));
  }

  /** Tasks that match wait until they are let go. Returns how. */
  hold(pattern: RegExp): () => void {
    this.holds.push(pattern);
    return () => {
      this.holds = this.holds.filter((other) => other !== pattern);
    };
  }

  /** Whether a task that matches waits. */
  waits(pattern: RegExp): boolean {
    return this.tasks.some(({ label }) => pattern.test(label));
  }

  /**
   * Runs one task, waiting for it when none can run now.
   * @param until tasks that could only run later are left; default: for ever
   * @returns false when there is none
   */
  async step(until = Infinity): Promise<boolean> {
    if (this.tasks.some(isDead)) this.tasks = this.tasks.filter((task) => !isDead(task));
    const free = this.holds.length === 0 ? this.tasks : this.tasks.filter((task) => !this.isHeld(task));
    let first = Infinity;
    for (const task of free) first = Math.min(first, startOf(task));
    if (first === Infinity || first > until) return false;
    this.now = Math.max(this.now + this.chooser.tick(), first);
    await this.run(this.chooser.choose(free.filter((task) => startOf(task) <= this.now)));
    return true;
  }

  private isHeld({ label }: Task): boolean {
    return this.holds.some((pattern) => pattern.test(label));
  }

  private async run(task: Task): Promise<void> {
    this.remove(task);
    this.note(task.label);
    this.current = task.process;
    task.run();
    // Every promise that this task settles goes on before the next one runs.
    await new Promise<void>((resolve) => drained(resolve));
    this.current = null;
  }

  /** Runs what can run now, and nothing that waits for a later time. */
  async settle(): Promise<void> {
    while (await this.step(this.now));
  }

  /** Lets time pass; what falls due meanwhile runs at its time. */
  async advance(ms: number): Promise<void> {
    const until = this.now + ms;
    while (await this.step(until));
    this.now = Math.max(this.now, until);
  }
}

const isDead = ({ process }: Task): boolean => process?.alive === false;

const startOf = ({ at, process }: Task): number => (process === null ? at : Math.max(at, process.frozenUntil));
