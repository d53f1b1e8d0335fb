/**
 * Becomes a program of the project, in this process, so that signals and the exit code are its own. In a clone it
 * installs what is missing and builds what is stale before; as an installed package it is there already. Needs nothing
 * that is installed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, install } from './prepare.mjs';

const MINIMUM_NODE = [20, 19];
// Not import.meta.dirname: a Node.js that is too old has none, and is to be told so.
const project = fileURLToPath(new URL('..', import.meta.url));

const stop = (message) => {
  process.stderr.write(`${message}\n`);
  process.exit(1);
};

const requireNode = () => {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1])) return;
  stop(`Jobledger needs Node.js ${MINIMUM_NODE.join('.')} or newer, and this is ${process.versions.node}.`);
};

/**
 * npm runs this through a shell, which dies of the signal that npm passes on and passes it no further. Whoever stopped
 * npm meant the program, so that it is left alone counts as being asked to stop.
 */
const PARENT_POLL_MS = 200;
const stopWithParent = () => {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, PARENT_POLL_MS);
  timer.unref();
};

/**
 * @param file of the program, from the folder of the project.
 * @param args what it finds behind its own name.
 * @param packages a folder whose packages it needs too.
 */
export const launch = async ({ file, args, packages }) => {
  requireNode();
  if (existsSync(join(project, 'src'))) {
    try {
      await install(project);
      await build(project);
      if (packages !== undefined) await install(join(project, packages));
    } catch (error) {
      stop(error.message);
    }
  }
  const program = join(project, file);
  if (!existsSync(program)) stop(`${file} is missing.`);
  if (process.env.npm_lifecycle_event !== undefined) stopWithParent();
  process.setSourceMapsEnabled(true);
  process.argv = [process.argv[0], program, ...args];
  await import(pathToFileURL(program).href);
};
