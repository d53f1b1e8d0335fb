/**
 * What the leading reaper does beside its sweeps: finds jobs whose lease row was lost, forgets old answers and hints.
 * No sweep waits for it, and no part of it for another: each takes as long as the tables are large, or as what a held
 * snapshot keeps of them. It rests twenty times as long as it took.
 */
import { performance } from 'node:perf_hooks';
import type { Answers } from '../commands/answers.js';
import type { Contexts } from '../commands/contexts.js';
import { seedOf } from '../commands/lease-seed.js';
import { statusesTagged } from '../domain/job-chart.js';
import type { Leases } from '../leases/leases.js';
import type { JobRows } from '../projections/jobs/job-rows.js';

export interface HousekeepingDependencies {
  /** And the answers, on connections that may take their time. */
  readonly rows: JobRows;
  readonly leases: Leases;
  readonly contexts: Contexts;
  readonly answers: Answers;
  /** Ends those connections. */
  readonly end: () => Promise<void>;
  /** Reservations and claimers that are of no use any more. */
  readonly forgetHints: () => Promise<unknown>;
  /** Told of each part that failed; it is tried again. */
  readonly onError: (error: unknown) => void;
}

const EVERY_MS = 60_000;
const REST_SHARE = 20;
/** Leases that are made again in one go. */
const SEED_PAGE = 1_000;

/** Lease rows that were lost are made again. */
export const seedLostLeases = async ({
  rows,
  leases,
  contexts,
}: Pick<HousekeepingDependencies, 'rows' | 'leases' | 'contexts'>): Promise<void> => {
  const lost = await rows.withoutLease(statusesTagged('reapable'), SEED_PAGE);
  await leases.seed(lost.map((stored) => seedOf(stored, contexts)));
};

export class Housekeeping {
  private nextAt = -Infinity;
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(
    private readonly on: HousekeepingDependencies,
    /** How long first answers are kept, ms. */
    private readonly idempotencyMs: number,
    /** A monotonic clock, ms. */
    private readonly elapsed: () => number = () => performance.now(),
  ) {}

  /** Begins when it is time. @returns its end: no sweep waits for that */
  begin(): Promise<void> {
    if (!this.stopped && this.running === undefined && this.elapsed() >= this.nextAt)
      this.running = this.run().finally(() => (this.running = undefined));
    return this.running ?? Promise.resolve();
  }

  /** Breaks off. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.on.end();
    await this.running;
  }

  private async run(): Promise<void> {
    const began = this.elapsed();
    const { answers, forgetHints } = this.on;
    for (const part of [() => seedLostLeases(this.on), () => answers.purge(this.idempotencyMs), forgetHints]) {
      if (this.stopped) return;
      await part().catch((error: unknown) => {
        if (!this.stopped) this.on.onError(error);
      });
    }
    const now = this.elapsed();
    this.nextAt = now + Math.max(EVERY_MS, (now - began) * REST_SHARE);
  }
}
