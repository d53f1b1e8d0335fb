/** What a reviewer need not look for: types, lint, import graph, format, promises. `npm run check`; `npm test` runs it first. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const project = resolve(import.meta.dirname, '..');
const installed = (path, ...args) => [join('node_modules', path), ...args];

const FOLDERS = ['src', 'test', 'bench', 'scripts'];

/** Lint takes as long as the others together, so it is begun first. */
const CHECKS = [
  {
    name: 'lint',
    args: installed('eslint/bin/eslint.js', '--no-error-on-unmatched-pattern', ...FOLDERS),
    fix: 'npx eslint --fix',
  },
  { name: 'types', args: installed('typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit') },
  {
    name: 'graph',
    args: installed('dependency-cruiser/bin/dependency-cruise.mjs', '--config', '.dependency-cruiser.mjs', 'src'),
  },
  {
    name: 'format',
    args: installed('prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.'),
    fix: 'npm run format:fix',
  },
  { name: 'promises', args: ['scripts/check-promises.mjs'] },
];
/** Two cores are what the smallest machines have. */
const AT_ONCE = 2;

const runOne = ({ name, args, fix }) =>
  new Promise((done) => {
    const startedAt = performance.now();
    const child = spawn(process.execPath, args, { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = [];
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    child.once('close', (code) => {
      const isOk = code === 0;
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      const advice = isOk || fix === undefined ? '' : ` (${fix})`;
      console.log(`${isOk ? 'ok    ' : 'FAILED'} ${name} ${seconds} s${advice}`);
      if (!isOk) console.log(Buffer.concat(output).toString().trimEnd());
      done(isOk);
    });
  });

/** Runs every check. @returns how many failed. */
export const check = async () => {
  const waiting = [...CHECKS];
  let failed = 0;
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (!(await runOne(next))) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failed;
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.includes('--help')) {
    console.log(
      'npm run check\n\nRuns types, lint, import graph, format and promises; exits 1 when one of them fails.',
    );
  } else if (!existsSync(join(project, 'node_modules'))) {
    console.error('Packages are missing: run npm install.');
    process.exitCode = 1;
  } else {
    process.exitCode = (await check()) === 0 ? 0 : 1;
  }
}
