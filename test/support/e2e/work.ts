/** What clients and workers of the end-to-end tests do, over the recorder: every call is kept and judged. */
import { randomUUID } from 'node:crypto';
import type {
  ClaimAnswer,
  ClaimedJob,
  CommandAnswer,
  CreateJob,
  CreateJobsAnswer,
  Job,
} from '../../../src/api/contract.js';
import type { Cluster } from './running-cluster.js';
import type { Answer, CallOptions, Lane, NamedCommand } from './recorder.js';
import type { ServiceProcess } from './service-process.js';

type AnyCluster = Pick<Cluster, 'recorder'>;

/** @throws Error that holds the answer. */
export const expectStatus = ({ status, body }: Answer, ...expected: number[]): void => {
  if (!expected.includes(status)) throw new Error(`answered ${status}: ${JSON.stringify(body)}`);
};

const client = (cluster: AnyCluster): Lane => cluster.recorder.lane('client');

/** Creates a job, whatever happens to the processes meanwhile. */
export const createJob = async (cluster: AnyCluster, over: Partial<CreateJob> = {}): Promise<CommandAnswer> => {
  const answer = await client(cluster).insist<CommandAnswer>('POST', '/v1/jobs', { body: { type: 'report', ...over } });
  expectStatus(answer, 201);
  return answer.body;
};

/** Ids of as many jobs as asked, at most 1,000, all made in one call. */
export const createJobs = async (
  cluster: AnyCluster,
  count: number,
  over: Partial<CreateJob> = {},
): Promise<readonly string[]> => {
  const jobs = Array.from({ length: count }, (_, n) => ({ type: 'report', payload: { n }, ...over }));
  const answer = await client(cluster).insist<CreateJobsAnswer>('POST', '/v1/jobs/batch', { body: { jobs } });
  expectStatus(answer, 201);
  return answer.body.items.map(({ jobId }) => jobId);
};

/** Ids of the jobs of every combination, all made in one call. */
export const createGrid = async (
  cluster: AnyCluster,
  over: Partial<CreateJob>,
  grid: Readonly<Record<string, readonly unknown[]>>,
): Promise<readonly string[]> => {
  const body = { template: { type: 'report', ...over }, grid };
  const answer = await client(cluster).insist<CreateJobsAnswer>('POST', '/v1/jobs/batch', { body });
  expectStatus(answer, 201);
  return answer.body.items.map(({ jobId }) => jobId);
};

export interface Claiming {
  readonly queues?: readonly string[];
  readonly types?: readonly string[];
  readonly max?: number;
  readonly waitMs?: number;
  readonly leaseMs?: number;
  readonly start?: boolean;
}

/** One claim, repeated with its key until it is answered. */
export const claim = async (
  cluster: AnyCluster,
  workerId: string,
  claiming: Claiming = {},
): Promise<readonly ClaimedJob[]> => {
  const lane = cluster.recorder.lane(workerId);
  const answer = await lane.insist<ClaimAnswer>('POST', '/v1/claims', { body: { workerId, ...claiming } });
  expectStatus(answer, 200);
  return answer.body.jobs;
};

/** @throws Error when there was nothing to claim. */
export const claimOne = async (cluster: AnyCluster, workerId: string, claiming: Claiming = {}): Promise<ClaimedJob> => {
  const [claimed] = await claim(cluster, workerId, { waitMs: 10_000, ...claiming });
  if (claimed === undefined) throw new Error(`${workerId} found nothing to claim`);
  return claimed;
};

/** Claims one after another until there is nothing more. */
export const drain = async (
  cluster: AnyCluster,
  workerId: string,
  claiming: Claiming = {},
): Promise<readonly ClaimedJob[]> => {
  const claimed: ClaimedJob[] = [];
  for (;;) {
    const jobs = await claim(cluster, workerId, claiming);
    if (jobs.length === 0) return claimed;
    claimed.push(...jobs);
  }
};

/** What a worker may say of a job that it claimed. */
export type WorkerCall =
  'start' | 'heartbeat' | 'progress' | 'complete' | 'fail' | 'throttle' | 'wait' | 'release' | 'logs';

/** A call, and what it holds besides the token. */
export type SharedCall = readonly [WorkerCall, object];

/** What a call has to hold besides the token. */
const MINIMAL: Readonly<Partial<Record<WorkerCall, object>>> = {
  progress: { batchId: 'last', processed: 1 },
  release: { reason: 'shutdown' },
};

/** A worker with the lease of one attempt. Calls are repeated with their key until they are answered. */
export class Holder {
  readonly lane: Lane;

  constructor(
    private readonly cluster: AnyCluster,
    readonly workerId: string,
    private readonly claimed: ClaimedJob,
  ) {
    this.lane = cluster.recorder.lane(workerId);
  }

  /** One of several threads of the worker, which asks a process of its own choice. */
  thread(name: string): Holder {
    return new Holder(this.cluster, `${this.workerId}-${name}`, this.claimed);
  }

  /** From now on it asks this process first. */
  ask(node: number): void {
    this.cluster.recorder.preferred.set(this.lane.name, node);
  }

  get jobId(): string {
    return this.claimed.job.id;
  }

  /** False when it was claimed with `start: false`, and has to be started. */
  get isStarted(): boolean {
    return this.claimed.job.status !== 'claimed';
  }

  /** The answer, a refusal too. */
  say(call: WorkerCall, body: object = {}, options: Omit<CallOptions, 'body'> = {}): Promise<Answer<CommandAnswer>> {
    const { leaseToken } = this.claimed;
    return this.lane.insist('POST', `/v1/jobs/${this.jobId}/${call}`, { ...options, body: { leaseToken, ...body } });
  }

  /** The answer of one process, whatever it is, without a second try. */
  try(node: ServiceProcess, call: WorkerCall, body: object): Promise<Answer> {
    const { leaseToken } = this.claimed;
    return this.lane.ask(node, 'POST', `/v1/jobs/${this.jobId}/${call}`, { body: { leaseToken, ...body } });
  }

  /** One try at one process, that hangs up after so long. */
  async once(call: WorkerCall, timeoutMs: number): Promise<void> {
    const { leaseToken } = this.claimed;
    const { nodes } = this.cluster.recorder;
    const node = nodes[Math.floor(Math.random() * nodes.length)]!;
    const body = { leaseToken, ...MINIMAL[call] };
    await this.lane.send(node, 'POST', `/v1/jobs/${this.jobId}/${call}`, { body, timeoutMs });
  }

  /** The same as calls one after another, in one request. Answers in order, refusals too. */
  sayTogether(calls: readonly SharedCall[]): Promise<readonly Answer[]> {
    return sayTogether(calls.map((call) => [this, call]));
  }

  /** One of the commands of a request that they share. */
  shared([command, body]: SharedCall): NamedCommand {
    const { leaseToken } = this.claimed;
    return { command, jobId: this.jobId, commandId: randomUUID(), leaseToken, ...body };
  }

  /** @throws Error on a refusal. */
  async must(call: WorkerCall, body: object = {}): Promise<CommandAnswer> {
    const answer = await this.say(call, body);
    expectStatus(answer, 200);
    return answer.body;
  }

  /** Counts, once however often it is sent. */
  progress(processed: number, batchId: string = randomUUID()): Promise<Answer<CommandAnswer>> {
    return this.say('progress', { batchId, processed });
  }
}

/** What holders of one worker say of their jobs, in one request. Answers in order, refusals too. */
export const sayTogether = (said: readonly (readonly [Holder, SharedCall])[]): Promise<readonly Answer[]> => {
  const [first] = said;
  if (first === undefined) return Promise.resolve([]);
  return first[0].lane.insistTogether(said.map(([holder, call]) => holder.shared(call)));
};

/** A worker that holds the next job of a queue. */
export const hold = async (cluster: AnyCluster, workerId: string, claiming: Claiming = {}): Promise<Holder> =>
  new Holder(cluster, workerId, await claimOne(cluster, workerId, claiming));

export type ClientCall = 'start' | 'cancel' | 'retry' | 'hold' | 'resume' | 'reschedule' | 'priority';

/** A command of a client on a job: its answer, a refusal too. */
export const command = (
  cluster: AnyCluster,
  jobId: string,
  name: ClientCall,
  body: object = {},
): Promise<Answer<CommandAnswer>> => client(cluster).insist('POST', `/v1/jobs/${jobId}/${name}`, { body });

export type OperatorCall = 'force-fail' | 'cancel' | 'requeue' | 'emergency-stop';

/** A command of an operator on a job: its answer, a refusal too. */
export const operate = (cluster: AnyCluster, jobId: string, name: OperatorCall): Promise<Answer<CommandAnswer>> =>
  cluster.recorder.lane('operator').insist('POST', `/v1/admin/jobs/${jobId}/${name}`, { body: { reason: 'by hand' } });

export const readJob = async (cluster: AnyCluster, jobId: string): Promise<Job> => {
  const answer = await client(cluster).insist<Job>('GET', `/v1/jobs/${jobId}`);
  expectStatus(answer, 200);
  return answer.body;
};
