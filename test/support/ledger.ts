/** The whole write path on a database of its own, without HTTP. */
import { randomUUID } from 'node:crypto';
import { PRESETS, type Policy } from '../../src/domain/policy.js';
import type { JobSpec } from '../../src/domain/job-events.js';
import type { CommandOf, CommandName, JobCommand } from '../../src/domain/job-commands.js';
import type { ClaimedJob, ClaimRequest } from '../../src/commands/claim-request.js';
import type { Origin, Outcome } from '../../src/commands/envelope.js';
import type { Call } from '../../src/commands/ledger.js';
import { openService, type Service, type ServiceOptions } from '../../src/service.js';
import { createTestDatabase } from './test-database.js';
import { logOptions, stopLog } from './test-log.js';

/** A call with a key is known by it, as those of the API are. */
export const origin = (
  type: Origin['actor']['type'] = 'client',
  { idempotency = null }: Partial<Call> = {},
): Origin => ({
  actor: { type, id: 'test' },
  commandId: idempotency?.key.toString('hex') ?? randomUUID(),
  correlationId: null,
  traceparent: null,
});

export const call = (over: Partial<Call> = {}): Call => ({
  origin: origin('client', over),
  idempotency: null,
  ifMatch: null,
  onlyJobsOf: null,
  bytes: 0,
  ...over,
});

export const spec = (over: Partial<JobSpec> = {}): JobSpec => ({
  type: 'report',
  queue: 'default',
  payload: { n: 1 },
  priority: 0,
  tags: [],
  autostart: true,
  availableAt: null,
  maxAttempts: null,
  total: null,
  policy: null,
  preset: null,
  correlationId: 'corr',
  createdBy: 'anonymous',
  ...over,
});

/** Of a reaper that nobody listens to. */
export const silent = {
  swept: () => undefined,
  failed: () => undefined,
  housekeepingFailed: () => undefined,
  jobFailed: () => undefined,
};

export const options = (databaseUrl: string, over: Partial<ServiceOptions> = {}): ServiceOptions => ({
  databaseUrl,
  poolSize: 10,
  statementTimeoutMs: 10_000,
  policy: PRESETS.protea,
  maxPending: 10_000,
  idempotencyMs: 86_400_000,
  secret: 'a secret of the tests',
  reaper: { intervalMs: 60_000, log: silent },
  ...over,
});

/** A service on its own database; the reaper sweeps only when asked. */
export class TestLedger {
  private constructor(
    readonly url: string,
    readonly service: Service,
    private readonly dropDatabase: () => Promise<void>,
  ) {}

  static async open(policy: Partial<Policy> = {}): Promise<TestLedger> {
    const database = await createTestDatabase();
    const log = await logOptions(database.url);
    const service = await openService(options(database.url, { policy: { ...PRESETS.protea, ...policy }, ...log }));
    return new TestLedger(database.url, service, () => database.drop());
  }

  /** Another process on the same database, as far as the database can tell. */
  async another(policy: Partial<Policy> = {}): Promise<Service> {
    const log = await logOptions(this.url);
    return openService(options(this.url, { policy: { ...PRESETS.protea, ...policy }, ...log }));
  }

  async close(): Promise<void> {
    await this.service.close();
    await stopLog(this.url);
    await this.dropDatabase();
  }
}

export const create = async (
  service: Service,
  over: Partial<JobSpec> = {},
  with_: Partial<Call> = {},
): Promise<Outcome> => (await service.ledger.create([{ spec: spec(over), reason: null }], call(with_)))[0]!;

export const claim = (service: Service, over: Partial<ClaimRequest> = {}): Promise<readonly ClaimedJob[]> =>
  service.ledger.claim({
    workerId: 'w1',
    filter: {},
    max: 1,
    waitMs: 0,
    leaseMs: null,
    start: true,
    origin: origin('worker', over),
    idempotency: null,
    signal: new AbortController().signal,
    ...over,
  });

/** Defaults of the arguments that a test does not care about. */
const defaults: { readonly [Name in CommandName]?: object } = {
  cancel: { force: false, reason: null },
  retry: { reason: null },
  resume: { reason: null },
  complete: { result: null },
  fail: { code: 'Boom', message: 'boom', detail: null, retryable: true },
  release: { reason: 'shutdown' },
  wait: { reason: 'approval', detail: null, until: null },
  throttle: { reason: null, retryAfterMs: 60_000 },
  progress: {
    batchId: 'b',
    processed: 1,
    failed: 0,
    skipped: 0,
    stage: null,
    current: null,
    total: null,
    message: null,
  },
  heartbeat: { checkpoint: null, state: null },
  start: { token: undefined, reason: null },
};

export const execute = <Name extends CommandName>(
  service: Service,
  jobId: string,
  name: Name,
  over: Partial<CommandOf<Name>> = {},
  with_: Partial<Call> = {},
): Promise<Outcome> =>
  service.ledger.execute(jobId, { name, ...defaults[name], ...over } as unknown as JobCommand, call(with_));

/** The token of a claimed job, as the pipeline sees it. */
export const tokenOf = ({ outcome }: ClaimedJob): { run: number; attempt: number } => ({
  run: outcome.run,
  attempt: outcome.attempt,
});
