/** The database goes away, connections are cut, a process freezes: under load, and nothing that was answered is lost. */
import { expect } from '@jest/globals';
import type { Job, LedgerEvent, Page, ReaperStatus } from '../../src/api/contract.js';
import { useStoppableCluster } from '../support/e2e/cluster.js';
import { Load } from '../support/e2e/load.js';
import type { Answer } from '../support/e2e/recorder.js';
import { waitFor } from '../support/e2e/wait.js';
import { claim, createJobs, hold, readJob } from '../support/e2e/work.js';

const { scenario } = useStoppableCluster({ environment: { JOBLEDGER_REAPER_INTERVAL_MS: '200' } });

const OUTAGE_MS = 5_000;
const CUTS = 10;
const CRASHES = 3;

const notCompleted = (jobs: readonly Job[]) => jobs.filter(({ status }) => status !== 'completed');

const expectUnavailable = (what: string, { status, headers, body }: Answer): void => {
  expect([what, status, (body as { code: string }).code]).toEqual([what, 503, 'unavailable']);
  expect(headers['retry-after']).toMatch(/^[1-9]\d*$/);
};

scenario(
  'the database stops for 5 s under load: 503 meanwhile, and recovery unaided [B-18] [B-10]',
  async (cluster) => {
    await createJobs(cluster, 1, { queue: 'reported' });
    const reporter = await hold(cluster, 'reporter', { queues: ['reported'], leaseMs: 600_000 });
    const load = Load.start(cluster, { queue: 'outage' });
    await load.untilEnded(10);
    await cluster.database.stop();
    const stoppedAt = performance.now();
    const lane = cluster.recorder.lane('asker');
    for (const node of cluster.nodes) {
      await waitFor('readiness to say so', async () => (await node.ready()) === 503);
      for (const [method, path] of [
        ['POST', '/v1/jobs'],
        ['POST', '/v1/claims'],
        ['GET', '/v1/jobs'],
      ] as const) {
        const body = path === '/v1/claims' ? { workerId: 'w' } : { type: 'report' };
        expectUnavailable(path, await lane.ask(node, method, path, { body }));
      }
      expectUnavailable('progress', await reporter.try(node, 'progress', { batchId: 'b', processed: 1 }));
    }
    await waitFor('the outage to be over', () => performance.now() - stoppedAt > OUTAGE_MS);
    await cluster.database.start();
    await load.untilEnded(10);
    // What was refused is not there, and counts once when it is said again.
    expect((await readJob(cluster, reporter.jobId)).progress.processed).toBe(0);
    for (const events of [['ProgressRecorded'], []]) {
      expect((await reporter.must('progress', { batchId: 'b', processed: 1 })).events).toEqual(events);
    }
    expect((await readJob(cluster, reporter.jobId)).progress.processed).toBe(1);
    await reporter.must('complete');
    expect(notCompleted(await load.finish())).toEqual([]);
  },
);

scenario('every connection is cut 10 times under load [B-18]', async (cluster) => {
  const load = Load.start(cluster, { queue: 'cuts' });
  for (let cut = 0; cut < CUTS; cut += 1) {
    await load.untilEnded(3);
    expect(await cluster.database.cutConnections()).toBeGreaterThan(0);
  }
  await load.untilEnded(3);
  expect(notCompleted(await load.finish())).toEqual([]);
});

scenario('the database crashes under load: what was answered was durable [B-18]', async (cluster) => {
  const load = Load.start(cluster, { queue: 'crashes', meddlers: 2 });
  // Who asked is what people look at when a job does not move: most of all after a crash.
  const askers = async (): Promise<string> => (await fetch(`${cluster.node(0).url}/v1/queues/crashes`)).text();
  await claim(cluster, 'asked-before', { queues: ['crashes'], types: ['nothing'] });
  await waitFor('it to be known who asked', async () => (await askers()).includes('asked-before'));
  for (let crash = 0; crash < CRASHES; crash += 1) {
    await load.untilEnded(5);
    await cluster.database.crash();
  }
  await load.untilEnded(5);
  expect(await askers()).toContain('asked-before');
  const jobs = await load.finish();
  expect(jobs.filter(({ status }) => status !== 'completed' && status !== 'cancelled')).toEqual([]);
});

scenario(
  'clients are cut off 10 times under load: a repeated key gets the first answer [R-16] [A-20]',
  async (cluster) => {
    const load = Load.start(cluster, { queue: 'clients' });
    for (let cut = 0; cut < CUTS; cut += 1) {
      await load.untilEnded(3);
      cluster.recorder.breakConnections();
    }
    expect(notCompleted(await load.finish())).toEqual([]);
  },
);

scenario('a process is frozen under load for longer than leases live, and wakes [R-09] [ACC-1]', async (cluster) => {
  const load = Load.start(cluster, { queue: 'frozen' });
  await load.untilEnded(5);
  const frozen = cluster.node(0);
  frozen.signal('SIGSTOP');
  const stoppedAt = performance.now();
  try {
    await waitFor('leases to lapse', () => performance.now() - stoppedAt > 3_000);
    await load.untilEnded(3);
  } finally {
    frozen.signal('SIGCONT');
  }
  await load.untilEnded(5);
  expect(notCompleted(await load.finish())).toEqual([]);
});

scenario(
  'the leader of the reapers is frozen: another one leads, and its return ends nothing twice [ACC-8] [R-10]',
  async (cluster) => {
    const lane = cluster.recorder.lane('operator');
    const statusAt = async (index: number): Promise<ReaperStatus> =>
      (await lane.ask<ReaperStatus>(cluster.node(index), 'GET', '/v1/reaper')).body;
    const leader = await waitFor('somebody to lead', async () => {
      const [a, b] = await Promise.all([statusAt(0), statusAt(1)]);
      const index = [a, b].findIndex(({ leader: leads, instanceId }) => leads === instanceId);
      return index >= 0 && { index };
    });
    cluster.node(leader.index).signal('SIGSTOP');
    try {
      const other = 1 - leader.index;
      const body = {
        jobs: Array.from({ length: 100 }, () => ({
          type: 'report',
          queue: 'led',
          policy: { stallMs: 500, timeoutMs: 500 },
        })),
      };
      expect((await lane.ask(cluster.node(other), 'POST', '/v1/jobs/batch', { body })).status).toBe(201);
      await lane.ask(cluster.node(other), 'POST', '/v1/claims', {
        body: { workerId: 'silent', queues: ['led'], max: 100 },
      });
      await waitFor('the other to sweep', async () => {
        const now = await statusAt(other);
        return now.leader === now.instanceId && now.alive;
      });
      await waitFor('all to be ended', async () => {
        const { body: page } = await lane.ask<{ items: readonly Job[] }>(
          cluster.node(other),
          'GET',
          '/v1/jobs?queue=led&limit=1&status=running',
        );
        return page.items.length === 0;
      });
    } finally {
      cluster.node(leader.index).signal('SIGCONT');
    }
    await createJobs(cluster, 1, { queue: 'after' });
    expect(await claim(cluster, 'w', { queues: ['after', 'led'], max: 10 })).toHaveLength(1);
  },
);

scenario(
  'every process is dead for longer than a lease: a worker that lives keeps its job, a dead one loses it [R-08] [B-02]',
  async (cluster) => {
    const policy = { leaseMs: 5_000, maxLostLeases: 1 };
    const lane = cluster.recorder.lane('operator');
    await createJobs(cluster, 2, { queue: 'away', policy });
    const living = await hold(cluster, 'living', { queues: ['away'] });
    const dead = await hold(cluster, 'dead', { queues: ['away'] });
    for (let outage = 1; outage <= 2; outage += 1) {
      await living.must('heartbeat');
      const expiresAt = Date.parse((await readJob(cluster, living.jobId)).lease!.expiresAt);
      await Promise.all(cluster.nodes.map((node) => node.kill()));
      await waitFor('the lease to lapse', () => Date.now() > expiresAt + 100);
      const beat = living.say('heartbeat');
      await Promise.all(cluster.nodes.map((node) => node.start()));
      expect((await beat).status).toBe(200);
    }
    await waitFor('the other to be given out again', async () => {
      await living.must('heartbeat');
      return (await readJob(cluster, dead.jobId)).lostLeases > 0;
    });
    expect(await readJob(cluster, living.jobId)).toMatchObject({ status: 'running', attempt: 1, lostLeases: 0 });
    const { body } = await lane.insist<Page<LedgerEvent>>('GET', `/v1/jobs/${dead.jobId}/events?limit=200`);
    expect(body.items.find(({ type }) => type === 'LeaseExpired')?.data).toMatchObject({
      evidence: { thresholds: { leaseMs: 5_000, graceMs: expect.any(Number) } },
    });
    await living.must('complete');
    await (await hold(cluster, 'next', { queues: ['away'] })).must('complete');
  },
);
