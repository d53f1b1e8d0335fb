/** One replay on a service: submits, starts the workers, and waits until every job has ended. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { JobledgerClient, LedgerEvent, Position } from '../../client/client.js';
import type { ReplayArguments } from '../demo/arguments.js';
import type { Display } from '../demo/display.js';
import { followRun, startOf } from '../demo/run-events.js';
import { nothingHappens, RunFailed } from '../demo/unfinished.js';
import { WorkerPool, type WorkerProcess } from '../demo/worker-pool.js';
import type { WAITS } from '../demo/worker-process.js';
import { formatCount, formatSeconds } from '../text.js';
import { mostAtOnce } from './most-at-once.js';
import { ReplayClock } from './replay-clock.js';
import { replayPicture } from './replay-picture.js';
import { EVENTS_OF_REPLAY, ReplayView } from './replay-view.js';
import type { ReplaySetup, WaitingWith } from './replay-worker.js';
import { isCancelledBeforeItRan } from './replayed-job.js';
import { Submitter } from './submitter.js';
import { type KillStep, WorkerKill } from './worker-kill.js';
import type { LoggedJob } from './workload.js';

const WORKER = join(import.meta.dirname, 'replay-worker.js');
/** Without a clock: jobs on the ledger that have not ended. */
const MOST_OPEN = 2_000;
/** Without a clock each worker has so many calls under way. */
const LEAST_HELD = 32;
const MOST_HELD = 1_000;
/** A service that is away may come back. */
const IDLE_LIMIT_MS = 300_000;
const WORKER_STOP_MS = 10_000;
const WATCH_MS = 50;

const nameOf = (workerId: string): string => workerId.slice(workerId.lastIndexOf('/') + 1);

/** Up to which job nothing is to be killed: half of them, so that one that is worked comes after; null: none is worked. */
const killAfter = (jobs: readonly LoggedJob[]): number | null => {
  const last = jobs.findLastIndex((job) => !isCancelledBeforeItRan(job));
  return last < 0 ? null : Math.min(last, Math.floor(jobs.length / 2));
};

export class ReplayRun {
  /** Of this run alone, so that it disturbs no other jobs of the service, and they do not disturb it. */
  readonly queue = `swf-${randomUUID()}`;
  readonly view = new ReplayView();
  readonly clock: ReplayClock;
  readonly #submitter: Submitter;
  readonly #killAfter: number | null;
  /** From a submit to an end, in seconds of the log: for so long nothing may have to happen. */
  readonly #longest: number;
  readonly #over = new AbortController();
  #pool: WorkerPool | null = null;
  #kill: WorkerKill | null = null;
  #lastEventAt = performance.now();
  #startedAt = 0;
  #endedAt = 0;
  /** Of the last event that was seen. */
  position: Position = '0';

  constructor(
    private readonly client: JobledgerClient,
    private readonly args: ReplayArguments,
    private readonly jobs: readonly LoggedJob[],
    private readonly display: Display,
  ) {
    this.clock = new ReplayClock(jobs[0]?.submit ?? 0, args.speed, () => performance.now());
    this.#killAfter = args.faults ? killAfter(jobs) : null;
    this.#longest = jobs.reduce((most, { run, wait }) => Math.max(most, run + wait), 0);
    const room = (): number => this.#room();
    const { signal } = this.#over;
    this.#submitter = new Submitter(jobs, { ...args, client, queue: this.queue, clock: this.clock, signal, room });
  }

  get workedMs(): number {
    return this.#endedAt - this.#startedAt;
  }

  /** Null when nobody was to be killed. */
  get kill(): Pick<WorkerKill, 'recoveredMs'> | null {
    return this.#kill;
  }

  /** Resolves when every job has ended; @throws RunFailed, or what the ledger refused. */
  async work(url: string, signal: AbortSignal): Promise<void> {
    const stream = followRun(
      this.client,
      { queue: this.queue, types: EVENTS_OF_REPLAY },
      (event) => this.#onEvent(event),
      this.#over.signal,
    );
    // Rejections are met in the race below, which may begin later.
    stream.ended.catch(() => undefined);
    this.position = await startOf(stream, signal);
    signal.throwIfAborted();
    this.#startWorkers(url);
    this.#startedAt = performance.now();
    this.#lastEventAt = this.#startedAt;
    this.clock.start();
    const submitting = this.#submitter.run(AbortSignal.any([signal, this.#over.signal]));
    submitting.catch(() => undefined);
    this.display.watch(
      replayPicture({
        view: this.view,
        jobs: this.jobs.length,
        submitter: this.#submitter,
        elapsedMs: () => performance.now() - this.#startedAt,
        workers: (this.#pool?.workers ?? []).map(({ id }) => ({
          id,
          name: nameOf(id),
          isLost: () => this.#isLost(id),
        })),
      }),
    );
    try {
      await Promise.race([Promise.all([submitting, this.#untilOver(signal)]), stream.ended]);
      this.#endedAt = performance.now();
    } finally {
      this.display.end();
    }
    await this.#pool?.stop(WORKER_STOP_MS);
  }

  /** Ends the workers at once. */
  async abandon(): Promise<void> {
    await this.#pool?.kill();
  }

  /** Ends the stream, so that the process can end. */
  close(): void {
    this.#over.abort(new Error('the replay is over'));
  }

  #startWorkers(url: string): void {
    const { workers, apiKey, leaseMs, speed } = this.args;
    // One may be killed, and the others do its work too.
    const share = Math.ceil((1.25 * mostAtOnce(this.jobs)) / Math.max(1, workers - 1));
    const concurrency = speed === null ? LEAST_HELD : Math.min(MOST_HELD, Math.max(LEAST_HELD, share));
    const common = { url, apiKey, queue: this.queue, leaseMs };
    const setup: Omit<ReplaySetup, 'workerId'> = { ...common, msPerSecond: this.clock.msOf(1), concurrency };
    this.#pool = new WorkerPool(workers, WORKER, setup, {
      onMessage: (worker, message: typeof WAITS | WaitingWith) => this.#kill?.onMessage(worker, message),
      onLost: (worker, why) => this.#onWorkerLost(worker, why),
    });
    if (this.#killAfter === null) return;
    this.#kill = new WorkerKill(this.#pool, this.view, (step) => this.#tellKill(step));
  }

  #room(): number {
    const { submitted } = this.#submitter;
    const open = this.args.speed === null ? MOST_OPEN - (submitted - this.view.ended) : Infinity;
    if (this.#kill === null || this.#killAfter === null || this.#kill.isSure) return open;
    if (submitted >= this.#killAfter) this.#kill.ask();
    return Math.min(open, this.#killAfter - submitted);
  }

  async #untilOver(signal: AbortSignal): Promise<void> {
    while (this.view.ended < this.jobs.length) {
      signal.throwIfAborted();
      // Until something is due nothing has to happen.
      if ((this.#submitter.dueInMs ?? 0) > 0) this.#lastEventAt = performance.now();
      const runningMs = this.clock.msOf(this.#longest);
      if (performance.now() - this.#lastEventAt > IDLE_LIMIT_MS + runningMs) {
        throw await nothingHappens(this.client, IDLE_LIMIT_MS, this.#pool?.complaints ?? '');
      }
      if (this.#pool?.isAlive === false) throw new RunFailed(`no worker is left\n${this.#pool.complaints}`);
      await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
    }
  }

  #onEvent(event: LedgerEvent): void {
    this.#lastEventAt = performance.now();
    this.position = event.position;
    // Only of jobs that their log says were cancelled while they ran.
    if (event.type === 'ProgressRecorded' && event.jobId !== null) this.#submitter.cancelNow(event.jobId);
    this.view.apply(event);
    this.#kill?.onEvent(event);
  }

  #isLost(workerId: string): boolean {
    return this.#kill?.victim === workerId;
  }

  #onWorkerLost(worker: WorkerProcess, why: string): void {
    this.display.say(`${nameOf(worker.id)} ended by itself (${why})`);
    for (const line of worker.complaints) this.display.say(`  ${line}`);
  }

  #tellKill(step: KillStep): void {
    const { victim, lost, recoveredMs } = this.#kill!;
    const name = nameOf(victim ?? '');
    if (step === 'struck') this.display.say(`killed ${name} (SIGKILL) while it held work`);
    else {
      const what = lost === 1 ? '1 lease lapsed, its job was' : `${formatCount(lost)} leases lapsed, their jobs were`;
      this.display.say(`of ${name} ${what} taken over, ${formatSeconds(recoveredMs ?? 0)} after the kill`);
    }
  }
}
