/**
 * The faults of a run: of the workers that reach the middle of a job, the first is killed and the second is frozen. The
 * frozen one is thawed when its job is another's, so that what it does next is a zombie's.
 */
import type { LedgerEvent } from '../../client/client.js';
import type { MidWork } from './messages.js';
import type { WorkerPool, WorkerProcess } from './worker-pool.js';

export interface Fault {
  readonly kind: 'kill' | 'freeze';
  readonly workerId: string;
  readonly at: MidWork;
  /** From the fault until another worker held the job, ms; null until then. */
  recoveredMs: number | null;
  recoveredBy: string | null;
  /** Calls of the victim that were refused since, by command. */
  readonly refused: Set<string>;
}

interface Struck extends Fault {
  readonly pool: WorkerPool;
  readonly worker: WorkerProcess;
  readonly struckAt: number;
}

export class Faults {
  #kill: Struck | null = null;
  #freeze: Struck | null = null;

  constructor(private readonly onStep: (fault: Fault, step: 'struck' | 'recovered') => void) {}

  get struck(): readonly Fault[] {
    return [this.#kill, this.#freeze].filter((fault) => fault !== null);
  }

  /** Both struck, both jobs taken over, and the zombie turned away. */
  get areOver(): boolean {
    return this.#kill?.recoveredMs != null && this.#freeze?.recoveredMs != null && this.#freeze.refused.size > 0;
  }

  onMidWork(pool: WorkerPool, worker: WorkerProcess, at: MidWork): void {
    if (this.#kill === null) {
      this.#kill = this.#strike('kill', pool, worker, at);
      void worker.kill();
    } else if (this.#freeze === null) {
      this.#freeze = this.#strike('freeze', pool, worker, at);
      pool.freeze(worker);
      // The frozen one reads it when it is thawed, and goes on as if nothing had happened.
      pool.tellAll('go-on');
    } else {
      worker.tell('go-on');
    }
  }

  onEvent(event: LedgerEvent): void {
    if (event.type === 'JobClaimed') this.#onClaimed(event.jobId, event.actor.id);
    if (event.type === 'CommandRefused' && event.data['workerId'] === this.#freeze?.workerId) {
      this.#freeze?.refused.add(String(event.data['command']));
    }
  }

  #strike(kind: Fault['kind'], pool: WorkerPool, worker: WorkerProcess, at: MidWork): Struck {
    const outcome = { recoveredMs: null, recoveredBy: null, refused: new Set<string>() };
    const fault = { kind, pool, worker, workerId: worker.id, at, struckAt: performance.now(), ...outcome };
    this.onStep(fault, 'struck');
    return fault;
  }

  #onClaimed(jobId: string | null, claimedBy: string | null): void {
    for (const fault of [this.#kill, this.#freeze]) {
      if (fault?.at.jobId !== jobId || fault.recoveredMs !== null || claimedBy === fault.workerId) continue;
      fault.recoveredMs = performance.now() - fault.struckAt;
      fault.recoveredBy = claimedBy;
      if (fault === this.#freeze) fault.pool.thaw(fault.worker);
      this.onStep(fault, 'recovered');
    }
  }
}
