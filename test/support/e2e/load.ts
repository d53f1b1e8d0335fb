/**
 * Clients and workers that go on whatever happens to the processes: each call is repeated with its key until it is
 * answered, on one process after the other. Some workers die with a lease in their hands.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandAnswer, Job, Page } from '../../../src/api/contract.js';
import type { Cluster } from './running-cluster.js';
import { TERMINAL_EVENTS } from './history.js';
import type { Answer } from './recorder.js';
import { waitFor } from './wait.js';
import { claim, command, createJob, createJobs, Holder, readJob } from './work.js';

export interface LoadOptions {
  /** Queue of its own, so that loads of one file do not meet. */
  readonly queue: string;
  readonly creators?: number;
  readonly workers?: number;
  /** Clients that cancel, retry, postpone and reorder whatever is there. Default none. */
  readonly meddlers?: number;
  /** Most jobs that wait for a worker at a time. */
  readonly ahead?: number;
}

/** Policy that suits a load: leases and retries are short, and neither runs out. */
export const LOAD_POLICY = {
  leaseMs: 2_000,
  maxLostLeases: 1_000,
  maxAttempts: 100,
  retry: { initialMs: 100, maxMs: 200 },
} as const;

const MEDDLING = [
  ['cancel', {}],
  ['cancel', { force: true }],
  ['retry', {}],
  ['retry', { payload: { again: true } }],
  ['priority', { priority: 5 }],
  ['priority', { priority: -5 }],
  ['reschedule', { delayMs: 100 }],
  ['resume', {}],
] as const;

export class Load {
  private readonly jobs: string[] = [];
  private ended = 0;
  private creating = true;
  private working = true;
  private readonly running: Promise<unknown>[] = [];

  private constructor(
    private readonly cluster: Pick<Cluster, 'recorder'>,
    private readonly options: LoadOptions,
  ) {}

  static start(cluster: Pick<Cluster, 'recorder'>, options: LoadOptions): Load {
    const load = new Load(cluster, options);
    const { creators = 3, workers = 8, meddlers = 0 } = options;
    for (let n = 0; n < creators; n += 1) load.running.push(load.create());
    for (let n = 0; n < workers; n += 1) load.running.push(load.work(`${options.queue}-worker-${n}`));
    for (let n = 0; n < meddlers; n += 1) load.running.push(load.meddle());
    // A failure is told by `finish`, not by an unhandled rejection meanwhile.
    for (const lane of load.running) lane.catch(() => undefined);
    return load;
  }

  /** Runs that were ended by an answered call. */
  get endedCount(): number {
    return this.ended;
  }

  /** Resolves when as many more runs were ended by answered calls. */
  async untilEnded(more: number): Promise<void> {
    const target = this.ended + more;
    await waitFor(`${more} more jobs to end`, () => this.ended >= target);
  }

  /**
   * Creates no more, works off what is there, and gives every job at its end.
   * @throws Error when a call was answered as it never should be, or a job does not end.
   */
  async finish(): Promise<readonly Job[]> {
    this.creating = false;
    const { queue } = this.options;
    const open = ['scheduled', 'queued', 'claimed', 'running', 'waiting', 'cancelling'].map((s) => `&status=${s}`);
    const lane = this.cluster.recorder.lane(`${queue}-watcher`);
    await waitFor(`all jobs of ${queue} to end`, async () => {
      const path = `/v1/jobs?limit=1&queue=${queue}${open.join('')}`;
      const { body } = await lane.insist<Page<Job>>('GET', path);
      return body.items.length === 0;
    });
    this.working = false;
    await Promise.all(this.running);
    const jobs: Job[] = [];
    for (const id of this.jobs) jobs.push(await readJob(this.cluster, id));
    return jobs;
  }

  /** What clients may ask of a job at any time; most of it comes at a bad one. */
  private async meddle(): Promise<void> {
    const { signal } = this.cluster.recorder;
    while (this.creating && !signal.aborted) {
      const jobId = this.jobs.at(-1 - Math.floor(Math.random() * 30));
      const [name, body] = MEDDLING[Math.floor(Math.random() * MEDDLING.length)]!;
      if (jobId !== undefined) this.count(await command(this.cluster, jobId, name, body));
      await sleep(20);
    }
  }

  /** Runs end by calls of workers and of clients alike. */
  private count({ status, body }: Answer<CommandAnswer>): void {
    if (status === 200 && body.events.some((type) => TERMINAL_EVENTS.has(type))) this.ended += 1;
  }

  private async create(): Promise<void> {
    const { queue, ahead = 30 } = this.options;
    const { signal } = this.cluster.recorder;
    while (this.creating && !signal.aborted) {
      if (this.jobs.length - this.ended > ahead) {
        await sleep(10);
        continue;
      }
      const over = { queue, policy: LOAD_POLICY, payload: { text: randomUUID() } };
      if (Math.random() < 0.2) this.jobs.push(...(await createJobs(this.cluster, 4, over)));
      else this.jobs.push((await createJob(this.cluster, over)).jobId);
    }
  }

  private async work(workerId: string): Promise<void> {
    const { signal } = this.cluster.recorder;
    while (this.working && !signal.aborted) {
      const jobs = await claim(this.cluster, workerId, {
        queues: [this.options.queue],
        waitMs: 300,
        max: 1 + Math.floor(Math.random() * 2),
      });
      for (const claimed of jobs) await this.attempt(new Holder(this.cluster, workerId, claimed));
    }
  }

  /** One attempt, in one of the ways that attempts go. A lost lease ends it. */
  private async attempt(holder: Holder): Promise<void> {
    const steps = 1 + Math.floor(Math.random() * 4);
    for (let step = 0; step < steps; step += 1) {
      const batchId = `batch-${step}`;
      if ((await holder.progress(1 + step, batchId)).status === 409) return;
      // The same batch under another key: a worker that lost its answer and its memory of the key.
      if (Math.random() < 0.2 && (await holder.progress(1 + step, batchId)).status === 409) return;
      if (Math.random() < 0.3) await readJob(this.cluster, holder.jobId);
    }
    const chance = Math.random();
    // It dies: nobody ends this attempt but the reaper.
    if (chance < 0.03) return;
    if (chance < 0.08) this.count(await holder.say('release', { reason: 'shutdown' }));
    else if (chance < 0.13) this.count(await holder.say('fail', { code: 'Flaky', message: 'this time it failed' }));
    else if (chance < 0.18) this.count(await holder.say('throttle', { retryAfterMs: 100 }));
    else if ((await holder.say('heartbeat', { state: 'finishing' })).status === 200) {
      this.count(await holder.say('complete', { result: { steps } }));
    }
  }
}
