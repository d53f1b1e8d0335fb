/** What operators are promised of settings, and of processes whose clock is wrong. These run as processes of their own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ConfigView } from '../../src/api/contract.js';
import { startApp } from '../support/app.js';
import { buildService } from '../support/e2e/build.js';
import { type Environment, ServiceProcess } from '../support/e2e/service-process.js';
import { waitFor } from '../support/e2e/wait.js';
import { DAY_MS, HOUR_MS, LedgerCaller, LONG_LEASE, newQueue, STALE } from '../support/ledger-caller.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;
let folder: string;
const processes: ServiceProcess[] = [];
beforeAll(async () => {
  await buildService();
  database = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), 'jobledger-rows-'));
}, 240_000);
afterEach(async () => {
  for (const each of processes.splice(0)) await each.kill();
});
afterAll(async () => {
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

const prepare = async (settings: Environment): Promise<ServiceProcess> => {
  const made = await ServiceProcess.create('a', { JOBLEDGER_DATABASE_URL: database.url, ...settings });
  processes.push(made);
  return made;
};
const start = async (settings: Environment = {}): Promise<ServiceProcess> => {
  const made = await prepare(settings);
  await made.start();
  return made;
};
const callerOf = ({ url }: ServiceProcess) => new LedgerCaller(url);
const since = (from: string | null | undefined, to: string | null | undefined) =>
  Date.parse(to ?? '') - Date.parse(from ?? '');

const settingsOf = async (made: ServiceProcess) => {
  const { settings } = (await callerOf(made).get('/v1/config')).body as ConfigView;
  return (name: string) => {
    const found = settings.find((setting) => setting.name === name);
    return [found?.value, found?.source];
  };
};

describe('a threshold', () => {
  it('is as it is by default until it is set [P-15]', async () => {
    const setting = await settingsOf(await start());
    expect(setting('JOBLEDGER_POLICY_TIMEOUT_MS')).toEqual([6 * HOUR_MS, 'default']);
    expect(setting('JOBLEDGER_POLICY_STALL_MS')).toEqual([30 * 60_000, 'default']);
    expect(setting('JOBLEDGER_POLICY_LEASE_MS')).toEqual([2 * 60_000, 'default']);
    expect(setting('JOBLEDGER_REAPER_INTERVAL_MS')).toEqual([60_000, 'default']);
  });

  it('comes from the preset, the file or the environment, the later before the earlier, and says so [P-07] [P-15]', async () => {
    const file = join(folder, 'jobledger.yaml');
    await writeFile(file, 'policy:\n  stallMs: 120000\n  timeoutMs: 240000\n');
    const made = await start({
      JOBLEDGER_CONFIG: file,
      JOBLEDGER_PRESET: 'antenna',
      jobledger_policy_Stall_ms: '180000',
    });
    const setting = await settingsOf(made);
    expect(setting('JOBLEDGER_POLICY_STALL_MS')).toEqual([180_000, 'env']);
    expect(setting('JOBLEDGER_POLICY_TIMEOUT_MS')).toEqual([240_000, 'file']);
    expect(setting('JOBLEDGER_POLICY_LEASE_MS')).toEqual([5 * 60_000, 'default']);
    const { jobId } = await callerOf(made).create();
    const { policy } = await callerOf(made).job(jobId);
    expect(policy).toMatchObject({ stallMs: 180_000, timeoutMs: 240_000, leaseMs: 5 * 60_000, onStale: 'cancel' });
  });

  it.each([
    ['JOBLEDGER_POLICY_STALL_MS', 'abc'],
    ['JOBLEDGER_POLICY_STALL_MS', '1'],
    ['JOBLEDGER_POLICY_TIMEOUT_MS', '-5'],
    ['JOBLEDGER_REAPER_INTERVAL_MS', '99'],
    ['JOBLEDGER_POLICY_STAL_MS', '60000'],
    ['JOBLEDGER_HOST', '0.0.0.0'],
    ['JOBLEDGER_API_KEYS', '/nowhere/keys.yaml'],
  ])('that is wrong stops the start, and is named: %s=%s [P-07]', async (name, value) => {
    const refused = await prepare({ [name]: value });
    await expect(refused.start()).rejects.toThrow('exited before it was ready');
    const lines = refused.output.filter((line) => !line.startsWith('---'));
    expect(lines).toEqual([expect.stringMatching(new RegExp(`^jobledger did not start: .*${name}`))]);
  });

  it('that is wrong in a job is refused by name [P-07]', async () => {
    const app = await startApp();
    try {
      for (const [policy, path] of [
        [{ stallMs: 'abc' }, 'policy.stallMs'],
        [{ stallMs: 1 }, 'policy.stallMs'],
        [{ retry: { factor: 0.5 } }, 'policy.retry.factor'],
      ] as const) {
        const { status, body } = await new LedgerCaller(app.url).post('/v1/jobs', { type: 'x', policy });
        expect([status, body.errors[0].path]).toEqual([400, path]);
      }
    } finally {
      await app.close();
    }
  });

  it('that is raised holds for what is running, from the next start on [P-18]', async () => {
    const strict = { JOBLEDGER_POLICY_TIMEOUT_MS: '100', JOBLEDGER_POLICY_STALL_MS: '100' };
    const lenient = { JOBLEDGER_POLICY_TIMEOUT_MS: `${2 * DAY_MS}`, JOBLEDGER_POLICY_STALL_MS: `${HOUR_MS}` };
    const made = await start({ ...strict, JOBLEDGER_RUN: 'api,projections' });
    const ledger = callerOf(made);
    const { job } = await ledger.hold({}, LONG_LEASE);
    await ledger.untilDue([job.id]);
    expect(await made.terminate()).toBe(0);
    await made.start({ ...lenient, JOBLEDGER_RUN: 'api,projections,reaper' });
    await waitFor('a sweep', async () => (await ledger.reaper()).sweeps > 0);
    await ledger.sweep();
    const kept = await ledger.job(job.id);
    expect([kept.status, kept.deadline?.rule, kept.policy.timeoutMs]).toEqual(['running', 'lease_expired', 2 * DAY_MS]);
    // And one that is lowered too, though nothing else happens to the job.
    expect(await made.terminate()).toBe(0);
    await made.start({ ...strict, JOBLEDGER_RUN: 'api,projections,reaper' });
    expect((await ledger.get(`/v1/jobs/${job.id}?waitMs=45000`)).body).toMatchObject({
      status: 'failed',
      error: { code: 'JobTimeout' },
    });
  });
});

describe('a sweep', () => {
  it('says what it did, and its process says it in a line; afterwards nothing old is running [P-19]', async () => {
    const made = await start({ JOBLEDGER_RUN: 'api,projections', JOBLEDGER_LOG_LEVEL: 'debug' });
    const ledger = callerOf(made);
    const queue = newQueue();
    const policies = [STALE, STALE, { ...STALE, onStale: 'requeue' }, { ...STALE, onStale: 'cancel' }];
    await ledger.post('/v1/jobs/batch', { jobs: policies.map((policy) => ({ type: 'stale', queue, policy })) });
    const held = await ledger.claims('w', { queues: [queue], max: 10, ...LONG_LEASE });
    // Its first lease would have lapsed: the sweep looks at it, and lets it live.
    const busy = await ledger.hold({}, { leaseMs: 100 });
    await ledger.must(busy, 'heartbeat', { leaseMs: HOUR_MS });
    await waitFor('it to be looked at', async () =>
      (await ledger.sweep(true)).jobs.some(({ jobId, verdict }) => jobId === busy.job.id && verdict === 'live'),
    );
    await ledger.untilDue(held.map(({ job }) => job.id));
    const running = `status=running&startedBefore=${new Date(Date.now() + HOUR_MS).toISOString()}&queue=${queue}`;
    expect(await ledger.jobs(running)).toHaveLength(4);
    const report = await ledger.sweep();
    const counts = { due: 5, reaped: 2, requeued: 1, cancelled: 1, moved: 0, skippedLive: 1, raced: 0, errors: 0 };
    expect(report).toMatchObject({ ...counts, dryRun: false });
    expect(await ledger.jobs(running)).toEqual([]);
    expect((await ledger.job(busy.job.id)).status).toBe('running');
    const [line] = await waitFor('the line', () => {
      const found = made.output.filter((text) => text.includes('"msg":"Reaped 2 stale job(s)."'));
      return found.length > 0 && found;
    });
    expect(JSON.parse(line!)).toMatchObject({ level: 30, ...counts });
    const live = await waitFor('the line of the job that lives', () =>
      made.output.find((text) => text.includes('"msg":"Reaper skipped live job."')),
    );
    expect(JSON.parse(live)).toMatchObject({ level: 20, jobId: busy.job.id });
    await ledger.sweep();
    expect(made.output.filter((text) => text.includes('Reaped'))).toHaveLength(1);
  });
});

/** Runs before the service: its wall clock is a day ahead of everybody's. */
const TOMORROW = `
const Real = Date;
globalThis.Date = class extends Real {
  constructor(...given) { if (given.length === 0) super(Real.now() + ${DAY_MS}); else super(...given); }
  static now() { return Real.now() + ${DAY_MS}; }
};`;

describe('a process whose clock is a day ahead', () => {
  it('judges and records by the time of the database all the same [Z-06]', async () => {
    const made = await start({
      JOBLEDGER_RUN: 'api,projections,reaper',
      JOBLEDGER_REAPER_INTERVAL_MS: '100',
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(TOMORROW)}`,
    });
    const ledger = callerOf(made);
    const held = await ledger.hold({}, { leaseMs: HOUR_MS });
    const { id } = held.job;
    const { jobId: delayed } = await ledger.create({ delayMs: HOUR_MS });
    const { sweeps } = await ledger.reaper();
    await waitFor('more sweeps', async () => (await ledger.reaper()).sweeps > sweeps + 2);
    await ledger.sweep();
    const job = await ledger.job(id);
    expect(job.status).toBe('running');
    expect(Math.abs(since(job.createdAt, new Date().toISOString()))).toBeLessThan(HOUR_MS);
    for (const from of [job.startedAt, job.lease?.lastBeatAt]) {
      expect(Math.abs(since(from, job.lease?.expiresAt) - HOUR_MS)).toBeLessThan(60_000);
    }
    const later = await ledger.job(delayed);
    expect(later.status).toBe('scheduled');
    expect(Math.abs(since(later.createdAt, later.availableAt) - HOUR_MS)).toBeLessThan(60_000);
    const stale = await ledger.hold({ policy: STALE }, LONG_LEASE);
    expect((await ledger.get(`/v1/jobs/${stale.job.id}?waitMs=45000`)).body).toMatchObject({ status: 'failed' });
  });
});
