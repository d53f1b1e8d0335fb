/**
 * The PostgreSQL server that comes with the service, for those who run none: a real one, on loopback only, with a
 * password, durable. It belongs to a data folder, which one service owns at a time.
 *
 * A service that is killed leaves the server running, and the next start of the same folder takes it over. The server
 * is stopped last, by whoever owns it; when it dies on its own, it is started again on the same port.
 */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { type Account, serverAccount } from './account.js';
import { type Binaries, findBinaries } from './binaries.js';
import {
  checkVersion,
  createCluster,
  type DataFolder,
  hasCluster,
  openDataFolder,
  removeDrafts,
} from './data-folder.js';
import { EmbeddedPostgresError, reasonOf } from './embedded-postgres-error.js';
import { ServerGoing, takeOwnership, urlOf } from './ownership.js';
import { findPostmaster, type Postmaster, startPostmaster, stopPostmaster, type WishedPort } from './postmaster.js';
import { tellServerLog } from './server-log.js';
import { readUsualPort, writeUsualPort } from './usual-port.js';

/** How long a server that recovers or shuts down is waited for. */
const SETTLE_LIMIT_MS = 120_000;
const SETTLE_POLL_MS = 50;
const RESTART_PAUSE_MS = 1_000;

export interface EmbeddedPostgresOptions {
  /** Made when missing. */
  readonly dataDir: string;
  /** Of 127.0.0.1; by default the one that the folder's server had before. A server that is taken over keeps its own. */
  readonly port?: number;
  /** What happens to the server. Never the password. */
  readonly log: { info(message: string): void; warn(message: string): void };
}

export interface EmbeddedPostgres {
  /** With the password: not for logs. */
  readonly url: string;
  readonly pid: number;
  /** Whether a running server was taken over. */
  readonly adopted: boolean;
  /** Where its own log is, and what it says last of why something failed. */
  readonly tellLog: () => string;
  /** Stops the server and resolves when it is gone. May be called twice. */
  stop(): Promise<void>;
}

interface Owned {
  readonly server: Postmaster;
  readonly connection: Client;
  readonly adopted: boolean;
}

interface Site {
  readonly folder: DataFolder;
  readonly account: Account;
  readonly binaries: Binaries;
}

/** Finds the folder's server, else starts one, and takes the folder. */
const own = async ({ folder, account, binaries }: Site, port: WishedPort): Promise<Owned> => {
  for (let waitedMs = 0; waitedMs < SETTLE_LIMIT_MS; waitedMs += SETTLE_POLL_MS) {
    const found = findPostmaster(folder);
    const server = found ?? (await startPostmaster(binaries, folder, account, port));
    if (server?.ready === true) {
      try {
        return { server, connection: await takeOwnership(folder, server), adopted: found !== undefined };
      } catch (error) {
        if (!(error instanceof ServerGoing)) throw error;
      }
    }
    await sleep(SETTLE_POLL_MS);
  }
  throw new EmbeddedPostgresError(
    `The PostgreSQL server in ${folder.path} neither became ready nor ended in ${SETTLE_LIMIT_MS / 1000} s: see ${folder.logFile}.`,
  );
};

/** A server that listens elsewhere than before leaves those alone who have its old URL: they are to be told. */
const rememberPort = (
  folder: DataFolder,
  before: number | undefined,
  port: number,
  log: EmbeddedPostgresOptions['log'],
): void => {
  if (port === before) return;
  writeUsualPort(folder, port);
  if (before === undefined) return;
  log.warn(
    `embedded PostgreSQL: port ${before}, which it had before, is taken by another program, so it listens on ${port} now. Services that have its old URL as JOBLEDGER_DATABASE_URL cannot reach it: give them the new one and restart them. Or free port ${before}, write ${before} into ${folder.portFile} while nothing runs, and start this again.`,
  );
};

/**
 * Starts the embedded server of a data folder, or takes over the one that a killed service has left.
 * @throws EmbeddedPostgresError with one line that says what to do.
 */
export const startEmbeddedPostgres = async (options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> => {
  const { log, port } = options;
  const folder = openDataFolder(resolve(options.dataDir));
  const account = serverAccount(folder.cluster);
  const binaries = await findBinaries(account);
  if (!hasCluster(folder)) await createCluster(binaries, folder, account);
  checkVersion(folder, binaries);
  const site = { folder, account, binaries };

  const usual = readUsualPort(folder);
  let owned = await own(site, { only: port, usual });
  let stopping: Promise<void> | undefined;
  removeDrafts(folder);
  log.info(
    `embedded PostgreSQL ${owned.adopted ? 'taken over' : 'started'}: pid ${owned.server.pid}, port ${owned.server.port}, data ${folder.path}`,
  );

  rememberPort(folder, usual, owned.server.port, log);

  const recover = async (): Promise<void> => {
    while (stopping === undefined) {
      try {
        owned = await own(site, { only: owned.server.port });
        log.warn(`embedded PostgreSQL is back: pid ${owned.server.pid}`);
        watch();
        return;
      } catch (error) {
        log.warn(`embedded PostgreSQL is away: ${reasonOf(error)}`);
        await sleep(RESTART_PAUSE_MS);
      }
    }
  };
  const watch = (): void => {
    owned.connection.once('end', () => {
      if (stopping !== undefined) return;
      log.warn(`embedded PostgreSQL: connection lost; ${tellServerLog(folder.logFile)}`);
      recovering = recover();
    });
  };
  let recovering = Promise.resolve();
  watch();

  const stop = async (): Promise<void> => {
    await recovering;
    // The connection is left to the shutdown: ended before it, another start could take a server that is going down.
    const server = findPostmaster(folder);
    if (server !== undefined) await stopPostmaster(server, folder, binaries);
    log.info('embedded PostgreSQL stopped');
  };
  return {
    url: urlOf(folder, owned.server),
    adopted: owned.adopted,
    get pid() {
      return owned.server.pid;
    },
    tellLog: () => tellServerLog(folder.logFile),
    stop: () => (stopping ??= stop()),
  };
};
