/**
 * Runs a command of the project from a bare clone: installs what is missing, builds what is stale, then becomes the
 * program itself, in this process, so that signals and the exit code are its own. Needs nothing that is installed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, install } from './prepare.mjs';

const MINIMUM_NODE = [20, 19];
// Not import.meta.dirname: a Node.js that is too old has none, and is to be told so.
const project = fileURLToPath(new URL('..', import.meta.url));

const COMMANDS = {
  start: {
    program: 'dist/main.js',
    help: `npm start

Runs the service. With nothing set it listens on http://127.0.0.1:8080 and brings a PostgreSQL server of its own.
Ctrl-C or SIGTERM drains it and stops it.

Settings come from jobledger.yaml in the working directory (or the file that JOBLEDGER_CONFIG names) and from the
environment, which wins. The ones that are set most:
  JOBLEDGER_HOST, JOBLEDGER_PORT     where to listen (127.0.0.1, 8080; port 0: a free one)
  JOBLEDGER_DATABASE_URL             a PostgreSQL server of yours instead of the embedded one
  JOBLEDGER_DATA_DIR                 where the embedded one keeps its data
  JOBLEDGER_RUN                      a part of api,projections,reaper (all)
  JOBLEDGER_PRESET                   protea, antenna or beacon: the default policy
  JOBLEDGER_LOG_LEVEL                trace, debug, info, warn, error, fatal, silent (info)`,
  },
  db: {
    program: 'dist/cli/db.js',
    help: `npm run db

Runs the embedded PostgreSQL alone and prints its URL, for several services on one database:
  npm run db
  JOBLEDGER_DATABASE_URL=<the URL> npm start        (in other terminals, each with its JOBLEDGER_PORT)
The URL stays the same over restarts. JOBLEDGER_DATA_DIR says where the data is kept. Ctrl-C or SIGTERM stops it.`,
  },
  demo: {
    program: 'dist/cli/demo.js',
    takesArguments: true,
    help: `npm run demo [-- [FOLDER] [options]]

Catalogues a folder as jobs: worker processes read, hash and compress every file and report progress; one worker is
killed and one is frozen in the middle of a job. At the end the totals of the ledger are compared with the file system;
the exit code is 0 when they are equal, else 1.

  FOLDER         what to catalogue: one job a package of a node_modules, else one a top-level folder
                 (default: the node_modules of this project)
  --workers N    worker processes, 1–64 (4); with faults at least 3
  --lease-ms N   how long a silent worker keeps its job, 500–60000 (2000)
  --no-faults    kill and freeze nobody
  --url URL      the service to use; default: JOBLEDGER_URL, else one that answers at http://127.0.0.1:8080, else one
                 that is started for the demo, with an empty database, and removed with it
  --own          start one for the demo even when another answers`,
  },
  bench: {
    program: 'bench/run.mjs',
    takesArguments: true,
    packages: 'bench',
    help: `npm run bench [-- <name> …]

Measures against baselines in the same run and prints the ratios. Without a name: every bench.`,
  },
  test: {
    program: 'scripts/test.mjs',
    takesArguments: true,
    help: `npm test [-- <what Jest takes> …]

Checks (types, lint, import graph, format, promises), then every test. The last line is "N passed, N failed".`,
  },
};

const usage = `usage: node scripts/run.mjs <${Object.keys(COMMANDS).join(' | ')}> [arguments]`;

const stop = (message) => {
  process.stderr.write(`${message}\n`);
  process.exit(1);
};

const [name, ...args] = process.argv.slice(2);
if (name === undefined || name === '--help') {
  console.log([usage, ...Object.values(COMMANDS).map(({ help }) => help)].join('\n\n'));
  process.exit(0);
}
if (!Object.hasOwn(COMMANDS, name)) stop(`no such command: ${name}\n${usage}`);
const command = COMMANDS[name];
if (args.includes('--help')) {
  console.log(command.help);
  process.exit(0);
}

if (command.takesArguments !== true && args.length > 0) {
  const npm = command.help.split('\n', 1)[0];
  stop(
    `${npm} takes no arguments, and was given ${args.join(' ')}. Settings are environment variables, as JOBLEDGER_PORT=8081 ${npm}; ${npm} -- --help lists them.`,
  );
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor < MINIMUM_NODE[1])) {
  stop(`Jobledger needs Node.js ${MINIMUM_NODE.join('.')} or newer, and this is ${process.versions.node}.`);
}

try {
  await install(project);
  await build(project);
  if (command.packages !== undefined) await install(join(project, command.packages));
} catch (error) {
  stop(error.message);
}

const program = join(project, command.program);
if (!existsSync(program)) stop(`${command.program} is missing.`);
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
if (process.env.npm_lifecycle_event !== undefined) stopWithParent();

process.setSourceMapsEnabled(true);
process.argv.splice(1, 2, program);
await import(pathToFileURL(program).href);
