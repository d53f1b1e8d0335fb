/** The build that the processes run: made once, and again when a source is newer. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { waitFor } from './wait.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const BUILD_LIMIT_MS = 120_000;

/** What a process runs. `JOBLEDGER_E2E_MAIN` names another build, which is taken as it is. */
export const mainFile = process.env['JOBLEDGER_E2E_MAIN'] ?? join(root, 'dist/main.js');

/** Of test files that start together one builds: who makes the folder. The others wait until it is gone. */
const lock = join(tmpdir(), `jobledger-e2e-build-${createHash('sha256').update(root).digest('hex').slice(0, 16)}`);

const newestSource = (): number =>
  readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((newest, entry) => Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0);

const isFresh = (): boolean => existsSync(mainFile) && statSync(mainFile).mtimeMs >= newestSource();

/** A build that was killed leaves its lock. */
const isAbandoned = (): boolean => {
  const taken = statSync(lock, { throwIfNoEntry: false });
  return taken !== undefined && Date.now() - taken.mtimeMs > BUILD_LIMIT_MS;
};

const takeLock = (): boolean => {
  if (isAbandoned()) rmSync(lock, { recursive: true, force: true });
  try {
    mkdirSync(lock);
    return true;
  } catch {
    return false;
  }
};

const buildOnce = async (): Promise<boolean> => {
  if (!takeLock()) return false;
  try {
    if (!isFresh()) await promisify(execFile)('npx', ['nest', 'build'], { cwd: root });
    return true;
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
};

/** Builds unless `dist` is newer than every source. */
export const buildService = async (): Promise<void> => {
  if (process.env['JOBLEDGER_E2E_MAIN'] !== undefined) return;
  await waitFor('the build', buildOnce, 2 * BUILD_LIMIT_MS);
};
