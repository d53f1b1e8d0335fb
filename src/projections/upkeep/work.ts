/** A run of upkeep in the process that works on it: how far it is, and whether it may go on. */
import { performance } from 'node:perf_hooks';
import type { Position } from '../../event-store/event-store.js';
import { TakenOver } from './building.js';
import type { UpkeepRun, UpkeepRuns, UpkeepStep } from './upkeep-runs.js';

/** What a run says of itself while it is worked on. */
export class Work {
  private step: UpkeepStep;
  private position: Position;
  private events: number;
  private own = 0;
  private readonly began = performance.now();
  private readonly stop = new AbortController();
  private readonly onStopping = () => this.stop.abort(this.stopping.reason);

  constructor(
    readonly run: UpkeepRun,
    private readonly runs: UpkeepRuns,
    /** Of the process. */
    private readonly stopping: AbortSignal,
  ) {
    this.step = run.step;
    this.position = run.position;
    this.events = run.events;
    if (stopping.aborted) this.onStopping();
    else stopping.addEventListener('abort', this.onStopping, { once: true });
  }

  /** The process outlives many runs: it is heeded no more. */
  end(): void {
    this.stopping.removeEventListener('abort', this.onStopping);
  }

  get signal(): AbortSignal {
    return this.stop.signal;
  }

  readonly onPage = (position: Position, events: number): void => {
    this.position = position;
    this.events += events;
    this.own += events;
  };

  /** Another thing begins, at the start of the log again when what was made is thrown away. */
  async enter(step: UpkeepStep, from?: Position): Promise<void> {
    this.step = step;
    if (from !== undefined) {
      this.position = from;
      this.events = 0;
    }
    await this.renew();
  }

  /** @throws TakenOver */
  async renew(): Promise<void> {
    const seconds = (performance.now() - this.began) / 1000;
    const progress = {
      ...{ step: this.step, position: this.position, events: this.events },
      eventsPerSecond: this.own === 0 ? null : Math.round(this.own / seconds),
    };
    if (await this.runs.renew(this.run.id, progress)) return;
    const taken = new TakenOver(`the ${this.run.kind} of ${this.run.subject}`);
    this.stop.abort(taken);
    throw taken;
  }
}
