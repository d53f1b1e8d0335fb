/**
 * Clients and workers that go on whatever happens to the processes: each call is repeated with its key until it is
 * answered, on one process after the other. Some workers die with a lease in their hands.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandAnswer, Job, JobStatus, Page, Queue } from '../../../src/api/contract.js';
import { Random } from '../../simulation/random.js';
import { attempt, attemptTogether, USUAL_WAYS, type Ways } from './attempts.js';
import { create, type Creations, USUAL_CREATIONS } from './creations.js';
import { TERMINAL_EVENTS } from './history.js';
import { BY_CLIENTS, meddle } from './meddling.js';
import type { Answer } from './recorder.js';
import type { Cluster } from './running-cluster.js';
import { waitFor } from './wait.js';
import { claim, command, Holder, readJob } from './work.js';

export interface LoadOptions {
  /** Queue of its own, so that loads of one file do not meet. */
  readonly queue: string;
  readonly creators?: number;
  readonly workers?: number;
  /** Clients that cancel, retry, postpone and reorder whatever is there. Default none. */
  readonly meddlers?: number;
  /** Most jobs that wait for a worker at a time, about. */
  readonly ahead?: number;
  readonly creations?: Creations;
  readonly ways?: Ways;
  /** Workers say all of a claim's jobs in one request, instead of one job after another in `ways`. Default false. */
  readonly isShared?: boolean;
  readonly meddling?: Parameters<typeof meddle>[2];
  /** Claims take up to so many jobs. Default 2. */
  readonly claimMax?: number;
  /** Of the jobs' leases, ms. Default 2,000. */
  readonly leaseMs?: number;
  /** Share of claims that leave the start to a call of its own. Default none. */
  readonly unstarted?: number;
  /** Where chance starts. */
  readonly seed?: number;
}

/** Policy that suits a load: leases and retries are short, and neither runs out. */
export const LOAD_POLICY = {
  leaseMs: 2_000,
  maxLostLeases: 1_000,
  maxAttempts: 100,
  retry: { initialMs: 100, maxMs: 200 },
} as const;

const UNFINISHED: readonly JobStatus[] = [
  ...(['created', 'scheduled', 'queued', 'claimed', 'running', 'waiting', 'cancelling'] as const),
];

export class Load {
  private readonly jobs: string[] = [];
  private ended = 0;
  /** Jobs that ended otherwise than by an answered call, as far as was looked. */
  private endedUnseen = 0;
  private creating = true;
  private working = true;
  private readonly clients: Promise<unknown>[] = [];
  private readonly workers: Promise<unknown>[] = [];

  private constructor(
    private readonly cluster: Pick<Cluster, 'recorder'>,
    private readonly options: LoadOptions,
    private readonly seed: number,
  ) {}

  static start(cluster: Pick<Cluster, 'recorder'>, options: LoadOptions): Load {
    const load = new Load(cluster, options, options.seed ?? Math.floor(Math.random() * 2 ** 32));
    const { creators = 3, workers = 8, meddlers = 0 } = options;
    for (let n = 0; n < creators; n += 1) load.clients.push(load.create(load.chance(1, n)));
    for (let n = 0; n < workers; n += 1) {
      load.workers.push(load.work(`${options.queue}-worker-${n}`, load.chance(2, n)));
    }
    for (let n = 0; n < meddlers; n += 1) load.clients.push(load.meddle(load.chance(3, n)));
    // A failure is told by `finish`, not by an unhandled rejection meanwhile.
    for (const lane of [...load.clients, ...load.workers]) lane.catch(() => undefined);
    return load;
  }

  /** Runs that were ended by an answered call. */
  get endedCount(): number {
    return this.ended;
  }

  get createdCount(): number {
    return this.jobs.length;
  }

  /** One of the last jobs that were made, if there is any. */
  recentJob(random: Random): string | undefined {
    return this.jobs.at(-1 - random.int(0, 29));
  }

  /** Resolves when as many more runs were ended by answered calls. */
  async untilEnded(more: number): Promise<void> {
    const target = this.ended + more;
    await waitFor(`${more} more jobs to end`, () => this.ended >= target);
  }

  /**
   * Creates no more, and works off what is there; what waits for a person is taken up.
   * @throws Error when a call was answered as it never should be, or a job does not end.
   */
  async end(limitMs?: number): Promise<void> {
    this.creating = false;
    // A creation that is still tried makes a job after all others have ended.
    await Promise.all(this.clients);
    const isWorkedOff = async (): Promise<boolean> => {
      const left = await this.unfinished();
      for (const { id, status } of left) {
        if (status === 'waiting') await command(this.cluster, id, 'resume');
        if (status === 'created') await command(this.cluster, id, 'start');
      }
      return left.length === 0;
    };
    await waitFor(`all jobs of ${this.options.queue} to end`, isWorkedOff, limitMs);
    this.working = false;
    await Promise.all(this.workers);
  }

  /** Ends it, and gives every job as it is then. */
  async finish(): Promise<readonly Job[]> {
    await this.end();
    const jobs: Job[] = [];
    for (const id of this.jobs) jobs.push(await readJob(this.cluster, id));
    return jobs;
  }

  /** The first jobs that have not ended. */
  async unfinished(): Promise<readonly Job[]> {
    const { queue } = this.options;
    const lane = this.cluster.recorder.lane(`${queue}-watcher`);
    const path = `/v1/jobs?limit=20&queue=${queue}${UNFINISHED.map((status) => `&status=${status}`).join('')}`;
    return (await lane.insist<Page<Job>>('GET', path)).body.items;
  }

  private chance(kind: number, lane: number): Random {
    return new Random(this.seed + 1_000 * kind + lane);
  }

  private async meddle(random: Random): Promise<void> {
    const { meddling = BY_CLIENTS } = this.options;
    const { signal } = this.cluster.recorder;
    while (this.creating && !signal.aborted) {
      const jobId = this.recentJob(random);
      if (jobId !== undefined) this.count(await meddle(this.cluster, jobId, meddling, random));
      await sleep(20);
    }
  }

  /** Runs end by calls of workers and of clients alike. */
  private count({ status, body }: Answer<CommandAnswer>): void {
    if (status === 200 && body.events.some((type) => TERMINAL_EVENTS.has(type))) this.ended += 1;
  }

  private async create(random: Random): Promise<void> {
    const { queue, ahead = 30, creations = USUAL_CREATIONS, leaseMs = LOAD_POLICY.leaseMs } = this.options;
    const { signal } = this.cluster.recorder;
    const over = { queue, policy: { ...LOAD_POLICY, leaseMs } };
    for (let idle = 1; this.creating && !signal.aborted;) {
      if (this.jobs.length - this.ended - this.endedUnseen > ahead) {
        if (idle % 20 === 0) await this.look();
        idle += 1;
        await sleep(10);
        continue;
      }
      const payload = { text: `${random.int(0, 1_000_000_000)}` };
      this.jobs.push(...(await create(this.cluster, { ...over, payload }, creations, random)));
    }
  }

  /** What the reaper or a call without an answer ended is not counted: the queue knows. */
  private async look(): Promise<void> {
    const { queue } = this.options;
    const lane = this.cluster.recorder.lane(`${queue}-watcher`);
    const { status, body } = await lane.insist<Queue>('GET', `/v1/queues/${queue}`);
    if (status === 200) this.endedUnseen = this.jobs.length - this.ended - body.depth;
  }

  private async work(workerId: string, random: Random): Promise<void> {
    const { queue, claimMax = 2, unstarted = 0, ways = USUAL_WAYS, isShared = false } = this.options;
    const { signal } = this.cluster.recorder;
    while (this.working && !signal.aborted) {
      const jobs = await claim(this.cluster, workerId, {
        ...{ queues: [queue], waitMs: 300, max: random.int(1, claimMax) },
        ...(random.chance(unstarted) ? { start: false } : {}),
      });
      const holders = jobs.map((claimed) => new Holder(this.cluster, workerId, claimed));
      const ended = (answer: Answer<CommandAnswer>): void => this.count(answer);
      if (isShared) await attemptTogether(holders, random, ended);
      else for (const holder of holders) await attempt({ cluster: this.cluster, holder, random, ended }, ways);
    }
  }
}
