/** Clients, workers and operators of the tests that hold the service to its promises: plain HTTP, with typed answers. */
import { randomUUID } from 'node:crypto';
import type {
  ClaimedJob,
  ClaimRequest,
  CommandAnswer,
  Counters,
  CreateJob,
  Job,
  JobStatus,
  LedgerEvent,
  Page,
  Ready,
  ReaperStatus,
  SweepReport,
} from '../../src/api/contract.js';
import { type Answer, Caller } from './app.js';
import { waitFor } from './e2e/wait.js';

const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** Over age and silent as soon as may be. */
export const STALE = { timeoutMs: 100, stallMs: 100 } as const;
/** Judged by its work alone: the lease outlives the test. */
export const LONG_LEASE = { leaseMs: DAY_MS } as const;

/** A queue that no other test uses. */
export const newQueue = (): string => `q-${randomUUID()}`;

export class LedgerCaller extends Caller {
  constructor(private readonly base: string) {
    super(base);
  }

  override async create(job: Partial<CreateJob> = {}): Promise<CommandAnswer> {
    return (await super.create(job)) as CommandAnswer;
  }

  async job(id: string): Promise<Job> {
    return (await this.okay(this.get(`/v1/jobs/${id}`))) as Job;
  }

  /** Jobs that a query finds, up to 200. */
  async jobs(query: string): Promise<readonly Job[]> {
    return ((await this.okay(this.get(`/v1/jobs?limit=200&${query}`))) as Page<Job>).items;
  }

  /** The whole history of a job. */
  async events(id: string): Promise<readonly LedgerEvent[]> {
    const events: LedgerEvent[] = [];
    for (let cursor = ''; ;) {
      const page = (await this.okay(this.get(`/v1/jobs/${id}/events?limit=200${cursor}`))) as Page<LedgerEvent>;
      events.push(...page.items);
      if (page.nextCursor === null) return events;
      cursor = `&cursor=${encodeURIComponent(page.nextCursor)}`;
    }
  }

  /** Those of the history that have a type. */
  async eventsOf(id: string, type: string): Promise<readonly LedgerEvent[]> {
    return (await this.events(id)).filter((event) => event.type === type);
  }

  /** Jobs that a worker claims, none when there is nothing. */
  async claims(workerId: string, claim: Omit<ClaimRequest, 'workerId'>): Promise<readonly ClaimedJob[]> {
    const body = (await this.okay(this.post('/v1/claims', { workerId, ...claim }))) as { jobs: ClaimedJob[] };
    return body.jobs;
  }

  /** The next job of a queue, waiting for one that is about to be due. */
  async next(queue: string, claim: Omit<ClaimRequest, 'workerId'> = {}, workerId = 'w1'): Promise<ClaimedJob> {
    const [claimed] = await this.claims(workerId, { queues: [queue], waitMs: 20_000, ...claim });
    if (claimed === undefined) throw new Error(`nothing to claim in ${queue}`);
    return claimed;
  }

  /** A new job in a queue of its own, claimed by `w1`. */
  async hold(job: Partial<CreateJob> = {}, claim: Omit<ClaimRequest, 'workerId'> = {}): Promise<ClaimedJob> {
    const queue = newQueue();
    await this.create({ queue, ...job });
    return this.next(queue, claim);
  }

  /** A worker call that has to be accepted. */
  async must(claimed: ClaimedJob, call: string, body: object = {}): Promise<CommandAnswer> {
    return (await this.okay(this.worker(claimed, call, body))) as CommandAnswer;
  }

  /** A command of a client that has to be accepted. */
  async command(id: string, name: string, body: object = {}): Promise<CommandAnswer> {
    return (await this.okay(this.post(`/v1/jobs/${id}/${name}`, body))) as CommandAnswer;
  }

  async sweep(dryRun = false): Promise<SweepReport> {
    return (await this.okay(this.post('/v1/admin/reaper/sweep', { dryRun }))) as SweepReport;
  }

  /** Sweeps until the job stands there: its deadline has to pass first. */
  sweepUntil(id: string, status: JobStatus): Promise<Job> {
    return waitFor(`job ${id} to be ${status}`, async () => {
      await this.sweep();
      const job = await this.job(id);
      return job.status === status && job;
    });
  }

  async reaper(): Promise<ReaperStatus> {
    return (await this.okay(this.get('/v1/reaper'))) as ReaperStatus;
  }

  async ready(): Promise<Ready> {
    return (await this.get('/health/ready')).body as Ready;
  }

  /** Counters that know everything up to a position. */
  async counters(position: string): Promise<Counters> {
    return (await this.okay(this.get('/v1/counters', { headers: { 'x-min-position': position } }))) as Counters;
  }

  /** The value of a metric that knows everything up to a position, by its name with labels; 0 if never counted. */
  async metric(name: string, position = '0'): Promise<number> {
    await this.counters(position);
    const text = await (await fetch(`${this.base}/metrics`)).text();
    const line = text.split('\n').find((each) => each.startsWith(`${name} `));
    return line === undefined ? 0 : Number(line.slice(name.length + 1));
  }

  private async okay(call: Promise<Answer>): Promise<unknown> {
    const { status, body } = await call;
    if (status !== 200) throw new Error(`answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }
}
