/** Where the embedded PostgreSQL keeps its data when `JOBLEDGER_DATA_DIR` does not say. */
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve, sep } from 'node:path';

/** The folder that holds package.json, from `src/config` as from `dist/config`. */
const projectFolder = resolve(import.meta.dirname, '../..');

const isWritable = (folder: string): boolean => {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

const perUser = (env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string => {
  if (platform === 'win32') return env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support');
  // The XDG specification: a relative path there is invalid and to be ignored.
  const xdg = env['XDG_DATA_HOME'];
  return xdg?.startsWith('/') === true ? xdg : join(homedir(), '.local', 'share');
};

/** In the project when it is a clone that can be written, so that it goes with the clone; else one for each user. */
export const defaultDataDir = (
  env: NodeJS.ProcessEnv,
  project = projectFolder,
  platform = process.platform,
): string => {
  const isDependency = project.split(sep).includes('node_modules');
  return !isDependency && isWritable(project)
    ? join(project, '.data', 'postgres')
    : join(perUser(env, platform), 'jobledger', 'postgres');
};
