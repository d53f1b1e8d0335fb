/** What a soak works on: two processes, each with a way to the database of its own, and what they depend on. */
import { type DatabaseProxy, openDatabaseProxy } from '../support/database-proxy.js';
import { ownServerDatabase, type StoppableDatabase } from '../support/e2e/database.js';
import { type ClusterLog, logInDatabase, logOfServer } from '../support/e2e/log.js';
import { Cluster } from '../support/e2e/running-cluster.js';

export type LogName = 'postgres' | 'eventstoredb';

/** How the processes run: sweeps are frequent, since leases of the load are short. */
const ENVIRONMENT = { JOBLEDGER_REAPER_INTERVAL_MS: '200' };
const NODES = 2;
/** What does not come back within so long does not come back: on a machine that is busy otherwise all is slow. */
export const PATIENCE_MS = 180_000;

export class Site {
  private away = 0;
  private backAt = -Infinity;

  private constructor(
    readonly cluster: Cluster<StoppableDatabase>,
    private readonly ways: readonly DatabaseProxy[],
  ) {}

  static async open(log: LogName, onLine: (node: string, line: string) => void): Promise<Site> {
    const ways: DatabaseProxy[] = [];
    const openLog = (): Promise<ClusterLog> => (log === 'postgres' ? logInDatabase() : logOfServer());
    try {
      const cluster = await Cluster.start({
        environment: ENVIRONMENT,
        database: ownServerDatabase,
        nodes: async ({ url }) => {
          for (let node = 0; node < NODES; node += 1) ways.push(await openDatabaseProxy(url));
          return ways.map((way) => ({ JOBLEDGER_DATABASE_URL: way.url }));
        },
        log: openLog,
        onLine,
      });
      cluster.recorder.patienceMs = PATIENCE_MS;
      return new Site(cluster, ways);
    } catch (error) {
      for (const way of ways) await way.close();
      throw error;
    }
  }

  /** The way of one process to the database. */
  wayOf(node: number): DatabaseProxy {
    const way = this.ways[node];
    if (way === undefined) throw new Error(`there is no process ${node}`);
    return way;
  }

  /** Runs what takes something away that the processes need, and gives it back. */
  async dependencyAway(work: () => Promise<void>): Promise<void> {
    this.away += 1;
    try {
      await work();
    } finally {
      this.away -= 1;
      this.backAt = performance.now();
    }
  }

  /** Whether something that the processes need was away at any time since. @param at of `performance.now()` */
  wasDependencyAway(at: number): boolean {
    return this.away > 0 || this.backAt > at;
  }

  async close(): Promise<void> {
    await this.cluster.stop();
    for (const way of this.ways) await way.close();
  }
}
