/** Which folders are jobs of their own, and what belongs to each job: every entry of the tree to exactly one. */
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** `packages`: one job a package, wherever it is nested. `folders`: one a top-level folder. */
export type Split = 'packages' | 'folders';

/** What a job is told: enough for another attempt, by another process, to find the same files. */
export interface JobFolder {
  /** The catalogued folder, absolute. */
  readonly root: string;
  /** From the root, with `/`; empty for what lies in no folder with a job. */
  readonly folder: string;
  readonly split: Split;
}

export interface Entry {
  /** From the root, with `/`. */
  readonly path: string;
  readonly kind: 'file' | 'skipped' | 'unreadable';
}

/** `a`, `@scope/a`, and the same behind any `node_modules/`; not `.bin` and its like. */
const PACKAGE = /^(?:.*\/node_modules\/)?(?:@[^/]+\/)?(?!\.|@)[^/]+$/;
const TOP_FOLDER = /^[^/]+$/;

/** Whether a folder has a job of its own. */
export const hasOwnJob = (path: string, split: Split): boolean => {
  if (split === 'folders') return TOP_FOLDER.test(path);
  return PACKAGE.test(path) && !path.endsWith('/node_modules') && path !== 'node_modules';
};

const byName = (a: Dirent, b: Dirent): number => (a.name < b.name ? -1 : 1);

const kindOf = (entry: Dirent): Entry['kind'] => (entry.isFile() ? 'file' : 'skipped');

/** Walks one job's part of the tree: its entries, and the folders below it that are jobs of their own. */
export async function* walkJobFolder(job: JobFolder): AsyncGenerator<Entry | { readonly ownJob: string }> {
  const walk = async function* (folder: string): AsyncGenerator<Entry | { readonly ownJob: string }> {
    let entries: Dirent[];
    try {
      entries = await readdir(join(job.root, folder), { withFileTypes: true });
    } catch {
      yield { path: folder, kind: 'unreadable' };
      return;
    }
    for (const entry of entries.sort(byName)) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (!entry.isDirectory()) yield { path, kind: kindOf(entry) };
      else if (hasOwnJob(path, job.split)) yield { ownJob: path };
      else yield* walk(path);
    }
  };
  yield* walk(job.folder);
}

/** The job's entries, in the order of their paths, so that an attempt can go on behind the last one that was done. */
export const entriesOf = async (job: JobFolder): Promise<Entry[]> => {
  const entries: Entry[] = [];
  for await (const found of walkJobFolder(job)) if ('path' in found) entries.push(found);
  return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
};
