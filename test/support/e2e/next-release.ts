/**
 * The release after this one: the same build, in which the event of a changed priority is of version 2, with another
 * shape, and everything that writes and reads it follows. It runs beside the build of today.
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mainFile } from './build.js';

const CHANGES: readonly (readonly [file: string, now: RegExp, then: string])[] = [
  [
    'domain/upcast.js',
    /PriorityChanged: \[\]/,
    'PriorityChanged: [({ priority: level, ...rest }) => ({ ...rest, level })]',
  ],
  ['domain/decide-client.js', /(type: 'PriorityChanged',\s+data: \{\s+)priority:/, '$1level:'],
  ['domain/job.js', /event\.data\.priority/, 'event.data.level'],
];

export interface NextRelease {
  /** What a process runs. */
  readonly main: string;
  remove(): Promise<void>;
}

export const makeNextRelease = async (): Promise<NextRelease> => {
  const folder = await mkdtemp(join(tmpdir(), 'jobledger-next-'));
  const dist = dirname(mainFile);
  await cp(dist, join(folder, 'dist'), { recursive: true });
  await cp(join(dist, '../package.json'), join(folder, 'package.json'));
  await symlink(fileURLToPath(new URL('../../../node_modules', import.meta.url)), join(folder, 'node_modules'));
  for (const [file, now, then] of CHANGES) {
    const path = join(folder, 'dist', file);
    const text = await readFile(path, 'utf8');
    if (text.split(now).length < 2) throw new Error(`${file} has no ${String(now)}`);
    await writeFile(path, text.replace(now, then));
  }
  return { main: join(folder, 'dist/main.js'), remove: () => rm(folder, { recursive: true, force: true }) };
};
