/** Several processes of the service on one database, to be killed, frozen and cut. */
import { buildService } from './build.js';
import type { ClusterDatabase } from './database.js';
import { type ClusterLog, logOfRun } from './log.js';
import { checkHistory } from './history-checker.js';
import { readLedger } from './read-ledger.js';
import { Recorder } from './recorder.js';
import { type Environment, ServiceProcess } from './service-process.js';

export interface ClusterOptions<Database extends ClusterDatabase> {
  /** Settings of every process. */
  readonly environment?: Environment;
  /** One process each, with settings of its own. Default: two that run everything. */
  readonly nodes?: readonly Environment[] | ((database: Database) => Promise<readonly Environment[]>);
  /** Default: one on the server of the run, which cannot be stopped. */
  readonly database?: () => Promise<Database>;
  /** Default: the one that the run is over. */
  readonly log?: () => Promise<ClusterLog>;
  /** Told every line that a process prints. */
  readonly onLine?: (node: string, line: string) => void;
}

const NAMES = 'abcdefgh';

export class Cluster<Database extends ClusterDatabase = ClusterDatabase> {
  private constructor(
    readonly database: Database,
    readonly log: ClusterLog,
    readonly nodes: readonly ServiceProcess[],
    /** Every call of the test file. */
    readonly recorder: Recorder,
  ) {}

  static async start<Database extends ClusterDatabase>(
    options: ClusterOptions<Database> & { readonly database: () => Promise<Database> },
  ): Promise<Cluster<Database>> {
    await buildService();
    const database = await options.database();
    const log = await (options.log ?? logOfRun)();
    const common = {
      ...{ JOBLEDGER_DATABASE_URL: database.url, JOBLEDGER_LOG_LEVEL: 'info' },
      ...log.environment,
      ...options.environment,
    };
    const { nodes: asked = [{}, {}] } = options;
    const create = (name: string, environment: Environment): Promise<ServiceProcess> =>
      ServiceProcess.create(name, environment, undefined, (line) => options.onLine?.(name, line));
    const own = typeof asked === 'function' ? await asked(database) : asked;
    const nodes = await Promise.all(own.map((each, index) => create(NAMES[index]!, { ...common, ...each })));
    const cluster = new Cluster(database, log, nodes, new Recorder(nodes));
    try {
      await Promise.all(nodes.map((node) => node.start()));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  node(index: number): ServiceProcess {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`the cluster has no process ${index}`);
    return node;
  }

  /** Judges everything that was called and recorded so far. Call it at rest: nothing in flight, nothing due. */
  async violations(): Promise<readonly string[]> {
    return checkHistory({ log: this.log.place, calls: this.recorder.calls, ...(await readLedger(this.recorder)) });
  }

  report(): string {
    return this.nodes.map((node) => node.report()).join('\n');
  }

  async stop(): Promise<void> {
    this.recorder.close();
    await Promise.all(this.nodes.map((node) => node.kill()));
    await this.log.remove();
    await this.database.remove();
  }
}
