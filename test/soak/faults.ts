/**
 * What may happen to a ledger that works, by name. Each fault is healed by whoever made it; what then does not come back
 * unaided, or comes back with another verdict than it should, is thrown.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Upkeep } from '../../src/api/contract.js';
import type { Random } from '../simulation/random.js';
import type { LogOrder, LogServer } from '../support/eventstoredb/log-server.js';
import type { ServiceProcess } from '../support/e2e/service-process.js';
import { type Asked, askUpkeep, endOfUpkeep } from './upkeep.js';
import { lockJobs } from './lock-jobs.js';
import { PATIENCE_MS, type Site } from './site.js';

/** What a fault has to itself while it lasts. */
export type Hold = 'node' | 'nodes' | 'database' | 'log' | 'clients' | 'upkeep';

export interface Fault {
  readonly holds: Hold;
  /** How often it is chosen, compared with others. */
  readonly weight: number;
  /** Absent: everywhere. */
  readonly isPossible?: (site: Site) => boolean;
  readonly make: (site: Site, node: number, random: Random) => Promise<void>;
}

const SHORT_MS = [0, 1_500] as const;
const OUTAGE_MS = [300, 4_000] as const;
/** Every client has given up, every lease has ended. */
const AWAY_MS = [60_000, 60_000] as const;
/** Longer than leases of the load, mostly, and than a lease of the reaper or of a projection. */
const FREEZE_MS = [300, 6_000] as const;

/** Whoever runs processes starts one again that could not start without its database. */
const startAgain = async (site: Site, node: ServiceProcess): Promise<void> => {
  for (;;) {
    const startedAt = performance.now();
    try {
      await node.start({}, PATIENCE_MS);
      return;
    } catch (error) {
      if (node.isRunning || !site.wasDependencyAway(startedAt)) throw error;
      await sleep(300);
    }
  }
};

const serverOf = ({ cluster: { log } }: Site): LogServer => {
  if (log.server === undefined) throw new Error('the log is not on a server that can be told to fail');
  return log.server;
};
const canTell =
  (order: LogOrder) =>
  ({ cluster: { log } }: Site): boolean =>
    log.server?.can(order) === true;

const away = async (site: Site, take: () => Promise<void> | void, ms: number, give: () => Promise<void> | void) =>
  site.dependencyAway(async () => {
    await take();
    try {
      await sleep(ms);
    } finally {
      await give();
    }
  });

const logFault = (begin: LogOrder, end: LogOrder, ms: readonly [number, number] = OUTAGE_MS, weight = 2): Fault => ({
  holds: 'log',
  weight,
  isPossible: canTell(begin),
  make: (site, _node, random) =>
    away(
      site,
      () => serverOf(site).tell(begin),
      random.int(...ms),
      () => serverOf(site).tell(end),
    ),
});

const logOrder = (order: LogOrder): Fault => ({
  ...{ holds: 'log', weight: 3, isPossible: canTell(order) },
  make: (site) => serverOf(site).tell(order),
});

/** A read model; rows of jobs go by another name where appends do not write them. */
const projectionOf = ({ cluster: { log } }: Site, random: Random): string =>
  `projections/${random.pick([log.place === 'eventstoredb' ? 'job_rows' : 'jobs', 'counters'])}`;

const upkeep = (ask: (site: Site, random: Random) => Asked, judge: (run: Upkeep) => boolean): Fault => ({
  holds: 'upkeep',
  weight: 2,
  make: async (site, node, random) => {
    const asked = ask(site, random);
    const id = await askUpkeep(site, node, asked);
    if (id === null) return;
    const run = await endOfUpkeep(site, id);
    if (!judge(run)) throw new Error(`${asked.path}: ${JSON.stringify(run)}`);
  },
});

const isDone = ({ state, ok }: Upkeep): boolean => state === 'done' && ok === true;
const isSame = (run: Upkeep): boolean => isDone(run) && run.differing === 0;

export const FAULTS = {
  kill: {
    holds: 'node',
    weight: 4,
    make: async (site, index, random) => {
      const node = site.cluster.node(index);
      await node.kill();
      await sleep(random.int(...SHORT_MS));
      await startAgain(site, node);
    },
  },
  killAll: {
    holds: 'nodes',
    weight: 1,
    make: async (site) => {
      const { nodes } = site.cluster;
      await Promise.all(nodes.map((node) => node.kill()));
      await Promise.all(nodes.map((node) => startAgain(site, node)));
    },
  },
  terminate: {
    holds: 'node',
    weight: 1,
    make: async (site, index) => {
      const node = site.cluster.node(index);
      const code = await node.terminate();
      if (code !== 0) throw new Error(`${node.name} was asked to stop, and exited with ${code}`);
      await startAgain(site, node);
    },
  },
  freeze: {
    holds: 'node',
    weight: 6,
    make: async (site, index, random) => {
      const node = site.cluster.node(index);
      node.signal('SIGSTOP');
      await sleep(random.int(...FREEZE_MS));
      node.signal('SIGCONT');
    },
  },
  /** Killed while it hangs: nobody was told anything. */
  freezeAndKill: {
    holds: 'node',
    weight: 1,
    make: async (site, index, random) => {
      const node = site.cluster.node(index);
      node.signal('SIGSTOP');
      await sleep(random.int(...FREEZE_MS));
      await node.kill();
      await startAgain(site, node);
    },
  },
  /** One process alone does not reach the database. */
  partition: {
    holds: 'node',
    weight: 3,
    make: (site, index, random) =>
      away(
        site,
        () => site.wayOf(index).cut(),
        random.int(...OUTAGE_MS),
        () => site.wayOf(index).mend(),
      ),
  },
  /** What one process sends to the database arrives late, or its answer does; then the connections may break, too. */
  stall: {
    holds: 'node',
    weight: 4,
    make: (site, index, random) =>
      away(
        site,
        () => site.wayOf(index).stall(),
        random.int(...FREEZE_MS),
        () => {
          const way = site.wayOf(index);
          if (random.chance(0.5)) way.cut();
          way.resume();
          way.mend();
        },
      ),
  },
  cutConnections: {
    holds: 'database',
    weight: 4,
    make: (site) =>
      site.dependencyAway(async () => {
        await site.cluster.database.cutConnections();
      }),
  },
  databaseStop: {
    holds: 'database',
    weight: 2,
    make: (site, _node, random) =>
      away(
        site,
        () => site.cluster.database.stop(),
        random.int(...OUTAGE_MS),
        () => site.cluster.database.start(),
      ),
  },
  databaseCrash: {
    holds: 'database',
    weight: 3,
    make: (site) => site.dependencyAway(() => site.cluster.database.crash()),
  },
  databaseFreeze: {
    holds: 'database',
    weight: 3,
    make: (site, _node, random) =>
      away(
        site,
        () => site.cluster.database.freeze(),
        random.int(...OUTAGE_MS),
        () => site.cluster.database.thaw(),
      ),
  },
  /** As an operator's `alter table` would. */
  lockJobs: {
    holds: 'database',
    weight: 2,
    make: (site, _node, random) =>
      site.dependencyAway(() => lockJobs(site.cluster.database.url, random.int(...OUTAGE_MS))),
  },
  rebuild: upkeep((...on) => ({ path: `${projectionOf(...on)}/rebuild`, body: {} }), isDone),
  verify: upkeep((...on) => ({ path: `${projectionOf(...on)}/verify`, body: {} }), isSame),
  repair: upkeep((...on) => ({ path: `${projectionOf(...on)}/verify`, body: { repair: true } }), isSame),
  verifyLog: upkeep(() => ({ path: 'log/verify', body: {} }), isDone),
  sweep: {
    holds: 'clients',
    weight: 2,
    make: async ({ cluster }, index) => {
      const lane = cluster.recorder.lane('operator');
      await lane.send(cluster.node(index), 'POST', '/v1/admin/reaper/sweep', { key: null });
    },
  },
  cutClients: {
    holds: 'clients',
    weight: 4,
    make: ({ cluster }) => {
      cluster.recorder.breakConnections();
      return Promise.resolve();
    },
  },
  logStop: logFault('stop', 'start'),
  logFreeze: logFault('freeze', 'thaw'),
  logStarting: logFault('starting', 'started'),
  logDropCalls: logOrder('dropCalls'),
  logLoseAnswer: logOrder('loseAnswer'),
  logAway: logFault('stop', 'start', AWAY_MS, 0.5),
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;
export const faultOf = (name: FaultName): Fault => FAULTS[name];

/** Those that can be made there. */
export const faultsOf = (site: Site): readonly FaultName[] =>
  (Object.keys(FAULTS) as FaultName[]).filter((name) => faultOf(name).isPossible?.(site) !== false);
