/** Processes on a log in EventStoreDB are killed, and its server fails: what was answered is kept, and nothing is twice. */
import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import type { ReaperStatus } from '../../src/api/contract.js';
import { useCluster } from '../support/e2e/cluster.js';
import type { Cluster } from '../support/e2e/running-cluster.js';
import { Load } from '../support/e2e/load.js';
import { logOnFake } from '../support/e2e/log.js';
import { waitFor } from '../support/e2e/wait.js';
import type { LogServer } from '../support/eventstoredb/log-server.js';

const { scenario } = useCluster({ environment: { JOBLEDGER_REAPER_INTERVAL_MS: '200' }, log: logOnFake });

const KILLS = 4;

const serverOf = ({ log: { server } }: Cluster): LogServer => {
  if (server === undefined) throw new Error('the log is not on the fake');
  return server;
};

const areAll = async ({ nodes }: Cluster, status: number): Promise<boolean> =>
  (await Promise.all(nodes.map((node) => node.ready()))).every((ready) => ready === status);

const finishWhole = async (load: Load): Promise<void> => {
  const jobs = await load.finish();
  expect(jobs.filter(({ status }) => status !== 'completed')).toEqual([]);
};

scenario('a process is killed again and again under load [R-15] [R-16] [C-04] [C-15]', async (cluster) => {
  const load = Load.start(cluster, { queue: 'kills', creators: 2, workers: 4 });
  for (let kill = 0; kill < KILLS; kill += 1) {
    const node = cluster.node(kill % 2);
    await load.untilEnded(5);
    await node.kill();
    await node.start();
  }
  await load.untilEnded(5);
  await finishWhole(load);
});

scenario('every process is killed at once, with clients waiting [C-04] [R-15]', async (cluster) => {
  const load = Load.start(cluster, { queue: 'all-killed', creators: 2, workers: 4 });
  await load.untilEnded(5);
  await Promise.all(cluster.nodes.map((node) => node.kill()));
  await Promise.all(cluster.nodes.map((node) => node.start()));
  await load.untilEnded(5);
  await finishWhole(load);
});

scenario('the server of the log goes away: 503, and all goes on when it is back', async (cluster) => {
  const load = Load.start(cluster, { queue: 'away', creators: 2, workers: 4 });
  await load.untilEnded(5);
  await serverOf(cluster).tell('stop');
  await waitFor('both to say that they are not ready', () => areAll(cluster, 503));
  // Those of the load give up a try sooner than a command is: none of theirs need be told.
  const lane = cluster.recorder.lane('asking meanwhile');
  await waitFor('a command to be refused', async () => {
    const { outcome } = await lane.send(cluster.node(0), 'POST', `/v1/jobs/${randomUUID()}/cancel`, { body: {} });
    return outcome?.kind === 'answered' && outcome.status === 503;
  });
  // Beyond the leases: verdicts are on their way when it comes back.
  await waitFor('a sweep that could end no job', async () => {
    const { lastError } = (await lane.ask<ReaperStatus>(cluster.node(0), 'GET', '/v1/reaper')).body;
    return lastError !== null;
  });
  await serverOf(cluster).tell('start');
  await waitFor('both to be ready', () => areAll(cluster, 200));
  await load.untilEnded(5);
  await finishWhole(load);
});

scenario('the server breaks calls, loses answers, restarts: nothing is lost, nothing is twice', async (cluster) => {
  const load = Load.start(cluster, { queue: 'broken', creators: 2, workers: 4 });
  const orders = [
    'dropCalls',
    'loseAnswer',
    'starting',
    'started',
    'stop',
    'start',
    'dropCalls',
    'loseAnswer',
  ] as const;
  for (const order of orders) {
    await load.untilEnded(order === 'started' || order === 'start' ? 0 : 3);
    await serverOf(cluster).tell(order);
  }
  await load.untilEnded(5);
  await finishWhole(load);
});
