/** The demo, as a user runs it: what it prints is true, what it finds wrong it says, and it leaves nothing behind. */
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type Job, JobledgerClient } from '../../src/client/client.js';
import { buildService } from '../support/e2e/build.js';
import { sharedServerDatabase } from '../support/e2e/database.js';
import { DemoProcess } from '../support/e2e/demo-process.js';
import { ServiceProcess } from '../support/e2e/service-process.js';
import { waitFor } from '../support/e2e/wait.js';

const LIMIT_MS = 120_000;
const FOLDERS = ['a', 'b', 'c', 'd', 'e', 'f'];
const FILES = ['1', '2', '3', '4', '5'];
const FILE_BYTES = 1_000;

let place: string;
let folder: string;
let demo: DemoProcess | undefined;

beforeAll(() => buildService(), 2 * LIMIT_MS);

beforeEach(() => {
  // Open to the account that the embedded server runs as.
  place = mkdtempSync(join(tmpdir(), 'jobledger-demo-test-'));
  folder = join(place, 'files');
  mkdirSync(folder);
  for (const name of FOLDERS) {
    mkdirSync(join(folder, name));
    for (const file of FILES) writeFileSync(join(folder, name, file), name.repeat(FILE_BYTES));
  }
  writeFileSync(join(folder, 'top.txt'), 'top');
  symlinkSync('a', join(folder, 'link'));
});

afterEach(async () => {
  if (demo?.isRunning === true) {
    demo.signal('SIGKILL');
    await demo.ended();
  }
  demo = undefined;
  rmSync(place, { recursive: true, force: true, maxRetries: 5 });
});

const start = (...args: string[]): DemoProcess => (demo = new DemoProcess([folder, ...args], place));

/** Data of services that demos of this test started. */
const leftovers = (): string[] => readdirSync(place).filter((name) => name !== 'files');

/** The jobs of the demo, as the service that it says it uses has them. */
const jobsOf = async (running: DemoProcess): Promise<readonly Job[]> => {
  const [, url = ''] = await running.said(/Jobledger at ([^\s,]+)/);
  const [, queue = ''] = await running.said(/queue (\S+?),/);
  const { items } = await new JobledgerClient({ baseUrl: url }).listJobs({ queue: [queue], limit: 200 });
  return items;
};

describe('the demo on a service of its own', () => {
  it(
    'recovers from a killed and a frozen worker, turns the zombie away, and finds all totals equal',
    async () => {
      const running = start('--own');
      expect([await running.ended(), running.output]).toEqual([0, expect.stringContaining('Equal:')]);
      const jobs = FOLDERS.length + 1;
      const lostLeases = running.numberOf('lost leases');
      expect(running.numberOf('jobs')).toBe(jobs);
      expect(running.output).toMatch(/jobs +7 +completed 7$/m);
      expect(lostLeases).toBeGreaterThanOrEqual(2);
      expect(running.numberOf('attempts')).toBe(jobs + lostLeases);
      expect(running.numberOf('zombie calls refused')).toBeGreaterThanOrEqual(1);
      expect(running.numberOf('recovery from the kill')).toBeGreaterThan(0);
      expect(running.numberOf('recovery from the freeze')).toBeGreaterThan(0);
      expect(running.comparisonOf('files')).toEqual(['31', '31', '31', 'equal']);
      expect(running.comparisonOf('bytes')).toEqual(['30,003', '30,003', '30,003', 'equal']);
      expect(running.comparisonOf('skipped')).toEqual(['1', '1', '1', 'equal']);
      expect(leftovers()).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'fails when a file changed after its job was completed',
    async () => {
      // The job of the killed worker is held for so long that another is completed, and seen to be, before the end.
      const running = start('--own', '--lease-ms', '10000');
      const done = await waitFor('a completed job', async () =>
        (await jobsOf(running)).find(({ status, progress }) => status === 'completed' && progress.processed === 5),
      );
      const { folder: changed } = done.payload as { folder: string };
      appendFileSync(join(folder, changed, '3'), '!');
      expect([await running.ended(), running.output]).toEqual([4, expect.stringContaining('DIFFERENT:')]);
      expect(running.comparisonOf('files')).toEqual(['31', '31', '31', 'equal']);
      expect(running.comparisonOf('bytes')).toEqual(['30,003', '30,003', '30,004', 'DIFFERENT']);
      expect(running.comparisonOf('digest').at(-1)).toBe('DIFFERENT');
      expect(leftovers()).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'leaves nothing behind when it is killed',
    async () => {
      const running = start('--own', '--lease-ms', '30000');
      await running.said(/froze worker/);
      running.signal('SIGKILL');
      await waitFor('the service to end and take its data along', () => leftovers().length === 0);
    },
    LIMIT_MS,
  );
});

describe('the demo on a service that is there', () => {
  it(
    'cancels what is left of its jobs when it is interrupted',
    async () => {
      const database = await sharedServerDatabase();
      const service = await ServiceProcess.create('demo', { JOBLEDGER_DATABASE_URL: database.url });
      try {
        await service.start();
        const running = start('--url', service.url, '--lease-ms', '30000');
        await running.said(/froze worker/);
        running.signal('SIGINT');
        expect([await running.ended(), running.output]).toEqual([130, expect.stringContaining('interrupted')]);
        const jobs = await jobsOf(running);
        expect(jobs).toHaveLength(FOLDERS.length + 1);
        expect(jobs.filter(({ finishedAt }) => finishedAt === null)).toEqual([]);
        expect(jobs.filter(({ status }) => status === 'cancelled').length).toBeGreaterThanOrEqual(2);
        expect(leftovers()).toEqual([]);
      } finally {
        await service.kill();
        await database.remove();
      }
    },
    LIMIT_MS,
  );

  it('is refused in one line when none is', async () => {
    const running = start('--url', 'http://127.0.0.1:9');
    expect(await running.ended()).toBe(3);
    expect(running.output).toMatch(/^jobledger demo: no service at http:\/\/127\.0\.0\.1:9: /m);
  });
});
