/** One run on a service: creates the jobs, starts the workers, and waits until all is over. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { JobledgerClient, LedgerEvent, Position } from '../../client/client.js';
import type { CatalogueArguments } from './arguments.js';
import type { PlannedJob } from './catalogue.js';
import type { Display } from './display.js';
import { type Fault, Faults } from './faults.js';
import type { JobFolder } from './job-folder.js';
import type { CatalogueSetup, MidWork } from './messages.js';
import type { FaultSummary } from './report.js';
import { followRun, startOf } from './run-events.js';
import { runPicture, shortName } from './run-picture.js';
import { RunView } from './run-view.js';
import { formatCount, formatSeconds } from '../text.js';
import { nothingHappens, RunFailed } from './unfinished.js';
import { WorkerPool, type WorkerProcess } from './worker-pool.js';

const WORKER = join(import.meta.dirname, 'catalogue-worker.js');
const BATCH = 1_000;
/** Nothing has happened for so long that nothing will. */
const IDLE_LIMIT_MS = 60_000;
/** What a thawed worker has to be turned away in once all jobs are done. */
const ZOMBIE_LIMIT_MS = 15_000;
const WORKER_STOP_MS = 10_000;
const WATCH_MS = 100;

const nameOf = (workerId: string | null): string => workerId?.slice(workerId.lastIndexOf('/') + 1) ?? 'nobody';

export class DemoRun {
  /** Of this run alone, so that it disturbs no other jobs of the service, and they do not disturb it. */
  readonly queue = `demo-${randomUUID()}`;
  readonly view: RunView;
  /** Where the log stood before the run. */
  startedAt: Position = '0';
  #pool: WorkerPool | null = null;
  readonly #faults: Faults | null;
  readonly #over = new AbortController();
  #lastEventAt = performance.now();

  constructor(
    private readonly client: JobledgerClient,
    private readonly args: CatalogueArguments,
    private readonly plans: readonly PlannedJob[],
    private readonly display: Display,
  ) {
    this.view = new RunView(plans);
    this.#faults = args.faults ? new Faults((fault, step) => this.#tellFault(fault, step)) : null;
  }

  /** Resolves when every job has ended and the faults are over; @throws RunFailed */
  async work(url: string, signal: AbortSignal): Promise<void> {
    const { client, queue, view } = this;
    const stream = followRun(client, { queue }, (event) => this.#onEvent(event), this.#over.signal);
    // Rejections are met in the race below, which may begin later.
    stream.ended.catch(() => undefined);
    this.startedAt = await startOf(stream, signal);
    await this.#createJobs(signal);
    const { apiKey, leaseMs, faults } = this.args;
    const setup: Omit<CatalogueSetup, 'workerId'> = { url, apiKey, queue, leaseMs, waitsInMidWork: faults };
    signal.throwIfAborted();
    this.#pool = new WorkerPool(this.args.workers, WORKER, setup, {
      onMessage: (worker, at: MidWork) => this.#faults?.onMidWork(this.#pool!, worker, at),
      onLost: (worker, why) => this.#onWorkerLost(worker, why),
    });
    this.display.watch(runPicture(view, this.#watchedWorkers()));
    try {
      await Promise.race([this.#untilOver(signal), stream.ended]);
    } finally {
      this.display.end();
    }
    await this.#pool.stop(WORKER_STOP_MS);
  }

  /** Ends the workers at once. */
  async abandon(): Promise<void> {
    await this.#pool?.kill();
  }

  /** Ends the stream, so that the process can end. */
  close(): void {
    this.#over.abort();
  }

  get workedMs(): number {
    return (this.view.lastEndAt ?? 0) - (this.view.firstClaimAt ?? 0);
  }

  /** Null when none were to happen. */
  get faults(): readonly FaultSummary[] | null {
    return this.#faults?.struck.map((fault) => ({ ...fault, story: this.#storyOf(fault) })) ?? null;
  }

  /** Whether everything that was to happen did. */
  get faultsAreOver(): boolean {
    return this.#faults?.areOver ?? true;
  }

  async #createJobs(signal: AbortSignal): Promise<void> {
    const { queue, plans } = this;
    for (let from = 0; from < plans.length; from += BATCH) {
      const jobs = plans.slice(from, from + BATCH).map(({ root, folder, split, entries }) => ({
        ...{ type: 'catalogue', queue, tags: [queue], correlationId: queue, total: entries },
        payload: { root, folder, split } satisfies JobFolder,
        // A busy machine may be late with a heartbeat; the run is to end all the same.
        policy: { leaseMs: this.args.leaseMs, maxLostLeases: 50 },
      }));
      await this.client.createJobs({ jobs }, { signal });
    }
  }

  async #untilOver(signal: AbortSignal): Promise<void> {
    while (!this.#over.signal.aborted) {
      signal.throwIfAborted();
      const idleMs = performance.now() - this.#lastEventAt;
      if (this.view.isOver && (this.faultsAreOver || idleMs > ZOMBIE_LIMIT_MS)) return;
      if (idleMs > IDLE_LIMIT_MS) throw await nothingHappens(this.client, IDLE_LIMIT_MS, this.#pool?.complaints ?? '');
      if (this.#pool?.isAlive === false) throw new RunFailed(`no worker is left\n${this.#pool.complaints}`);
      await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
    }
  }

  #onEvent(event: LedgerEvent): void {
    this.#lastEventAt = performance.now();
    this.view.apply(event);
    this.#faults?.onEvent(event);
  }

  #onWorkerLost(worker: WorkerProcess, why: string): void {
    this.display.say(`${nameOf(worker.id)} ended by itself (${why})`);
    for (const line of worker.complaints) this.display.say(`  ${line}`);
  }

  #watchedWorkers() {
    return (this.#pool?.workers ?? []).map(({ id }) => ({ id, fate: () => this.#fateOf(id) }));
  }

  #fateOf(workerId: string): string | null {
    const fault = this.#faults?.struck.find((struck) => struck.workerId === workerId);
    if (fault === undefined) return null;
    if (fault.kind === 'kill') return 'killed';
    return fault.recoveredMs === null ? 'frozen' : null;
  }

  #tellFault(fault: Fault, step: 'struck' | 'recovered'): void {
    const { kind, workerId, at, recoveredBy, recoveredMs } = fault;
    const victim = nameOf(workerId);
    const name = shortName(this.view.jobs.get(at.jobId)?.plan.name ?? at.jobId);
    if (step === 'struck') {
      const deed = kind === 'kill' ? `killed ${victim} (SIGKILL)` : `froze ${victim} (SIGSTOP)`;
      const where = `at ${formatCount(at.reported)} of ${formatCount(at.entries)} files of ${name}`;
      this.display.say(`${deed} ${where}`);
      return;
    }
    const after = formatSeconds(recoveredMs ?? 0);
    const thaw = kind === 'freeze' ? `; resumed ${victim} (SIGCONT), which does not know` : '';
    this.display.say(`${nameOf(recoveredBy)} took over ${name} after ${after}${thaw}`);
  }

  #storyOf({ workerId, at, recoveredBy }: Fault): string {
    const name = shortName(this.view.jobs.get(at.jobId)?.plan.name ?? at.jobId);
    return `${name} at file ${formatCount(at.reported)} of ${formatCount(at.entries)}, ${nameOf(workerId)} → ${nameOf(recoveredBy)}`;
  }
}
