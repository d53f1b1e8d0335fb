/** Readers of the streams that resume after whatever happened, and what they saw against what the log holds. */
import { isDeepStrictEqual } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Gap, Job, LedgerEvent } from '../../src/api/contract.js';
import { Random } from '../simulation/random.js';
import type { Violation } from '../support/e2e/history.js';
import type { Cluster } from '../support/e2e/running-cluster.js';
import { PATIENCE_MS } from './site.js';
import { type Frame, SseReader } from '../support/e2e/sse.js';
import { waitFor } from '../support/e2e/wait.js';

const AGAIN_MS = 100;
const LIVES_MS = [200, 5_000] as const;

/** Reads one stream, on one process after the other, with the last id that it saw. */
class Watcher {
  private readonly seen: Frame[] = [];
  private reader: SseReader | undefined;
  private resumes = 0;
  private readonly running: Promise<void>;
  private stopped = false;

  constructor(
    private readonly cluster: Cluster,
    readonly path: string,
    private readonly after: string | undefined,
    private readonly random: Random,
  ) {
    this.running = this.run();
  }

  /** Everything with an id, in the order it came. */
  get frames(): readonly Frame[] {
    return this.seen;
  }

  get gaps(): readonly Gap[] {
    return this.seen.filter(({ event }) => event === 'gap').map(({ data }) => data as Gap);
  }

  get resumeCount(): number {
    return this.resumes;
  }

  get lastId(): string | undefined {
    return this.reader?.lastId ?? this.seen.findLast(({ id }) => id !== null)?.id ?? this.after;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.reader?.close();
    await this.running;
  }

  private goesOn(): boolean {
    return !this.stopped;
  }

  private async run(): Promise<void> {
    const { nodes } = this.cluster;
    for (let node = this.random.int(0, 1); this.goesOn(); node += 1) {
      try {
        this.reader = await SseReader.open(nodes[node % nodes.length]!, this.path, this.lastId);
      } catch {
        await sleep(AGAIN_MS);
        continue;
      }
      const until = performance.now() + this.random.int(...LIVES_MS);
      while (this.goesOn() && !this.reader.hasEnded && performance.now() < until) await sleep(20);
      this.reader.close();
      this.seen.push(...this.reader.frames.filter(({ id, event }) => id !== null || event === 'gap'));
      this.reader = undefined;
      this.resumes += 1;
    }
  }
}

const shownIn = (frames: readonly Frame[], gaps: readonly Gap[], events: readonly LedgerEvent[], name: string) => {
  const isLeftOut = ({ position }: LedgerEvent): boolean =>
    gaps.some(({ from, to }) => BigInt(position) > BigInt(from) && BigInt(position) <= BigInt(to));
  const expected = events.filter((event) => !isLeftOut(event));
  const shown = frames.filter(({ id }) => id !== null);
  const at = expected.findIndex((event, index) => shown[index]?.id !== event.position);
  const violations: Violation[] = [];
  if (at >= 0 || shown.length > expected.length) {
    const index = at < 0 ? expected.length : at;
    violations.push(
      `stream ${name}: frame ${index} is of position ${shown[index]?.id ?? 'nothing'}, after ${shown[index - 1]?.id ?? 'nothing'} comes position ${expected[index]?.position ?? 'nothing'}`,
    );
  }
  const differing = expected.find((event, index) => {
    const frame = shown[index];
    return frame?.id === event.position && !isDeepStrictEqual(frame.data, event);
  });
  if (differing !== undefined) violations.push(`stream ${name}: position ${differing.position} is not shown as it is`);
  return violations;
};

export class Watchers {
  private readonly all: Watcher;
  private readonly queued: Watcher;
  private readonly jobs: Watcher;

  /** @param after position from which they read */
  constructor(cluster: Cluster, queue: string, after: string, seed: number) {
    const watch = (n: number, path: string): Watcher => new Watcher(cluster, path, after, new Random(seed + n));
    this.all = watch(0, '/v1/streams/events');
    this.queued = watch(1, `/v1/streams/events?queue=${queue}&types=JobCompleted`);
    this.jobs = watch(2, `/v1/streams/jobs?queue=${queue}`);
  }

  get resumeCount(): number {
    return [this.all, this.queued, this.jobs].reduce((sum, { resumeCount }) => sum + resumeCount, 0);
  }

  async stop(): Promise<void> {
    await Promise.all([this.all.stop(), this.queued.stop(), this.jobs.stop()]);
  }

  /**
   * Waits until each was told of the end, and judges what they saw.
   * @param events after the position from which they read @param jobs as they are at rest
   */
  async judge(events: readonly LedgerEvent[], jobs: readonly Job[]): Promise<readonly Violation[]> {
    const completions = events.filter(({ type }) => type === 'JobCompleted');
    const missed = [
      await this.untilTold(this.all, events.at(-1)?.position),
      await this.untilTold(this.queued, completions.at(-1)?.position),
      await this.untilTold(this.jobs, this.lastOf(jobs)),
    ].flat();
    await this.stop();
    return [
      ...missed,
      ...shownIn(this.all.frames, this.all.gaps, events, this.all.path),
      ...shownIn(this.queued.frames, this.queued.gaps, completions, this.queued.path),
      ...this.judgeJobs(jobs),
    ];
  }

  private lastOf(jobs: readonly Job[]): string | undefined {
    return jobs
      .map(({ position }) => position)
      .sort((a, b) => Number(BigInt(a) - BigInt(b)))
      .at(-1);
  }

  private async untilTold(watcher: Watcher, position: string | undefined): Promise<readonly Violation[]> {
    if (position === undefined) return [];
    try {
      await waitFor(`stream ${watcher.path} to come to ${position}`, () => watcher.lastId === position, PATIENCE_MS);
      return [];
    } catch (error) {
      return [`${(error as Error).message}: it is at ${watcher.lastId}`];
    }
  }

  /** Each job was shown as it ended; frames of one reader follow each other by position. */
  private judgeJobs(jobs: readonly Job[]): readonly Violation[] {
    const last = new Map<string, Job>();
    for (const { id, data } of this.jobs.frames) if (id !== null) last.set((data as Job).id, data as Job);
    return jobs.flatMap((job) => {
      const shown = last.get(job.id);
      return shown?.position === job.position
        ? []
        : [
            `job ${job.id}: stream ${this.jobs.path} showed it last at position ${shown?.position ?? 'nothing'}, it is at ${job.position}`,
          ];
    });
  }
}
