/**
 * A ledger under everything that may happen to it, for as long as wished. It is judged in parts: faults stop, everything
 * is whole again and works off what is there; then what clients, workers and readers were told in this part is held
 * against the log, and forgotten. So memory is bounded, and what is wrong is told soon.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Counters, LogHead } from '../../src/api/contract.js';
import { Random } from '../simulation/random.js';
import { ALL_WAYS } from '../support/e2e/attempts.js';
import { ALL_CREATIONS } from '../support/e2e/creations.js';
import type { Beginning, History, Violation } from '../support/e2e/history.js';
import { isAnswered, isRefusal } from '../support/e2e/history.js';
import { Load, type LoadOptions } from '../support/e2e/load.js';
import { BY_ANYBODY } from '../support/e2e/meddling.js';
import type { FaultName } from './faults.js';
import { judge, type Verdict } from './judge.js';
import { type MadeFault, Saboteur } from './saboteur.js';
import { PATIENCE_MS, type Site } from './site.js';
import { Watchers } from './watchers.js';

export interface SoakOptions {
  /** Where chance starts. What clients, workers and faults choose comes from it; how they interleave does not. */
  readonly seed: number;
  /** When to end: the part that is under way is judged then. */
  readonly isEnough: (soak: Progress) => boolean;
  /** Exactly these faults, one after another, in a single part. Default: by chance, three at a time at most. */
  readonly script?: readonly FaultName[];
  /** Default `all`. */
  readonly load?: LoadName;
  /** By chance, of these alone. Default: all that can be made there. */
  readonly faults?: readonly FaultName[] | null;
  readonly signal?: AbortSignal;
}

/** What is to be seen of a soak while it runs. */
export interface Progress {
  /** Parts that were judged. */
  readonly parts: number;
  /** What it does now. */
  readonly step: string;
  /** Runs that were ended by an answered call. */
  readonly lifecycles: number;
  readonly jobs: number;
  readonly events: number;
  readonly calls: {
    readonly sent: number;
    readonly unknown: number;
    readonly refused: number;
    readonly notNow: number;
  };
  readonly resumedStreams: number;
  readonly faults: readonly MadeFault[];
  readonly violations: number;
}

/** What is wrong, with what there is to find out why. */
export interface Broken {
  readonly violations: readonly Violation[];
  /** Null when the ledger could not be read. */
  readonly history: History | null;
  readonly faults: readonly MadeFault[];
}

interface LoadKind {
  readonly load: Partial<LoadOptions>;
  /** Longest load before it is judged, ms. */
  readonly partMs: number;
  /** Calls of a part that are kept until it is judged, about. */
  readonly partCalls: number;
  /** Between two faults of three that may last at a time, ms, from and to. */
  readonly pauseMs: readonly [number, number];
}

/** What clients and workers do: all that the API allows, or little of it with as many jobs as can be. */
export const LOADS = {
  all: {
    load: {
      ...{ creators: 3, workers: 10, meddlers: 2, claimMax: 3, unstarted: 0.2 },
      ...{ ways: ALL_WAYS, creations: ALL_CREATIONS },
    },
    ...{ partMs: 40_000, partCalls: 40_000, pauseMs: [300, 6_000] },
  },
  // There has to be time between faults to work off a backlog of hundreds of jobs.
  many: {
    load: {
      ...{ creators: 2, workers: 6, meddlers: 1, claimMax: 40, ahead: 400, leaseMs: 10_000 },
      ...{ isShared: true, creations: { many: 1 } },
    },
    ...{ partMs: 120_000, partCalls: 80_000, pauseMs: [3_000, 40_000] },
  },
} as const satisfies Record<string, LoadKind>;
export type LoadName = keyof typeof LOADS;

const POLL_MS = 50;
/** Runs that end between the faults of a script. */
const RUNS_BETWEEN = 10;

const NO_COUNTERS: Counters = {
  ...{ position: '0', at: '', total: 0, byStatus: {}, byQueue: {}, byType: {}, events: 0 },
};
const NO_HEAD: LogHead = { position: '0', hash: '', at: null };

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export class Soak {
  private readonly saboteur: Saboteur;
  private parts = 0;
  private step = 'starting';
  private events = 0;
  private violations = 0;
  private ended = { lifecycles: 0, jobs: 0, resumedStreams: 0 };
  private judged = { sent: 0, unknown: 0, refused: 0, notNow: 0 };
  private readonly kind: LoadKind;
  private load: Load | undefined;
  private watchers: Watchers | undefined;

  constructor(
    private readonly site: Site,
    private readonly options: SoakOptions,
  ) {
    this.saboteur = new Saboteur(site);
    this.kind = LOADS[options.load ?? 'all'];
  }

  get progress(): Progress {
    const { parts, step, events, violations } = this;
    return {
      ...{ parts, step, events, violations, faults: this.saboteur.made },
      lifecycles: this.ended.lifecycles + (this.load?.endedCount ?? 0),
      jobs: this.ended.jobs + (this.load?.createdCount ?? 0),
      resumedStreams: this.ended.resumedStreams + (this.watchers?.resumeCount ?? 0),
      calls: { ...this.judged, sent: this.judged.sent + this.site.cluster.recorder.calls.length },
    };
  }

  /** Resolves with what is wrong, as soon as something is; with null when nothing was. */
  async run(): Promise<Broken | null> {
    let since: Beginning = { position: '0', counters: NO_COUNTERS };
    let kept = NO_HEAD;
    do {
      const from = this.saboteur.made.length;
      const outcome = await this.part(since, kept);
      const faults = this.saboteur.made.slice(from);
      if (this.options.signal?.aborted === true) return null;
      const { violations, history } = outcome;
      this.violations += violations.length;
      if (violations.length > 0 || outcome.verdict === null) return { violations, history, faults };
      since = outcome.verdict.next;
      kept = outcome.verdict.head;
      this.forget(outcome.verdict);
    } while (this.options.script === undefined && !this.options.isEnough(this.progress));
    return null;
  }

  /** One load, from its start until it is judged. */
  private async part(since: Beginning, kept: LogHead) {
    const { cluster } = this.site;
    const seed = this.options.seed + 1_000_003 * this.parts;
    const queue = `soak-${this.parts + 1}`;
    const violations: Violation[] = [];
    const attempt = async <Result>(what: string, work: () => Promise<Result>): Promise<Result | null> => {
      this.step = what;
      try {
        return await work();
      } catch (error) {
        violations.push(`${what}: ${messageOf(error)}`);
        return null;
      }
    };
    const watchers = new Watchers(cluster, queue, since.position, seed + 50_000);
    this.watchers = watchers;
    this.load = Load.start(cluster, {
      ...{ queue, seed, meddling: BY_ANYBODY },
      ...this.kind.load,
    });
    const { load } = this;
    await attempt('load and faults', () => this.breakThings(load, seed));
    if (this.options.signal?.aborted === true) {
      await watchers.stop();
      return { violations, verdict: null, history: null };
    }
    await attempt('healing', () => this.heal());
    await attempt('working off', () => load.end(PATIENCE_MS));
    if (violations.length > 0) violations.push(...(await this.leftOver(load)));
    const verdict = await attempt('judging', () => judge(this.site, { queue, since }, watchers, kept));
    violations.push(...(verdict?.violations ?? []));
    await watchers.stop();
    return { violations, verdict, history: verdict?.history ?? null };
  }

  private async breakThings(load: Load, seed: number): Promise<void> {
    const { script, faults = null, isEnough, signal } = this.options;
    const { partMs, partCalls, pauseMs } = this.kind;
    if (script !== undefined) {
      const random = new Random(seed);
      for (const name of script) {
        await load.untilEnded(RUNS_BETWEEN);
        await this.saboteur.make(name, random.int(0, 1), random);
      }
      await load.untilEnded(RUNS_BETWEEN);
      return;
    }
    const stop = new AbortController();
    const breaking = this.saboteur
      .makeMany(seed + 70_000, stop.signal, { only: faults, pauseMs })
      .finally(() => stop.abort());
    breaking.catch(() => undefined);
    const until = performance.now() + partMs;
    const { calls } = this.site.cluster.recorder;
    const goesOn = (): boolean =>
      performance.now() < until && calls.length < partCalls && !isEnough(this.progress) && signal?.aborted !== true;
    while (goesOn() && !stop.signal.aborted) await sleep(POLL_MS);
    stop.abort();
    await breaking;
  }

  /** Every process runs, and is ready. @throws Error when one ended by itself. */
  private async heal(): Promise<void> {
    const gone = this.site.cluster.nodes.filter((node) => !node.isRunning);
    for (const node of gone) await node.start({}, PATIENCE_MS);
    if (gone.length > 0) throw new Error(`ended by itself: ${gone.map((node) => node.report()).join('\n')}`);
    for (const node of this.site.cluster.nodes) await node.untilReady(PATIENCE_MS);
  }

  private async leftOver(load: Load): Promise<readonly Violation[]> {
    try {
      const jobs = await load.unfinished();
      return jobs.map(({ id, status, statusSince }) => `job ${id}: is ${status} since ${statusSince}`);
    } catch (error) {
      return [messageOf(error)];
    }
  }

  private forget({ history }: Verdict): void {
    const { recorder } = this.site.cluster;
    const answered = history.calls.filter(isAnswered);
    this.judged = {
      sent: this.judged.sent + recorder.calls.length,
      unknown: this.judged.unknown + history.calls.filter(({ outcome }) => outcome?.kind === 'unknown').length,
      refused: this.judged.refused + answered.filter(isRefusal).length,
      notNow: this.judged.notNow + answered.filter(({ outcome: { status } }) => status === 503).length,
    };
    const { lifecycles, jobs, resumedStreams } = this.progress;
    this.ended = { lifecycles, jobs, resumedStreams };
    this.load = undefined;
    this.watchers = undefined;
    this.events += history.events.length;
    this.parts += 1;
    recorder.forget();
  }
}
