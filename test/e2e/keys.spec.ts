/** Processes with API keys, as an operator runs them: the SDK works with a key, the file is edited beneath them. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKey, revokeKey } from '../../src/api/keys/edit-keys.js';
import type { Role } from '../../src/api/keys/roles.js';
import { JobledgerClient, ProblemError, Worker } from '../../src/client/client.js';
import { buildService } from '../support/e2e/build.js';
import { type Environment, ServiceProcess } from '../support/e2e/service-process.js';
import { waitFor } from '../support/e2e/wait.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;
let folder: string;
let file: string;
const processes: ServiceProcess[] = [];
/** Every key that was made: none may be found in what a process prints. */
const secrets: string[] = [];

beforeAll(async () => {
  await buildService();
  database = await createTestDatabase();
  folder = mkdtempSync(join(tmpdir(), 'jobledger-keys-'));
  file = join(folder, 'keys.yaml');
}, 240_000);
afterEach(async () => {
  for (const each of processes.splice(0)) await each.kill();
  rmSync(file, { force: true });
});
afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

const prepare = async (name: string, settings: Environment): Promise<ServiceProcess> => {
  const made = await ServiceProcess.create(name, { JOBLEDGER_DATABASE_URL: database.url, ...settings });
  processes.push(made);
  return made;
};

const makeKey = (id: string, ...roles: Role[]): string => {
  const { secret } = createKey(file, { id, roles });
  secrets.push(secret);
  return secret;
};

const clientOf = ({ url }: ServiceProcess, apiKey?: string): JobledgerClient =>
  new JobledgerClient({ baseUrl: url, apiKey, retry: { deadlineMs: 20_000 } });

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    (error: unknown) => (error instanceof ProblemError ? error.code : String(error)),
  );

describe('a service with keys', () => {
  it('is worked with through the SDK, by a dispatcher, a worker and an operator, each with its key', async () => {
    const keys = {
      shop: makeKey('shop', 'dispatcher'),
      renderer: makeKey('renderer', 'worker'),
      olga: makeKey('olga', 'operator'),
    };
    // Beyond loopback it may listen only because it has keys.
    const node = await prepare('a', { JOBLEDGER_API_KEYS: file, JOBLEDGER_HOST: '0.0.0.0' });
    await node.start();
    expect(node.output.filter((line) => line.startsWith('Jobledger is ready'))).toEqual([
      expect.stringMatching(/^Jobledger is ready at http:\/\/0\.0\.0\.0:\d+ \(API keys are needed\)$/),
    ]);
    const shop = clientOf(node, keys.shop);
    const olga = clientOf(node, keys.olga);
    const worker = new Worker({
      client: clientOf(node, keys.renderer),
      workerId: 'renderer-1',
      types: ['render'],
      handler: async (job, { progress }) => {
        await progress({ processed: 1, total: 1 });
        return { rendered: job.payload };
      },
    });
    worker.start();
    try {
      const { jobId } = await shop.createJob({ type: 'render', payload: { page: 1 } });
      const job = await shop.getJob(jobId, { waitMs: 30_000 });
      expect(job).toMatchObject({ status: 'completed', createdBy: 'shop', result: { rendered: { page: 1 } } });
      const { jobId: other } = await shop.createJob({ type: 'other' });
      expect((await olga.emergencyStop(other, { reason: 'wrong' })).status).toBe('failed');
      expect(await codeOf(shop.emergencyStop(other))).toBe('forbidden');
      expect(await codeOf(olga.createJob({ type: 'other' }))).toBe('forbidden');
      expect(await codeOf(clientOf(node).listJobs())).toBe('unauthenticated');
      const { settings } = await olga.config();
      expect(settings.find(({ name }) => name === 'JOBLEDGER_API_KEYS')).toMatchObject({ value: file, source: 'env' });
      expect(JSON.stringify([settings, job])).not.toMatch(/jobledger_[A-Za-z0-9_-]{43}|sha256:/);
    } finally {
      await worker.stop();
    }
    expect(await node.terminate()).toBe(0);
    const output = node.output.join('\n');
    for (const secret of secrets) expect(output).not.toContain(secret);
  });

  it('knows no key any more that was revoked, at the next request to any process; a broken file changes nothing', async () => {
    const [ann, bob] = [makeKey('ann', 'dispatcher'), makeKey('bob', 'dispatcher')];
    const settings = { JOBLEDGER_API_KEYS: file };
    const [one, two] = await Promise.all([prepare('a', settings), prepare('b', settings)]);
    await Promise.all([one.start(), two.start()]);
    const asked = async (key: string): Promise<readonly string[]> =>
      Promise.all([one, two].map((node) => codeOf(clientOf(node, key).listJobs())));
    expect([await asked(ann), await asked(bob)]).toEqual([
      ['done', 'done'],
      ['done', 'done'],
    ]);
    const stream = clientOf(one, ann).streamEvents({ after: '0' });
    await stream.next();
    revokeKey(file, 'ann');
    expect([await asked(ann), await asked(bob)]).toEqual([
      ['unauthenticated', 'unauthenticated'],
      ['done', 'done'],
    ]);
    // Its stream ends, and is not opened again.
    const toItsEnd = async (): Promise<void> => {
      while ((await stream.next()).done !== true);
    };
    expect(await codeOf(toItsEnd())).toBe('unauthenticated');
    writeFileSync(file, 'keys: [{ id: bob, hash: not-a-hash }]');
    expect(await asked(bob)).toEqual(['done', 'done']);
    await waitFor('both to say so', () =>
      [one, two].every(({ output }) => output.some((line) => line.includes('The file of API keys cannot be used'))),
    );
    const ready = await clientOf(two).ready();
    expect(ready).toMatchObject({ status: 'degraded', checks: { apiKeys: { status: 'degraded' } } });
    const output = [...one.output, ...two.output].join('\n');
    expect(output).toContain('keys[0].hash must be sha256');
    for (const told of [...secrets, 'not-a-hash']) expect(output).not.toContain(told);
  });
});

describe('a start is refused', () => {
  it.each([
    ['without a key', () => writeFileSync(file, 'keys: []'), /JOBLEDGER_API_KEYS: .*keys\.yaml: has no key/],
    [
      'with a role that is none',
      () => writeFileSync(file, `keys: [{ id: a, hash: "sha256:${'0'.repeat(64)}", roles: [root] }]`),
      /JOBLEDGER_API_KEYS: .*keys\[0\]\.roles\[0\] must be one of/,
    ],
  ])('with a file of keys %s, in one line that names the setting', async (_what, spoil, message) => {
    spoil();
    const node = await prepare('a', { JOBLEDGER_API_KEYS: file });
    await expect(node.start()).rejects.toThrow('exited before it was ready');
    const lines = node.output.filter((line) => !line.startsWith('---'));
    expect(lines).toEqual([expect.stringMatching(/^jobledger did not start: /)]);
    expect(lines[0]).toMatch(message);
  });
});
