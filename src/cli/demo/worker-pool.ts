/** The worker processes as the demo holds them: started, told, killed, frozen, ended. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type Order, type WorkerSetup, writeSetup } from './messages.js';

export interface WorkerEvents<Message> {
  readonly onMessage: (worker: WorkerProcess, message: Message) => void;
  /** It ended without having been told to. */
  readonly onLost: (worker: WorkerProcess, why: string) => void;
}

/** Of what a process says of its troubles. */
const KEPT_LINES = 20;

export class WorkerProcess {
  readonly id: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #lines: string[] = [];
  #isEnding = false;

  constructor(program: string, setup: WorkerSetup, events: WorkerEvents<never>) {
    this.id = setup.workerId;
    this.#child = fork(program, [], {
      env: { ...process.env, ...writeSetup(setup) },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Ctrl-C is the demo's, which ends its workers in order.
      detached: true,
    });
    this.#exited = once(this.#child, 'exit');
    this.#child.on('message', (message) => events.onMessage(this, message as never));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#keep(text));
    this.#child.once('exit', (code, signal) => {
      if (!this.#isEnding) events.onLost(this, signal ?? `exit ${code ?? ''}`);
    });
    // Telling a process that has just died fails; that it died is told by `exit`.
    this.#child.on('error', (error) => this.#keep(error.message));
  }

  get pid(): number | null {
    return this.#child.pid ?? null;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The last things it complained about. */
  get complaints(): readonly string[] {
    return this.#lines;
  }

  tell(order: Order): void {
    if (this.#child.connected) this.#child.send(order, () => undefined);
  }

  /** SIGSTOP and SIGCONT. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  /** kill -9, also of a frozen one. */
  async kill(): Promise<void> {
    this.#isEnding = true;
    this.#child.kill('SIGKILL');
    if (this.isRunning) await this.#exited;
  }

  /** Lets it finish what it holds. */
  async stop(limitMs: number): Promise<void> {
    this.#isEnding = true;
    this.tell('stop');
    const timer = setTimeout(() => void this.kill(), limitMs);
    if (this.isRunning) await this.#exited;
    clearTimeout(timer);
  }

  #keep(text: string): void {
    this.#lines.push(...text.split('\n').filter((line) => line !== ''));
    this.#lines.splice(0, this.#lines.length - KEPT_LINES);
  }
}

export class WorkerPool {
  readonly workers: readonly WorkerProcess[];

  /** @param program the file that each process runs. */
  constructor(count: number, program: string, setup: Omit<WorkerSetup, 'workerId'>, events: WorkerEvents<never>) {
    this.workers = Array.from({ length: count }, (_, index) => {
      // Unique on a service that others use: queues of runs are.
      const workerId = `${setup.queue}/worker-${index + 1}`;
      return new WorkerProcess(program, { ...setup, workerId }, events);
    });
  }

  get isAlive(): boolean {
    return this.workers.some(({ isRunning }) => isRunning);
  }

  /** The last things that workers complained about. */
  get complaints(): string {
    return this.workers.flatMap(({ complaints }) => complaints).join('\n');
  }

  tellAll(order: Order): void {
    for (const worker of this.workers) worker.tell(order);
  }

  /** Nothing in the process runs until it is thawed. */
  freeze(worker: WorkerProcess): void {
    worker.signal('SIGSTOP');
    this.tellAll({ frozenPid: worker.pid });
  }

  thaw(worker: WorkerProcess): void {
    worker.signal('SIGCONT');
    this.tellAll({ frozenPid: null });
  }

  /** Each finishes what it holds. */
  async stop(limitMs: number): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop(limitMs)));
  }

  async kill(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.kill()));
  }
}
