/** The replay of a cluster's log, as a user runs it: by real processes, of which one is killed, and compared with the log. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Job, JobledgerClient } from '../../src/client/client.js';
import { buildService } from '../support/e2e/build.js';
import { type ClusterDatabase, sharedServerDatabase } from '../support/e2e/database.js';
import { DemoProcess } from '../support/e2e/demo-process.js';
import { ServiceProcess } from '../support/e2e/service-process.js';
import { waitFor } from '../support/e2e/wait.js';

const LIMIT_MS = 120_000;

/** Made up: submit, wait, run and status of each job, out of order, with what real logs have in them. */
const JOBS: readonly (readonly [number, number, number, number])[] = [
  ...Array.from({ length: 24 }, (_, n): [number, number, number, number] => [100 + 7 * n, n % 5, 30 + 10 * n, 1]),
  ...[[90, 3, 50, 0] as const, [200, -1, 40, 0] as const, [210, 0, 0, 0] as const],
  ...[[120, 2, 0, 5] as const, [130, 60, 0, 5] as const, [140, 2, 45, 5] as const, [250, 1, 35, 5] as const],
  ...[[150, 0, -1, 1] as const, [160, 5, 25, -1] as const],
];
const entry = ([submit, wait, run, status]: readonly number[], job: number): string =>
  [job, submit, wait, run, 4, -1, -1, 4, 7200, -1, status, 1, 1, -1, -1, 1, -1, -1].join('  ');
const LOG = ['; Made up', '', ...JOBS.map((job, at) => entry(job, at + 1)), '41 300 0 cut off'].join('\r\n');
const RUN_SECONDS = JOBS.reduce((sum, [, , run]) => sum + Math.max(0, run), 0);

let place: string;
let log: string;
let database: ClusterDatabase;
let service: ServiceProcess;
let client: JobledgerClient;
let demo: DemoProcess | undefined;

beforeAll(async () => {
  await buildService();
  place = mkdtempSync(join(tmpdir(), 'jobledger-swf-test-'));
  log = join(place, 'log.swf.gz');
  writeFileSync(log, gzipSync(LOG));
  database = await sharedServerDatabase();
  const settings = { JOBLEDGER_DATABASE_URL: database.url, JOBLEDGER_REAPER_INTERVAL_MS: '200' };
  service = await ServiceProcess.create('swf', settings);
  await service.start();
  client = new JobledgerClient({ baseUrl: service.url });
}, 2 * LIMIT_MS);

afterEach(async () => {
  if (demo?.isRunning === true) {
    demo.signal('SIGKILL');
    await demo.ended();
  }
  demo = undefined;
});

afterAll(async () => {
  await service.kill();
  await database.remove();
  rmSync(place, { recursive: true, force: true, maxRetries: 5 });
});

const start = (...args: string[]): DemoProcess =>
  (demo = new DemoProcess(['--swf', log, '--url', service.url, '--lease-ms', '1000', ...args], place));

const jobsOf = async (running: DemoProcess): Promise<readonly Job[]> => {
  const [, queue = ''] = await running.said(/queue (\S+?),/);
  return (await client.listJobs({ queue: [queue], limit: 200 })).items;
};

describe('a replay', () => {
  it(
    'ends every job as it ended, though a worker is killed while it holds some, and finds all totals equal',
    async () => {
      const running = start();
      expect([await running.ended(), running.output]).toEqual([0, expect.stringContaining('Equal:')]);
      expect(running.output).toContain('1 malformed line is left out:\n  line 36: 18 fields expected, not 5\n');
      expect(running.output).toMatch(/of worker-\d \d+ leases? lapsed, (its job was|their jobs were) taken over, /);
      expect(running.comparisonOf('jobs')).toEqual(['33', '33', '33', 'equal']);
      expect(running.comparisonOf('completed')).toEqual(['26', '26', '26', 'equal']);
      expect(running.comparisonOf('failed')).toEqual(['3', '3', '3', 'equal']);
      expect(running.comparisonOf('cancelled')).toEqual(['4', '4', '4', 'equal']);
      const seconds = RUN_SECONDS.toLocaleString('en-US');
      expect(running.comparisonOf('run seconds')).toEqual([seconds, seconds, 'equal']);
      // Two were cancelled before they ran; each lost lease cost one attempt more.
      const lost = running.numberOf('lost leases');
      expect(lost).toBeGreaterThanOrEqual(1);
      expect(running.numberOf('attempts')).toBe(31 + lost);
      // On its own: not what it printed, but what the service says.
      const jobs = await jobsOf(running);
      const cancelled = jobs.filter(({ status }) => status === 'cancelled');
      expect(cancelled.map(({ attempt, progress }) => [attempt > 0, progress.processed]).sort()).toEqual([
        [false, 0],
        [false, 0],
        [true, 35],
        [true, 45],
      ]);
    },
    LIMIT_MS,
  );

  it(
    'goes on where it was when the service is killed and comes back, beside the jobs of another replay',
    async () => {
      const running = start('--speed', '100');
      await running.said(/killed worker/);
      await service.kill();
      await service.start();
      expect([await running.ended(), running.output]).toEqual([0, expect.stringContaining('Equal:')]);
      expect(running.comparisonOf('jobs')).toEqual(['33', '33', '33', 'equal']);
    },
    LIMIT_MS,
  );

  it(
    'fails when a job ended otherwise than in the log, and names its line',
    async () => {
      const running = start('--speed', '100', '--no-faults');
      const victim = await waitFor('a job that is still to complete', async () =>
        (await jobsOf(running)).find(
          ({ finishedAt, payload }) => finishedAt === null && (payload as { finish: string }).finish === 'complete',
        ),
      );
      await client.cancel(victim.id, { force: true });
      expect([await running.ended(), running.output]).toEqual([4, expect.stringContaining('DIFFERENT:')]);
      expect(running.comparisonOf('completed')).toEqual(['26', '25', '25', 'DIFFERENT']);
      expect(running.comparisonOf('cancelled')).toEqual(['4', '5', '5', 'DIFFERENT']);
      const { line } = victim.payload as { line: number };
      expect(running.output).toContain(`line ${line}: job ${victim.id} is cancelled on the ledger`);
    },
    LIMIT_MS,
  );

  it(
    'cancels what is left when it is interrupted',
    async () => {
      const running = start('--speed', '0.01', '--no-faults');
      await waitFor('some jobs', async () => (await jobsOf(running)).length > 0);
      running.signal('SIGINT');
      expect([await running.ended(), running.output]).toEqual([130, expect.stringContaining('interrupted')]);
      expect((await jobsOf(running)).filter(({ finishedAt }) => finishedAt === null)).toEqual([]);
    },
    LIMIT_MS,
  );

  it.each([
    ['', 'has no job that could be replayed'],
    ['no log\n', 'line 1: 18 fields expected, not 2'],
  ])('of a file with %j is refused', async (text, message) => {
    const path = join(place, 'other.swf');
    writeFileSync(path, text);
    const running = (demo = new DemoProcess(['--swf', path, '--url', service.url], place));
    expect([await running.ended(), running.output]).toEqual([1, expect.stringContaining(message)]);
    expect(readdirSync(place).sort()).toEqual(['log.swf.gz', 'other.swf']);
  });
});
