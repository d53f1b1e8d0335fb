/**
 * `npm run test:e2e -- [--log postgres|eventstoredb] [what Jest takes]`: the tests of whole processes, over the log that
 * is named. `eventstoredb` runs over the fake server of the tests, or over the real one that EVENTSTOREDB_URL names.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { resolve } from 'node:path';

const LOGS = ['postgres', 'eventstoredb'];
const USAGE = `npm run test:e2e [-- [--log ${LOGS.join('|')}] <what Jest takes> …]

Runs test/e2e over one log (postgres by default). Over eventstoredb each test file has a fake server of its own. With
EVENTSTOREDB_URL=esdb://… they run over that server, one file after the other: give it an empty one, since they replay
all that it holds.`;

const args = process.argv.slice(2);
const stop = (message) => {
  console.error(message);
  process.exit(1);
};
if (args.includes('--help')) {
  console.log(USAGE);
  process.exit(0);
}
const index = args.indexOf('--log');
const [, log = ''] = index < 0 ? [, 'postgres'] : args.splice(index, 2);
if (!LOGS.includes(log)) stop(`--log: expected one of ${LOGS.join(', ')}, not "${log}"\n\n${USAGE}`);
const isReal = log === 'eventstoredb' && process.env.EVENTSTOREDB_URL !== undefined;

const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', ...(isReal ? ['-i'] : [])];
const paths = args.some((arg) => !arg.startsWith('-')) ? [] : ['test/e2e'];
const child = spawn(process.execPath, [...jest, ...paths, ...args], {
  cwd: resolve(import.meta.dirname, '..'),
  env: { ...process.env, JOBLEDGER_TEST_LOG: log },
  stdio: 'inherit',
});
for (const signal of ['SIGTERM', 'SIGHUP']) process.once(signal, () => child.kill(signal));
process.on('SIGINT', () => undefined);
child.once('exit', (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]));
