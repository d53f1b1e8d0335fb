/** Our side in process: the service as it is shipped, without HTTP, every safety on. */
import { randomBytes, randomUUID } from 'node:crypto';
import { PRESETS } from '../dist/domain/policy.js';
import { openService } from '../dist/service.js';

const origin = (type) => ({
  actor: { type, id: 'bench' },
  commandId: randomUUID(),
  correlationId: null,
  traceparent: null,
});

/** Random bytes of many keys at once: a call of the system's generator costs as much as all that the ledger does with a key. */
let pool = Buffer.alloc(0);
const random32 = () => {
  if (pool.length < 32) pool = randomBytes(32 * 1_024);
  const bytes = pool.subarray(0, 32);
  pool = pool.subarray(32);
  return bytes;
};

/** Every call has a key of its own. */
const idempotency = () => ({ key: random32(), fingerprint: random32() });

export const call = (type) => ({
  origin: origin(type),
  idempotency: idempotency(),
  ifMatch: null,
  onlyJobsOf: null,
  bytes: 300,
});

/** Of one call that asks for nothing but a sign of life: it needs no key. */
export const bareCall = (type) => ({ ...call(type), idempotency: null });

const spec = (queue) => ({
  ...{ type: 'bench', queue, payload: { url: 'https://example.org/things/1', size: 12345 } },
  ...{ priority: 0, tags: [], autostart: true, availableAt: null, maxAttempts: null, total: null },
  ...{ policy: null, preset: null, correlationId: randomUUID(), createdBy: 'anonymous' },
});

const unexpected = (error) => {
  throw error;
};

/** @param duties whether the reaper sweeps and the projections follow the log, as in a process that runs everything */
export const openOwn = async (databaseUrl, { duties = true, eventStoreDbUrl } = {}) => {
  const service = await openService({
    ...{ databaseUrl, poolSize: 10, statementTimeoutMs: 10_000, policy: PRESETS.protea, maxPending: 10_000 },
    ...{ idempotencyMs: 86_400_000, secret: null },
    ...(eventStoreDbUrl !== undefined && { eventStoreDbUrl }),
    reaper: {
      intervalMs: 60_000,
      log: {
        ...{ swept: () => undefined, failed: unexpected, housekeepingFailed: unexpected },
        jobFailed: (_id, error) => unexpected(error),
      },
    },
  });
  if (duties) {
    service.reaper.start();
    service.projections.start();
  }
  const { ledger } = service;

  const create = (count = 1, queue = 'bench') =>
    ledger.create(
      Array.from({ length: count }, () => ({ spec: spec(queue), reason: null })),
      call('client'),
    );

  const claim = async (count = 1, { queue = 'bench', leaseMs = null, waitMs = 1_000 } = {}) =>
    (
      await ledger.claim({
        ...{ workerId: 'w', filter: { queues: [queue] }, max: count, waitMs, leaseMs, start: true },
        ...{ origin: origin('worker'), idempotency: idempotency(), signal: new AbortController().signal },
      })
    ).map(({ outcome: { jobId, run, attempt } }) => ({ jobId, token: { run, attempt } }));

  const complete = (claimed) =>
    Promise.all(
      claimed.map(({ jobId, token }) =>
        ledger.execute(jobId, { name: 'complete', token, result: { ok: true } }, call('worker')),
      ),
    );

  return {
    service,
    ...{ create, claim, complete },
    /** One whole life of a job. @returns whether it got one */
    step: async () => {
      await create();
      const claimed = await claim();
      await complete(claimed);
      return claimed.length === 1;
    },
    /** The same of many at once. @returns how many */
    bulk: async (count) => {
      await create(count);
      const claimed = await claim(count);
      await complete(claimed);
      return claimed.length;
    },
    close: () => service.close(),
  };
};

const SEED_CALL = 1_000;
const SEED_CALLERS = 2;

/** Fills the log with jobs that ran to their end, five events each, the way of any command. */
export const seedCompleted = async (own, jobs) => {
  let left = jobs;
  const lane = async () => {
    while (left > 0) {
      const count = Math.min(SEED_CALL, left);
      left -= count;
      const done = await own.bulk(count);
      left += count - done;
    }
  };
  await Promise.all(Array.from({ length: SEED_CALLERS }, lane));
};
