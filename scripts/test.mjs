/**
 * `npm test`: the checks, a round of each bench, then Jest. The last line is "N passed, N failed": tests of Jest, where a test file that could
 * not be loaded and a check that failed count as one failed test each.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { check } from './check.mjs';

const project = resolve(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'jobledger-test-'));
const results = join(folder, 'results.json');

const jest = () =>
  new Promise((done, fail) => {
    const child = spawn(
      process.execPath,
      [
        ...['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'],
        ...['--json', `--outputFile=${results}`, ...process.argv.slice(2)],
      ],
      // With --json Jest prints the results to its output too: they are read from the file.
      { cwd: project, stdio: ['ignore', 'ignore', 'inherit'] },
    );
    // Ctrl-C reaches Jest by itself; a signal to this process alone would leave it behind.
    for (const signal of ['SIGTERM', 'SIGHUP']) process.once(signal, () => child.kill(signal));
    process.on('SIGINT', () => undefined);
    child.once('error', fail);
    child.once('exit', (code, signal) => done(signal === null ? code : 128 + constants.signals[signal]));
  });

/** What Jest counted; a run that was cut short has left nothing, and is a failure. */
const counted = () => {
  try {
    const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(readFileSync(results, 'utf8'));
    return { passed: numPassedTests, failed: numFailedTests + numRuntimeErrorTestSuites };
  } catch {
    return { passed: 0, failed: 1 };
  }
};

/** One short round of our own side of each bench, so that none rots; the peers are installed by `npm run bench` alone. */
const benches = () =>
  new Promise((done) => {
    const bench = [join(project, 'bench/run.mjs'), '--own'];
    const child = spawn(process.execPath, bench, { cwd: project, stdio: ['ignore', 'inherit', 'inherit'] });
    child.once('error', () => done(1));
    child.once('exit', (code) => done(code === 0 ? 0 : 1));
  });

// A run of some tests only is no run of the benches.
const isWhole = process.argv.length === 2;
const failedChecks = (await check()) + (isWhole ? await benches() : 0);
const code = await jest();
const { passed, failed } = counted();
rmSync(folder, { recursive: true, force: true });
const isOk = failedChecks === 0 && code === 0;
// A threshold or an open handle may fail a run in which every test passed.
process.exitCode = isOk ? 0 : code || 1;
console.log(`${passed} passed, ${failed + failedChecks} failed`);
