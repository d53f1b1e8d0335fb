/** The run as its events tell it: what the display shows, and when it is over. Nothing is asked of the workers. */
import type { JobStatus, LedgerEvent } from '../../client/client.js';
import { hasTag, isTerminal } from '../../domain/job-chart.js';
import { BYTES_STAGE } from './attempt-tally.js';
import type { PlannedJob } from './catalogue.js';
import type { JobFolder } from './job-folder.js';

export interface JobView {
  readonly plan: PlannedJob;
  status: JobStatus;
  /** Who holds it, else who held it last. */
  workerId: string | null;
  processed: number;
  bytes: number;
  /** Where the next attempt begins to count. */
  saved: { readonly processed: number; readonly bytes: number };
}

const NOTHING = { processed: 0, bytes: 0 };

export class RunView {
  readonly jobs = new Map<string, JobView>();
  readonly #plans: ReadonlyMap<string, PlannedJob>;
  completed = 0;
  /** Refusals apart. */
  events = 0;
  refusals = 0;
  lostLeases = 0;
  firstClaimAt: number | null = null;
  lastEndAt: number | null = null;

  constructor(plans: readonly PlannedJob[]) {
    this.#plans = new Map(plans.map((plan) => [plan.folder, plan]));
  }

  /** Events of other jobs change nothing. */
  apply(event: LedgerEvent): void {
    const job = this.#jobOf(event);
    if (job === undefined) return;
    if (event.type === 'CommandRefused') {
      this.refusals += 1;
      return;
    }
    this.events += 1;
    if (event.to !== null) job.status = event.to;
    if (event.to !== null && isTerminal(event.to)) this.lastEndAt = performance.now();
    this.#count(job, event);
  }

  get planned(): number {
    return this.#plans.size;
  }

  get isOver(): boolean {
    return this.jobs.size === this.planned && [...this.jobs.values()].every(({ status }) => isTerminal(status));
  }

  sum(numberOf: (job: JobView) => number): number {
    return [...this.jobs.values()].reduce((sum, job) => sum + numberOf(job), 0);
  }

  /** The job that the worker is at. */
  heldBy(workerId: string): JobView | undefined {
    return [...this.jobs.values()].find((job) => job.workerId === workerId && hasTag(job.status, 'active'));
  }

  #jobOf({ type, jobId, to, data }: LedgerEvent): JobView | undefined {
    if (jobId === null) return undefined;
    const known = this.jobs.get(jobId);
    if (known !== undefined || type !== 'JobCreated' || to === null) return known;
    const { payload } = data['spec'] as { readonly payload: JobFolder };
    const plan = this.#plans.get(payload.folder);
    if (plan === undefined) return undefined;
    const job = { plan, status: to, workerId: null, ...NOTHING, saved: NOTHING };
    this.jobs.set(jobId, job);
    return job;
  }

  #count(job: JobView, { type, actor, data }: LedgerEvent): void {
    switch (type) {
      case 'JobClaimed':
        this.firstClaimAt ??= performance.now();
        Object.assign(job, job.saved, { workerId: actor.id });
        break;
      case 'ProgressRecorded':
        job[data['stage'] === BYTES_STAGE ? 'bytes' : 'processed'] += Number(data['processed']);
        break;
      case 'CheckpointSaved':
        job.saved = { processed: job.processed, bytes: job.bytes };
        break;
      case 'LeaseExpired':
        this.lostLeases += 1;
        break;
      case 'JobCompleted':
        this.completed += 1;
        break;
    }
  }
}
