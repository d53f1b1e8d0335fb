import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { catalogue } from '../../src/cli/demo/catalogue.js';
import { tallyFileSystem } from '../../src/cli/demo/file-system.js';
import { entriesOf, hasOwnJob } from '../../src/cli/demo/job-folder.js';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'jobledger-catalogue-'));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const write = (folder: string, files: readonly string[]): void => {
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), file);
  }
};

const packages = (): string => join(root, 'node_modules');

/** Paths by the folder of the job that has them. */
const divided = async (folder: string): Promise<Record<string, string[]>> => {
  const jobs = await catalogue(folder);
  const entries = await Promise.all(
    jobs.map(async (job) => [job.folder, (await entriesOf(job)).map(({ path }) => path)] as const),
  );
  return Object.fromEntries(entries);
};

describe('a package', () => {
  it.each(['a', '@scope/a', 'a/node_modules/b', 'a/lib/node_modules/@scope/b', '.pnpm/a@1/node_modules/a'])(
    '%s has a job of its own',
    (path) => {
      expect(hasOwnJob(path, 'packages')).toBe(true);
    },
  );

  it.each([
    '.bin',
    '@scope',
    'a/lib',
    'a/node_modules',
    'a/node_modules/.bin',
    'a/node_modules/@scope',
    '@scope/a/lib',
  ])('%s has none', (path) => {
    expect(hasOwnJob(path, 'packages')).toBe(false);
  });
});

describe('a node_modules', () => {
  it('is divided into its packages, nested ones too, and what is in none of them', async () => {
    write(packages(), [
      ...['.package-lock.json', '.bin/run', '@s/readme.md', '@s/x/index.js', 'a/index.js', 'a/lib/deep/one.js'],
      ...['a/node_modules/b/index.js', 'a/node_modules/.bin/b', 'a/node_modules/@s/c/index.js'],
    ]);
    expect(await divided(packages())).toEqual({
      '': ['.bin/run', '.package-lock.json', '@s/readme.md'],
      '@s/x': ['@s/x/index.js'],
      a: ['a/index.js', 'a/lib/deep/one.js', 'a/node_modules/.bin/b'],
      'a/node_modules/b': ['a/node_modules/b/index.js'],
      'a/node_modules/@s/c': ['a/node_modules/@s/c/index.js'],
    });
  });
});

describe('any other folder', () => {
  it('is divided into its top-level folders and the files beside them', async () => {
    write(root, ['one.txt', 'a/1', 'a/b/2', 'a/node_modules/c/3', 'd/4']);
    expect(await divided(root)).toEqual({ '': ['one.txt'], a: ['a/1', 'a/b/2', 'a/node_modules/c/3'], d: ['d/4'] });
  });

  it('has no job for files at the top when there are none, and one for an empty folder', async () => {
    mkdirSync(join(root, 'empty'));
    expect(await divided(root)).toEqual({ empty: [] });
  });

  it('is planned with its counts, the largest job first', async () => {
    write(root, ['a/1', 'b/22', 'b/333', 'top']);
    expect((await catalogue(root)).map(({ name, entries, bytes }) => [name, entries, bytes])).toEqual([
      ['b', 2, 9],
      ['(top)', 1, 3],
      ['a', 1, 3],
    ]);
  });

  it('cannot be one that is not there', async () => {
    await expect(catalogue(join(root, 'missing'))).rejects.toThrow('ENOENT');
  });
});

describe('a symbolic link', () => {
  it('is an entry, and never followed', async () => {
    write(root, ['a/1']);
    symlinkSync(root, join(root, 'a/loop'));
    symlinkSync('/nowhere', join(root, 'dangling'));
    const found = (await Promise.all((await catalogue(root)).map(entriesOf))).flat();
    expect(found).toEqual([
      { path: 'a/1', kind: 'file' },
      { path: 'a/loop', kind: 'skipped' },
      { path: 'dangling', kind: 'skipped' },
    ]);
    expect(await tallyFileSystem(root)).toMatchObject({ files: 1, bytes: 3, skipped: 2, unreadable: 0 });
  });
});
