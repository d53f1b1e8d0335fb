/**
 * What the data folder holds: `cluster` (PostgreSQL's own), `password` (0600), `port`, `server.log`. A cluster appears in one
 * rename, so neither a start that was killed half way nor two at once leave one that is not whole.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Account, reachableName } from './account.js';
import type { Binaries } from './binaries.js';
import { EmbeddedPostgresError, reasonOf, UnusableDataFolder } from './embedded-postgres-error.js';

/** The role that owns the cluster, and that the service logs in as. */
export const SUPERUSER = 'jobledger';

export interface DataFolder {
  readonly path: string;
  readonly cluster: string;
  readonly passwordFile: string;
  readonly portFile: string;
  readonly logFile: string;
}

const isFolder = (path: string): boolean => fs.existsSync(path) && fs.statSync(path).isDirectory();

/** Not `recursive: true`: where nothing can be made though the parent is there, as in `/proc`, Node tries for ever. */
const makeFolder = (path: string): void => {
  const parent = dirname(path);
  if (parent !== path && !fs.existsSync(parent)) makeFolder(parent);
  try {
    fs.mkdirSync(path);
  } catch (error) {
    // It may be there, or another start was faster.
    if (!isFolder(path)) throw error;
  }
};

export const hasCluster = ({ cluster }: DataFolder): boolean => fs.existsSync(join(cluster, 'PG_VERSION'));

/** What a start makes, whole or half; and what a file system has at its root. */
const OURS = /^(cluster|password|port|server\.log|(cluster|password)\.[0-9a-f]{12}|lost\+found)$/;

/** Files of somebody else's say that the setting is a mistake: nothing is put among them. */
const requireOurs = (folder: DataFolder): void => {
  if (hasCluster(folder)) return;
  const strange = fs.readdirSync(folder.path).filter((name) => !OURS.test(name));
  if (strange.length === 0) return;
  const named = strange.slice(0, 3).join(', ');
  throw new UnusableDataFolder(
    `The data folder ${folder.path} has files that are not Jobledger's (${named}${strange.length > 3 ? ', …' : ''}): set JOBLEDGER_DATA_DIR to an empty folder, or to one that Jobledger made.`,
  );
};

/** Makes the folder when it is missing, and refuses one that cannot be written or that belongs to something else. */
export const openDataFolder = (path: string): DataFolder => {
  try {
    makeFolder(path);
    fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
  } catch (cause) {
    throw new UnusableDataFolder(
      `The data folder ${path} cannot be written (${reasonOf(cause)}): set JOBLEDGER_DATA_DIR to a folder of yours.`,
      { cause },
    );
  }
  if (fs.existsSync(join(path, 'PG_VERSION'))) {
    throw new UnusableDataFolder(
      `The data folder ${path} is that of another PostgreSQL server: set JOBLEDGER_DATA_DIR to an empty folder.`,
    );
  }
  const folder: DataFolder = {
    path,
    cluster: join(path, 'cluster'),
    passwordFile: join(path, 'password'),
    portFile: join(path, 'port'),
    logFile: join(path, 'server.log'),
  };
  requireOurs(folder);
  return folder;
};

/** Refuses data of another major version, which this server cannot read. */
export const checkVersion = ({ cluster }: DataFolder, { major }: Binaries): void => {
  let found: string;
  try {
    found = fs.readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim();
  } catch (cause) {
    throw new UnusableDataFolder(
      `The data in ${cluster} cannot be read (${reasonOf(cause)}): start as the user that owns it, or set JOBLEDGER_DATA_DIR.`,
      { cause },
    );
  }
  if (found === major) return;
  throw new UnusableDataFolder(
    `The data in ${cluster} was written by PostgreSQL ${found} and this is ${major}: dump it with the Jobledger that wrote it and load it into an empty JOBLEDGER_DATA_DIR.`,
  );
};

export const readPassword = ({ passwordFile }: DataFolder): string => {
  try {
    return fs.readFileSync(passwordFile, 'utf8').trim();
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `The password of the embedded PostgreSQL cannot be read (${reasonOf(cause)}): restore the file, or start with an empty JOBLEDGER_DATA_DIR.`,
      { cause },
    );
  }
};

/** Written whole or not at all, by the first of two that start at once. */
const makePassword = ({ passwordFile }: DataFolder, account: Account): void => {
  const draft = `${passwordFile}.${randomBytes(6).toString('hex')}`;
  fs.writeFileSync(draft, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  giveTo(draft, account);
  try {
    fs.linkSync(draft, passwordFile);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    fs.unlinkSync(draft);
  }
};

const giveTo = (path: string, { uid, gid }: Account): void => {
  if (uid !== undefined && gid !== undefined) fs.chownSync(path, uid, gid);
};

const initdb = async (binaries: Binaries, folder: DataFolder, cluster: string, account: Account): Promise<void> => {
  // The password goes in through a descriptor: the account may not be able to reach the file by its path.
  const byDescriptor = process.platform !== 'win32';
  const password = fs.openSync(folder.passwordFile, 'r');
  try {
    const child = spawn(
      binaries.initdb,
      [
        ...['-D', reachableName(cluster, account), '-U', SUPERUSER, '--auth=scram-sha-256'],
        `--pwfile=${byDescriptor ? '/dev/stdin' : folder.passwordFile}`,
        ...['--encoding=UTF8', '--locale=C', '--no-instructions'],
      ],
      { ...account, cwd: cluster, env: { LC_ALL: 'C' }, stdio: [password, 'ignore', 'pipe'], detached: true },
    );
    const exited = new Promise<number | null>((resolve, reject) => child.once('exit', resolve).once('error', reject));
    const [status, stderr] = await Promise.all([exited, text(child.stderr!)]);
    if (status === 0) return;
    throw new EmbeddedPostgresError(`Creating the database in ${folder.path} failed: ${firstError(stderr)}`);
  } finally {
    fs.closeSync(password);
  }
};

const firstError = (stderr: string): string => {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  return lines.find((line) => /error|fatal|cannot|could not/i.test(line)) ?? lines[0] ?? 'no reason given';
};

/** UTF8, locale C (order by bytes, the same on every system), password authentication, synced to disk. */
export const createCluster = async (binaries: Binaries, folder: DataFolder, account: Account): Promise<void> => {
  const draft = `${folder.cluster}.${randomBytes(6).toString('hex')}`;
  try {
    makePassword(folder, account);
    fs.mkdirSync(draft, { mode: 0o700 });
    giveTo(draft, account);
    await initdb(binaries, folder, draft, account);
    fs.renameSync(draft, folder.cluster);
  } catch (cause) {
    fs.rmSync(draft, { recursive: true, force: true });
    if (hasCluster(folder)) return;
    if (cause instanceof EmbeddedPostgresError) throw cause;
    throw new EmbeddedPostgresError(`Creating the database in ${folder.path} failed: ${reasonOf(cause)}`, { cause });
  }
};

/** Removes what starts that were killed have left. Only for the owner of the folder. */
export const removeDrafts = ({ path }: DataFolder): void => {
  for (const name of fs.readdirSync(path)) {
    if (/^(cluster|password)\.[0-9a-f]{12}$/.test(name)) fs.rmSync(join(path, name), { recursive: true, force: true });
  }
};
