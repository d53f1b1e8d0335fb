/** create → claim → complete through the shipped write path, with every safety on: keys, leases, answers, hash chain. */
import { randomBytes, randomUUID } from 'node:crypto';
import { openService } from '../dist/service.js';
import { PRESETS } from '../dist/domain/policy.js';
import { compare, isOwn, withServer } from './measure.mjs';

const idempotency = () => ({ key: randomBytes(32), fingerprint: randomBytes(32) });
const origin = (type) => ({
  actor: { type, id: 'bench' },
  commandId: randomUUID(),
  correlationId: null,
  traceparent: null,
});
const call = (type) => ({ origin: origin(type), idempotency: idempotency(), ifMatch: null, bytes: 300 });

const spec = () => ({
  ...{ type: 'bench', queue: 'bench', payload: { url: 'https://example.org/things/1', size: 12345 } },
  ...{ priority: 0, tags: [], autostart: true, availableAt: null, maxAttempts: null, total: null },
  ...{ policy: null, preset: null, correlationId: randomUUID(), createdBy: 'anonymous' },
});

export const openOwn = async (databaseUrl) => {
  const failed = (error) => {
    throw error;
  };
  const service = await openService({
    ...{ databaseUrl, poolSize: 10, statementTimeoutMs: 10_000, policy: PRESETS.protea, maxPending: 10_000 },
    ...{ idempotencyMs: 86_400_000, secret: null },
    reaper: { intervalMs: 60_000, log: { swept: () => undefined, failed, jobFailed: (_id, error) => failed(error) } },
  });
  service.reaper.start();
  service.projections.start();
  const { ledger } = service;
  const step = async () => {
    await ledger.create([{ spec: spec(), reason: null }], call('client'));
    const [claimed] = await ledger.claim({
      ...{ workerId: 'w', filter: { queues: ['bench'] }, max: 1, waitMs: 1_000, leaseMs: null, start: true },
      ...{ origin: origin('worker'), idempotency: idempotency(), signal: new AbortController().signal },
    });
    if (claimed === undefined) return false;
    const { jobId, run, attempt } = claimed.outcome;
    const complete = { name: 'complete', token: { run, attempt }, result: { ok: true } };
    await ledger.execute(jobId, complete, call('worker'));
    return true;
  };
  return { step, close: () => service.close() };
};

await withServer(async (url) => {
  const own = await openOwn(url);
  const peer = isOwn ? undefined : await (await import('./pg-boss.mjs')).openPgBoss(url);
  await compare('lifecycle: create → claim → complete, one command a call, each with a key, in process', {
    jobledger: own.step,
    ...(peer === undefined ? {} : { 'pg-boss': peer.step }),
  });
  await peer?.close();
  await own.close();
});
