/** Divides a folder into jobs. */
import { lstat, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type JobFolder, walkJobFolder } from './job-folder.js';

export interface PlannedJob extends JobFolder {
  /** For people: the folder, with what it is when it has none. */
  readonly name: string;
  /** Entries, readable or not. */
  readonly entries: number;
  readonly bytes: number;
}

export const TOP_NAME = '(top)';

const sizeOf = async (path: string): Promise<number> => {
  try {
    return (await lstat(path)).size;
  } catch {
    // Gone meanwhile: whoever does the job says so.
    return 0;
  }
};

const plan = async (job: JobFolder, onOwnJob: (path: string) => void): Promise<PlannedJob> => {
  const sizes: Promise<number>[] = [];
  let entries = 0;
  for await (const found of walkJobFolder(job)) {
    if ('ownJob' in found) {
      onOwnJob(found.ownJob);
      continue;
    }
    entries += 1;
    if (found.kind === 'file') sizes.push(sizeOf(join(job.root, found.path)));
  }
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  return { ...job, name: job.folder === '' ? TOP_NAME : job.folder, entries, bytes };
};

/**
 * One job for each package of a `node_modules`, else for each top-level folder, and one for what lies in none of them;
 * the largest first, so that none is begun last that takes longest.
 * @param root absolute.
 * @throws Error when the folder itself cannot be read.
 */
export const catalogue = async (root: string): Promise<PlannedJob[]> => {
  await readdir(root);
  const split = basename(root) === 'node_modules' ? 'packages' : 'folders';
  const jobs: PlannedJob[] = [];
  const folders = [''];
  for (let folder = folders.shift(); folder !== undefined; folder = folders.shift()) {
    const job = await plan({ root, folder, split }, (path) => folders.push(path));
    if (folder !== '' || job.entries > 0) jobs.push(job);
  }
  return jobs.sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
};
