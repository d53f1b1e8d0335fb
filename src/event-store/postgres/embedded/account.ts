/**
 * PostgreSQL refuses to run as root. When the service is root, the server runs as an unprivileged account: the owner of
 * an existing data folder, else `postgres`, else `nobody`. Otherwise it runs as whoever started the service.
 */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { EmbeddedPostgresError, UnusableDataFolder } from './embedded-postgres-error.js';

/** Spread into the options of a child process; empty when the server runs as the current user. */
export interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

const idOf = (flag: '-u' | '-g', user: string): number | undefined => {
  const { status, stdout } = spawnSync('id', [flag, user], { encoding: 'utf8' });
  return status === 0 ? Number(stdout) : undefined;
};

export const serverAccount = (cluster: string): Account => {
  if (process.getuid?.() !== 0) return {};
  const owner = statSync(cluster, { throwIfNoEntry: false });
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  for (const user of ['postgres', 'nobody']) {
    const uid = idOf('-u', user);
    const gid = idOf('-g', user);
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new EmbeddedPostgresError(
    'PostgreSQL does not run as root and this system has neither a user "postgres" nor "nobody": start as another user, or set JOBLEDGER_DATABASE_URL.',
  );
};

/**
 * The name by which the account's process, whose working directory is `folder`, can reach it. Below a folder that is
 * closed to the account (the home of root is 0700) that is not its path; on Linux it is the working directory itself,
 * which is entered before the privileges are dropped.
 */
export const reachableName = (folder: string, account: Account): string => {
  if (account.uid === undefined || spawnSync('test', ['-x', folder], { ...account, cwd: '/' }).status === 0)
    return folder;
  if (process.platform === 'linux') return '/proc/self/cwd';
  throw new UnusableDataFolder(
    `The data folder ${folder} lies below a folder that only root may enter: set JOBLEDGER_DATA_DIR to another, or start as another user.`,
  );
};
