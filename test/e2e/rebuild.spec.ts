/** A projection is made anew under load while its process is killed: another goes on where it was. */
import { expect } from '@jest/globals';
import type { Projection, Upkeep } from '../../src/api/contract.js';
import { useCluster } from '../support/e2e/cluster.js';
import type { Cluster } from '../support/e2e/running-cluster.js';
import { Load } from '../support/e2e/load.js';
import { waitFor } from '../support/e2e/wait.js';
import { createJobs } from '../support/e2e/work.js';
import { isElsewhere } from '../support/test-log.js';

const { scenario } = useCluster({ environment: { JOBLEDGER_REAPER_INTERVAL_MS: '200' } });

/** What makes rows of jobs anew; where they follow a log elsewhere there is no table of its own to verify. */
const rows = isElsewhere ? 'job_rows' : 'jobs';

const plain = async <Body>(url: string, body?: object): Promise<Body> => {
  const answer = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  return (await answer.json()) as Body;
};

const builtTo = async (cluster: Cluster, node: number, name: string): Promise<number> => {
  const projection = await plain<Projection>(`${cluster.node(node).url}/v1/admin/projections/${name}`);
  return Number(projection.generations.find(({ state }) => state === 'building')?.position ?? 0);
};

const ended = (cluster: Cluster, node: number, id: string): Promise<Upkeep> =>
  waitFor(
    'the rebuild to end',
    async () => {
      const run = await plain<Upkeep>(`${cluster.node(node).url}/v1/admin/upkeep/${id}`);
      return run.state !== 'running' && run;
    },
    120_000,
  );

scenario(
  'both processes are killed in the middle of a rebuild, under load: it is done, and is what the log says [A-11]',
  async (cluster) => {
    for (let made = 0; made < 4; made += 1) await createJobs(cluster, 1_000, { queue: 'many' });
    const load = Load.start(cluster, { queue: 'rebuilt', creators: 1, workers: 3 });
    await load.untilEnded(2);

    const run = await plain<Upkeep>(`${cluster.node(0).url}/v1/admin/projections/${rows}/rebuild`, { waitMs: 0 });
    expect(run.state).toBe('running');
    const first = await waitFor('the rebuild to be under way', () => builtTo(cluster, 1, rows));
    await cluster.node(0).kill();
    // Nobody begins again from the start.
    await waitFor('another process to go on', async () => {
      const position = await builtTo(cluster, 1, rows);
      const { state } = await plain<Upkeep>(`${cluster.node(1).url}/v1/admin/upkeep/${run.id}`);
      expect(state === 'done' || position >= first).toBe(true);
      return state === 'done' || position > first;
    });
    await cluster.node(1).kill();
    await cluster.node(0).start();
    await cluster.node(1).start();
    await load.untilEnded(2);

    expect(await ended(cluster, 0, run.id)).toMatchObject({ state: 'done', ok: true });
    for (const name of isElsewhere ? ['counters'] : ['jobs', 'counters']) {
      const verdict = await plain<Upkeep>(`${cluster.node(1).url}/v1/admin/projections/${name}/verify`, {
        waitMs: 60_000,
      });
      expect(verdict).toMatchObject({ state: 'done', ok: true, differing: 0 });
    }
    await load.untilEnded(2);
    await load.finish();
  },
);
