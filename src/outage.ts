/**
 * An outage of what the process depends on, told once when it begins and once when it is over. Every process looks, every
 * second: one that only answers calls would hear of it from its callers alone. What fails meanwhile tells nothing new.
 */
import { performance } from 'node:perf_hooks';
import { isPassing } from './projections/upkeep/passing.js';
import { Repeated } from './repeated.js';
import type { ServiceOptions } from './service.js';

/** What does not answer, in words. */
export const DATABASE = 'the database';
export const LOG = 'the log';

export interface OutageLog {
  /** `what` does not answer, as in "the database". */
  readonly began: (what: string, error: unknown) => void;
  /** It answers again, after so many whole milliseconds. */
  readonly ended: (what: string, outageMs: number) => void;
}

/** Between two looks. */
const LOOK_MS = 1_000;

export class Outage {
  private readonly looks: Repeated;
  private looking: Promise<void> | undefined;
  /** On this process's monotonic clock; null while it answers. */
  private awaySince: number | null = null;
  private stopped = false;

  constructor(
    private readonly what: string,
    private readonly ask: () => Promise<unknown>,
    private readonly log: OutageLog,
  ) {
    this.looks = new Repeated(
      () => this.look(),
      LOOK_MS,
      () => undefined,
    );
  }

  start(): void {
    this.looks.start();
  }

  /** Nothing is told any more: connections that a process closes are no outage. */
  stop(): void {
    this.stopped = true;
    void this.looks.stop();
  }

  /** As it is known. */
  get lasts(): boolean {
    return this.awaySince !== null;
  }

  /** Asks now. */
  async isAway(): Promise<boolean> {
    await this.look();
    return this.lasts;
  }

  private look(): Promise<void> {
    const askedAt = performance.now();
    this.looking ??= this.ask()
      .then(
        () => this.answered(),
        (error: unknown) => this.failed(error, askedAt),
      )
      .finally(() => (this.looking = undefined));
    return this.looking;
  }

  private answered(): void {
    if (this.awaySince === null || this.stopped) return;
    const outageMs = Math.round(performance.now() - this.awaySince);
    this.awaySince = null;
    this.log.ended(this.what, outageMs);
  }

  private failed(error: unknown, askedAt: number): void {
    if (this.awaySince !== null || this.stopped) return;
    // Not since it was known: a database that is frozen is waited for first.
    this.awaySince = askedAt;
    this.log.began(this.what, error);
  }
}

/** `outages` may be filled later. The same listener, which is not called with what an outage explains: that was told of. */
export const unlessAway =
  (outages: readonly Outage[]) =>
  <Args extends unknown[]>(tell: (...args: Args) => void) =>
  (...args: Args): void => {
    if (!args.some((arg) => arg instanceof Error && isPassing(arg))) {
      tell(...args);
      return;
    }
    if (outages.some((outage) => outage.lasts)) return;
    // It may have begun just now, with this.
    void Promise.all(outages.map((outage) => outage.isAway())).then((away) => {
      if (!away.includes(true)) tell(...args);
    });
  };

/** The same options, with listeners that are not told what an outage explains. */
export const toldOfOutagesOnce = (options: ServiceOptions, outages: readonly Outage[]): ServiceOptions => {
  const { reaper, projectionLog } = options;
  const quiet = unlessAway(outages);
  return {
    ...options,
    reaper: {
      ...reaper,
      log: {
        ...reaper.log,
        failed: quiet(reaper.log.failed),
        housekeepingFailed: quiet(reaper.log.housekeepingFailed),
        jobFailed: quiet(reaper.log.jobFailed),
      },
    },
    ...(projectionLog && {
      projectionLog: {
        ...projectionLog,
        failed: quiet(projectionLog.failed),
        tailFailed: quiet(projectionLog.tailFailed),
        upkeep: { ...projectionLog.upkeep, failed: quiet(projectionLog.upkeep.failed) },
      },
    }),
  };
};
