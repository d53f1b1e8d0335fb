/**
 * The fault of a replay: half-way every worker is told to wait before it ends a job, the first that does is killed, and
 * the others go on. Nothing more is submitted until all have heard it, so it is sure that the killed one held work.
 */
import type { LedgerEvent } from '../../client/client.js';
import { WAITS } from '../demo/worker-process.js';
import type { WorkerPool, WorkerProcess } from '../demo/worker-pool.js';
import { isTerminal } from '../../domain/job-chart.js';
import type { ReplayView } from './replay-view.js';
import type { WaitingWith } from './replay-worker.js';

export type KillStep = 'struck' | 'recovered';

export class WorkerKill {
  readonly #waiting = new Set<WorkerProcess>();
  #isAsked = false;
  victim: string | null = null;
  /** Leases of it that lapsed: the others of its jobs had ended before it was killed. */
  lost = 0;
  /** From the kill until the last of them was taken over or ended, ms. */
  recoveredMs: number | null = null;
  #struckAt = 0;
  readonly #orphans = new Set<string>();

  constructor(
    private readonly pool: WorkerPool,
    private readonly view: ReplayView,
    private readonly onStep: (step: KillStep) => void,
  ) {}

  /** It is time. */
  ask(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    this.pool.tellAll('wait');
  }

  /** Whether all have heard that it is time. */
  get isSure(): boolean {
    return this.#isAsked && this.pool.workers.every((worker) => !worker.isRunning || this.#waiting.has(worker));
  }

  /** A worker has heard it, or waits with a job. */
  onMessage(worker: WorkerProcess, message: typeof WAITS | WaitingWith): void {
    this.#waiting.add(worker);
    if (message === WAITS) return;
    if (this.victim === null) this.#strike(worker, message.jobId);
    worker.tell('go-on');
  }

  onEvent({ type, jobId, actor, to, data }: LedgerEvent): void {
    if (this.victim === null || jobId === null) return;
    if (type === 'LeaseExpired' && data['workerId'] === this.victim) this.lost += 1;
    if (type === 'JobClaimed' && actor.id === this.victim) this.#orphans.add(jobId);
    else if (type === 'JobClaimed' || (to !== null && isTerminal(to))) this.#orphans.delete(jobId);
    if (this.#orphans.size > 0 || this.recoveredMs !== null) return;
    this.recoveredMs = performance.now() - this.#struckAt;
    this.onStep('recovered');
  }

  #strike(worker: WorkerProcess, jobId: string): void {
    this.victim = worker.id;
    this.#struckAt = performance.now();
    void worker.kill();
    for (const held of [...this.view.heldBy(worker.id), jobId]) this.#orphans.add(held);
    this.pool.tellAll('go-on');
    this.onStep('struck');
  }
}
