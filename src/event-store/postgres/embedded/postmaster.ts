/**
 * The server process: found by its `postmaster.pid`, started, stopped. It is a process group of its own, so that Ctrl-C
 * reaches the service alone, which drains and stops the server last; it outlives a service that was killed.
 */
import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Account, reachableName } from './account.js';
import type { Binaries } from './binaries.js';
import type { DataFolder } from './data-folder.js';
import { EmbeddedPostgresError } from './embedded-postgres-error.js';
import { type StartFailure, startFailureIn } from './server-log.js';
import { freePort } from './usual-port.js';

export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  /** False while it recovers or shuts down. */
  readonly ready: boolean;
}

const POLL_MS = 10;
/** A fast shutdown writes a checkpoint; beyond this it is cut short and the next start recovers from the log. */
const STOP_LIMIT_MS = 60_000;
const LOG_LIMIT_BYTES = 4 * 1024 * 1024;

/** What differs from the server's defaults. Durability (`fsync`, `synchronous_commit`) does not. */
const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'max_connections=100',
  'shared_buffers=128MB',
  'jit=off',
  'timezone=UTC',
  'log_timezone=UTC',
  // Nothing replicates from here: spares a process and part of every record.
  'wal_level=minimal',
  'max_wal_senders=0',
  'max_logical_replication_workers=0',
];

const isZombie = (pid: number): boolean => {
  try {
    return /^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    if (process.platform === 'linux' || process.platform === 'win32') return false;
    return spawnSync('ps', ['-o', 'state=', '-p', String(pid)], { encoding: 'utf8' }).stdout.startsWith('Z');
  }
};

/** A zombie is dead: its parent (in a container, often nobody) has only not asked yet. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return !isZombie(pid);
};

/** Whether the process may be the server of this cluster: a recycled pid is somebody else's. */
const mayServe = (pid: number, cluster: string): boolean => {
  if (process.platform === 'win32') return true;
  if (process.platform !== 'linux') {
    return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout.includes('postgres');
  }
  try {
    const [theirs, ours] = [fs.statSync(`/proc/${pid}/cwd`), fs.statSync(cluster)];
    return theirs.dev === ours.dev && theirs.ino === ours.ino;
  } catch {
    return false;
  }
};

const readPidFile = (cluster: string): Postmaster | undefined => {
  let lines: string[];
  try {
    lines = fs.readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return undefined;
  }
  // Lines of postmaster.pid: pid, folder, start time, port, socket folder, address, shared memory, status.
  return { pid: Number(lines[0]), port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
};

/** The live server of this cluster. The pid file of a dead one is removed: PostgreSQL would believe a recycled pid. */
export const findPostmaster = ({ cluster }: DataFolder): Postmaster | undefined => {
  const found = readPidFile(cluster);
  if (found === undefined) return undefined;
  if (found.pid > 0 && isAlive(found.pid) && mayServe(found.pid, cluster)) return found;
  fs.rmSync(join(cluster, 'postmaster.pid'), { force: true });
  return undefined;
};

const openLog = (logFile: string): { fd: number; from: number } => {
  const size = fs.statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_LIMIT_BYTES) fs.truncateSync(logFile);
  return { fd: fs.openSync(logFile, 'a', 0o600), from: size > LOG_LIMIT_BYTES ? 0 : size };
};

const launch = async (
  binaries: Binaries,
  folder: DataFolder,
  account: Account,
  port: number,
): Promise<Postmaster | StartFailure> => {
  const { fd, from } = openLog(folder.logFile);
  const child = spawn(
    binaries.postgres,
    ['-D', reachableName(folder.cluster, account), '-p', String(port), ...SETTINGS.flatMap((set) => ['-c', set])],
    { ...account, cwd: folder.cluster, detached: true, env: { LC_ALL: 'C' }, stdio: ['ignore', 'ignore', fd] },
  );
  fs.closeSync(fd);
  child.unref();
  const end: { reason?: string } = {};
  child.once('exit', (code, signal) => (end.reason = `exit ${signal ?? code ?? ''}`));
  child.once('error', (error) => (end.reason = error.message));
  for (;;) {
    const found = readPidFile(folder.cluster);
    if (found?.ready === true && found.pid === child.pid) return found;
    if (end.reason !== undefined) {
      const log = fs.readFileSync(folder.logFile).subarray(from).toString();
      return log === '' ? { reason: end.reason } : startFailureIn(log);
    }
    await sleep(POLL_MS);
  }
};

/** Where a server is to listen: only there, or there if it can; on a free port else. */
export interface WishedPort {
  readonly only?: number | undefined;
  readonly usual?: number | undefined;
}

/**
 * Starts a server. Between finding a free port and binding it another may take it, so it tries again.
 * @returns undefined when another start was faster.
 */
export const startPostmaster = async (
  binaries: Binaries,
  folder: DataFolder,
  account: Account,
  { only, usual }: WishedPort,
): Promise<Postmaster | undefined> => {
  for (let tries = 0; tries < 10; tries += 1) {
    const port = only ?? (tries === 0 ? usual : undefined) ?? (await freePort());
    const outcome = await launch(binaries, folder, account, port);
    if (outcome === 'raced') return undefined;
    if (outcome === 'port') {
      if (only !== undefined) throw new EmbeddedPostgresError(`Port ${only} for the embedded PostgreSQL is taken.`);
      continue;
    }
    if ('pid' in outcome) return outcome;
    throw new EmbeddedPostgresError(
      `The embedded PostgreSQL in ${folder.path} did not start: ${outcome.reason} (more in ${folder.logFile}).`,
    );
  }
  throw new EmbeddedPostgresError('No free port for the embedded PostgreSQL was found in 10 tries.');
};

/** Fast shutdown: transactions are rolled back, connections closed, a checkpoint written. Resolves when it is gone. */
export const stopPostmaster = async ({ pid }: Postmaster, folder: DataFolder, binaries: Binaries): Promise<void> => {
  const signal = (name: 'SIGINT' | 'SIGQUIT', mode: 'fast' | 'immediate'): void => {
    // On Windows a signal would kill it; pg_ctl has a channel of its own.
    if (process.platform === 'win32') spawnSync(binaries.pgCtl, ['stop', '-D', folder.cluster, '-m', mode, '-W']);
    else if (isAlive(pid)) process.kill(pid, name);
  };
  signal('SIGINT', 'fast');
  for (let waitedMs = 0; isAlive(pid); waitedMs += POLL_MS) {
    if (waitedMs === STOP_LIMIT_MS) signal('SIGQUIT', 'immediate');
    await sleep(POLL_MS);
  }
};
