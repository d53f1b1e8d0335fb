/** The database of a cluster: one on the server of the run, or a server of its own that may be stopped. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../../src/event-store/postgres/embedded/embedded-postgres.js';
import { createTestDatabase } from '../test-database.js';
import { waitFor } from './wait.js';

export interface ClusterDatabase {
  readonly url: string;
  /** Ends every session but the caller's, as a failover or an operator would. Returns how many there were. */
  cutConnections(): Promise<number>;
  remove(): Promise<void>;
}

/** A server of its own. Its port stays the same. */
export interface StoppableDatabase extends ClusterDatabase {
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Ends it without a shutdown, as a power cut of its machine would, and resolves when it serves again. */
  crash(): Promise<void>;
  /** Stops every process of it where it is, as a machine that swaps would, until `thaw`. */
  freeze(): void;
  thaw(): void;
}

const quiet = { info: () => undefined, warn: () => undefined };

const cut = async (url: string): Promise<number> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
    return rowCount ?? 0;
  } finally {
    await client.end();
  }
};

/** A database on the server of the run: other test files go on whatever happens to it. */
export const sharedServerDatabase = async (): Promise<ClusterDatabase> => {
  const database = await createTestDatabase();
  const { url } = database;
  return { url, cutConnections: () => cut(url), remove: () => database.drop() };
};

/** The process and those that it started. */
const familyOf = (pid: number): readonly number[] => {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  const children = rows.map((row) => row.trim().split(/\s+/).map(Number)).filter(([, parent]) => parent === pid);
  return [pid, ...children.map(([child = 0]) => child)];
};

/** A PostgreSQL server in a fresh folder, which goes with it. */
export const ownServerDatabase = async (): Promise<StoppableDatabase> => {
  // Named as the servers of runs, so that one that is left behind by a killed run is found and removed.
  const dataDir = await mkdtemp(join(tmpdir(), `jobledger-jest-${process.pid}-`));
  let server: EmbeddedPostgres | undefined = await startEmbeddedPostgres({ dataDir, log: quiet });
  const { url } = server;
  const port = Number(new URL(url).port);
  let frozen: number[] = [];
  const kill = (pid: number, signal: NodeJS.Signals): void => {
    try {
      process.kill(pid, signal);
    } catch (error) {
      // One that served a connection has ended with it.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  const stop = async (): Promise<void> => {
    await server?.stop();
    server = undefined;
  };
  return {
    url,
    cutConnections: () => cut(url),
    stop,
    start: async () => {
      server ??= await startEmbeddedPostgres({ dataDir, port, log: quiet });
    },
    crash: async () => {
      const pid = server?.pid;
      if (pid === undefined) throw new Error('the server is stopped');
      // Immediate shutdown: nothing is flushed, what was committed is recovered from the log of the server.
      process.kill(pid, 'SIGQUIT');
      await waitFor('the server to be back', () => server?.pid !== pid);
    },
    freeze: () => {
      if (server === undefined) return;
      frozen = [...familyOf(server.pid)];
      for (const pid of frozen) kill(pid, 'SIGSTOP');
    },
    thaw: () => {
      for (const pid of frozen.splice(0)) kill(pid, 'SIGCONT');
    },
    remove: async () => {
      await stop();
      await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
};
