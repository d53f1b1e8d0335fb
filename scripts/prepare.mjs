/**
 * Brings a clone up to date: packages as package-lock.json has them, `dist` as `src` has it. Nothing is done when
 * nothing changed, which is told by hashes of contents: clocks and checkouts move times without changing anything.
 * Run by itself (`npm run build`, `npm pack`) it does both for this clone.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { withLock } from './lock.mjs';

/** Lines of its own go to stderr: the output belongs to the program that runs afterwards. */
const say = (line) => process.stderr.write(`${line}\n`);

const PROGRESS_MS = 10_000;

/** On a cold machine this takes a minute: whoever waits is told that it goes on, and when it is done. */
const telling = async (doing, done, work) => {
  const startedAt = performance.now();
  const seconds = () => Math.round((performance.now() - startedAt) / 1000);
  say(`${doing} …`);
  const timer = setInterval(() => say(`  … ${seconds()} s`), PROGRESS_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  say(`${done} in ${seconds()} s.`);
};

const run = (doing, program, args, cwd) =>
  new Promise((done, fail) => {
    const child = spawn(program, args, {
      cwd,
      stdio: ['ignore', 2, 2],
      shell: process.platform === 'win32' && !program.endsWith('.exe'),
    });
    child.once('error', (error) => fail(new Error(`${doing} failed: ${error.message}`)));
    child.once('exit', (code, signal) =>
      code === 0 ? done() : fail(new Error(`${doing} failed (${signal ?? `exit ${code}`}).`)),
    );
  });

const read = (file) => (existsSync(file) ? readFileSync(file) : undefined);

/** Runs `work` when the stamp says something else; asked again under the lock, where another may just have done it. */
const whenStale = async (folder, stampFile, hash, work) => {
  const isFresh = () => read(stampFile)?.toString() === hash();
  if (isFresh()) return;
  mkdirSync(join(folder, '.data'), { recursive: true });
  await withLock(join(folder, '.data', 'prepare.lock'), async () => {
    if (isFresh()) return;
    await work();
    // npm makes no folder when there is nothing to put in it.
    mkdirSync(dirname(stampFile), { recursive: true });
    writeFileSync(stampFile, hash());
  });
};

/** npm writes its own lock last: younger than ours, somebody installed by hand. */
const isInstalledByHand = (folder) => {
  const ours = statSync(join(folder, 'package-lock.json'), { throwIfNoEntry: false });
  const installed = statSync(join(folder, 'node_modules/.package-lock.json'), { throwIfNoEntry: false });
  return ours !== undefined && installed !== undefined && installed.mtimeMs >= ours.mtimeMs;
};

/** `npm install` in a folder with a package.json, unless its packages are as the lock has them. */
export const install = async (folder) => {
  const stampFile = join(folder, 'node_modules', '.jobledger-install');
  const hash = () => {
    const sum = createHash('sha256').update(`${process.platform} ${process.arch} `);
    for (const name of ['package.json', 'package-lock.json']) sum.update(read(join(folder, name)) ?? '');
    return sum.digest('hex');
  };
  await whenStale(folder, stampFile, hash, async () => {
    if (!existsSync(stampFile) && isInstalledByHand(folder)) return;
    const args = ['install', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
    const npm = process.env.npm_execpath;
    // Run by npm, it is that npm; its file is JavaScript and needs no shell.
    const [program, ...first] = npm?.endsWith('.js') === true ? [process.execPath, npm] : ['npm'];
    await telling('Installing packages (once; about a minute)', 'Installed', () =>
      run('npm install', program, [...first, ...args], folder),
    );
  });
};

const BUILT_FROM = [
  'src',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.client.json',
  'nest-cli.json',
  '.swcrc',
  'package-lock.json',
];

const hashTree = (sum, path, name) => {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  sum.update(`\0${name}\0`);
  if (!found.isDirectory()) sum.update(readFileSync(path));
  else for (const entry of readdirSync(path).sort()) hashTree(sum, join(path, entry), `${name}/${entry}`);
};

/** `nest build` and the types of the client, unless `dist` was built from what is there now. */
export const build = async (project) => {
  const hash = () => {
    const sum = createHash('sha256');
    for (const name of BUILT_FROM) hashTree(sum, join(project, name), name);
    return sum.digest('hex');
  };
  await whenStale(project, join(project, 'dist', '.built-from'), hash, async () => {
    const nest = join(project, 'node_modules/@nestjs/cli/bin/nest.js');
    if (!existsSync(nest)) throw new Error('dist is out of date, and building needs the development packages.');
    const tsc = join(project, 'node_modules/typescript/bin/tsc');
    await telling('Building', 'Built', async () => {
      // It empties `dist`, so the types come after it.
      await run('nest build', process.execPath, [nest, 'build'], project);
      await run('tsc', process.execPath, [tsc, '-p', 'tsconfig.client.json'], project);
    });
  });
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const project = fileURLToPath(new URL('..', import.meta.url));
  try {
    await install(project);
    await build(project);
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}
