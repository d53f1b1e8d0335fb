/**
 * The server's programs, from the optional dependency for this platform. When the service is root and lives in a folder
 * that is closed to others, they are copied once to a place that the server's account can read.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { Account } from './account.js';
import { EmbeddedPostgresError, reasonOf } from './embedded-postgres-error.js';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
  /** Major version, as `PG_VERSION` of a data folder has it. */
  readonly major: string;
}

const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

const packageFolder = async (): Promise<string> => {
  const name = `@embedded-postgres/${platform}`;
  try {
    const { postgres } = (await import(name)) as { postgres: string };
    return dirname(dirname(dirname(postgres)));
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `The embedded PostgreSQL needs the optional package ${name}, which is not installed: run npm install with optional dependencies, or set JOBLEDGER_DATABASE_URL to a server of your own.`,
      { cause },
    );
  }
};

/** npm packs no symbolic links: the package makes them in a script, which `--ignore-scripts` leaves out. */
const makeLinks = (folder: string): void => {
  const list = join(folder, 'native/pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(folder, target);
    if (!existsSync(link)) symlinkSync(relative(dirname(link), join(folder, source)), link);
  }
};

const inFolder = (native: string, major: string): Binaries => {
  const program = (name: string): string => join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  return { initdb: program('initdb'), postgres: program('postgres'), pgCtl: program('pg_ctl'), major };
};

const mayRun = (program: string, account: Account): boolean =>
  account.uid === undefined || spawnSync(program, ['--version'], { ...account, cwd: '/' }).status === 0;

/** Ours, and nobody else can have put something in it. */
const isTrusted = (folder: string): boolean => {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  return found !== undefined && found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
};

/** A folder of root's that others can read. Not the temporary one when it can be helped: that is swept by age. */
const stagingFolder = (): string => {
  for (const parent of ['/var/cache', tmpdir()]) {
    const folder = join(parent, 'jobledger');
    try {
      mkdirSync(folder, { recursive: true, mode: 0o755 });
      if (isTrusted(folder)) return folder;
    } catch {
      // Read-only: the next one.
    }
  }
  throw new EmbeddedPostgresError(
    'No folder to put a copy of the PostgreSQL programs in, which only root can read where they are: make /var/cache writable, or start as another user.',
  );
};

/** Copy aside, then rename: of two that do it at once one wins, and a copy that was cut short is never used. */
const stage = (native: string, version: string): string => {
  const staged = join(stagingFolder(), `postgres-${version}-${platform}`);
  if (isTrusted(staged)) return staged;
  const copy = `${staged}.${randomBytes(6).toString('hex')}`;
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') });
  spawnSync('chmod', ['-R', 'u=rwX,go=rX', copy]);
  try {
    renameSync(copy, staged);
  } catch (error) {
    rmSync(copy, { recursive: true, force: true });
    if (!isTrusted(staged)) throw error;
  }
  return staged;
};

export const findBinaries = async (account: Account): Promise<Binaries> => {
  const folder = await packageFolder();
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  const major = version.split('.', 1)[0] ?? version;
  try {
    makeLinks(folder);
    const native = join(folder, 'native');
    const installed = inFolder(native, major);
    return mayRun(installed.postgres, account) ? installed : inFolder(stage(native, version), major);
  } catch (cause) {
    if (cause instanceof EmbeddedPostgresError) throw cause;
    throw new EmbeddedPostgresError(`Preparing the PostgreSQL programs in ${folder} failed: ${reasonOf(cause)}`, {
      cause,
    });
  }
};
