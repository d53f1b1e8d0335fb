/** `npm run db` and services on its URL, each a process: the database is stopped, killed and started again. */
import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Caller } from '../support/app.js';
import { DatabaseProcess, killAll } from '../support/database-process.js';
import { buildService } from '../support/e2e/build.js';
import { ServiceProcess } from '../support/e2e/service-process.js';
import { waitFor } from '../support/e2e/wait.js';

let dataDir: string;
let nodes: ServiceProcess[];
beforeAll(buildService);
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'jobledger-restart-'));
  nodes = [];
});
afterEach(async () => {
  await Promise.all(nodes.map((node) => node.kill()));
  // Whatever a killed owner has left is taken over, so that it can be stopped.
  const owner = new DatabaseProcess(dataDir);
  await owner.url();
  await owner.stop();
  await killAll();
  await rm(dataDir, { recursive: true, force: true });
});

it('services on the URL of a database that is started again recover by themselves [B-18]', async () => {
  const first = new DatabaseProcess(dataDir);
  const url = await first.url();
  nodes = await Promise.all(['a', 'b'].map((name) => ServiceProcess.create(name, { JOBLEDGER_DATABASE_URL: url })));
  await Promise.all(nodes.map((node) => node.start()));
  const calls = nodes.map((node) => new Caller(node.url));
  const { jobId } = await calls[0]!.create();
  const allReady = (status: number) =>
    waitFor(`both to answer ${status}`, async () =>
      (await Promise.all(nodes.map((node) => node.ready()))).every((answered) => answered === status),
    );

  await first.stop();
  await allReady(503);
  const second = new DatabaseProcess(dataDir);
  expect(await second.url()).toBe(url);
  await allReady(200);
  for (const call of calls) expect((await call.get(`/v1/jobs/${jobId}`)).status).toBe(200);

  second.kill('SIGKILL');
  await second.ended;
  const third = new DatabaseProcess(dataDir);
  expect(await third.url()).toBe(url);
  await allReady(200);
  expect((await calls[1]!.post(`/v1/jobs/${jobId}/cancel`, {})).status).toBe(200);
  await third.stop();
});
