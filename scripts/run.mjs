/** Commands of those who work on the project: `npm test`, `npm run bench`, `npm run soak`. What users call is `jobledger.mjs`. */
import { HELP } from '../bench/benches.mjs';
import { HELP as SOAK_HELP } from '../test/soak/help.mjs';
import { launch } from './launch.mjs';

const COMMANDS = {
  bench: {
    file: 'bench/run.mjs',
    packages: 'bench',
    help: HELP,
  },
  soak: {
    file: 'test/soak/main.mjs',
    help: SOAK_HELP,
  },
  test: {
    file: 'scripts/test.mjs',
    help: `npm test [-- <what Jest takes> …]

Checks (types, lint, import graph, format, promises), then every test. The last line is "N passed, N failed".`,
  },
};

const usage = `usage: node scripts/run.mjs <${Object.keys(COMMANDS).join(' | ')}> [arguments]`;

const [name, ...args] = process.argv.slice(2);
if (name === undefined || name === '--help') {
  console.log([usage, ...Object.values(COMMANDS).map(({ help }) => help)].join('\n\n'));
} else if (!Object.hasOwn(COMMANDS, name)) {
  console.error(`no such command: ${name}\n${usage}`);
  process.exitCode = 1;
} else if (args.includes('--help')) {
  console.log(COMMANDS[name].help);
} else {
  await launch({ ...COMMANDS[name], args });
}
