/**
 * A running cluster for the tests of a file. Everything is ended when the file is over, whatever happened; what the
 * processes printed is shown only when a test failed.
 */
import { afterAll, beforeAll, it } from '@jest/globals';
import { type ClusterDatabase, ownServerDatabase, sharedServerDatabase, type StoppableDatabase } from './database.js';
import { Cluster, type ClusterOptions } from './running-cluster.js';

export interface ClusterTests<Database extends ClusterDatabase> {
  /** A test on the running cluster. Afterwards every process is resumed or restarted, and the history is judged. */
  readonly scenario: (title: string, body: (cluster: Cluster<Database>) => Promise<void>) => void;
}

const START_LIMIT_MS = 240_000;
const SCENARIO_LIMIT_MS = 360_000;

const makeWhole = async (cluster: Cluster): Promise<void> => {
  for (const node of cluster.nodes) {
    if (node.isRunning) node.signal('SIGCONT');
    else await node.start();
  }
};

const judge = async (cluster: Cluster): Promise<void> => {
  const violations = await cluster.violations();
  if (violations.length === 0) return;
  const shown = violations.slice(0, 40);
  throw new Error(`the history is broken in ${violations.length} places:\n${shown.join('\n')}`);
};

/** Starts a cluster for the tests of this file. */
export const useCluster = <Database extends ClusterDatabase = ClusterDatabase>(
  options: ClusterOptions<Database> = {},
): ClusterTests<Database> => {
  let cluster: Cluster<Database> | undefined;
  const database = options.database ?? (sharedServerDatabase as unknown as () => Promise<Database>);
  beforeAll(async () => {
    cluster = await Cluster.start({ ...options, database });
  }, START_LIMIT_MS);
  afterAll(async () => {
    await cluster?.stop();
  }, START_LIMIT_MS);
  const scenario = (title: string, body: (cluster: Cluster<Database>) => Promise<void>): void => {
    it(
      title,
      async () => {
        if (cluster === undefined) throw new Error('the cluster did not start');
        try {
          await body(cluster);
          await makeWhole(cluster);
          await judge(cluster);
        } catch (error) {
          process.stderr.write(`${cluster.report()}\n`);
          for (const node of cluster.nodes) node.signal('SIGCONT');
          await cluster.recorder.abandon();
          throw error;
        }
      },
      SCENARIO_LIMIT_MS,
    );
  };
  return { scenario };
};

export const useStoppableCluster = (
  options: Omit<ClusterOptions<StoppableDatabase>, 'database'> = {},
): ClusterTests<StoppableDatabase> => useCluster({ ...options, database: ownServerDatabase });
