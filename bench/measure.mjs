/** What every bench shares: a server of its own, interleaved rounds, medians and ranges, and how they are printed. */
import { mkdtempSync, rmSync, chmodSync } from 'node:fs';
import { loadavg, tmpdir, cpus } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../dist/event-store/postgres/embedded/embedded-postgres.js';

const flag = (name, fallback) =>
  process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3) ?? fallback;

/** Our own side alone, one short round. */
export const isOwn = process.argv.includes('--own');
export const rounds = isOwn ? 1 : Number(flag('rounds', '5'));
export const seconds = isOwn ? 0.3 : Number(flag('seconds', '3'));
export const lanes = flag('lanes', isOwn ? '8' : '1,8,32,256')
  .split(',')
  .map(Number);

/** A PostgreSQL with the shipped settings (fsync and synchronous_commit on), in a folder that goes away. */
export const withServer = async (run) => {
  const folder = mkdtempSync(join(tmpdir(), 'jobledger-bench-'));
  chmodSync(folder, 0o755);
  const server = await startEmbeddedPostgres({
    dataDir: join(folder, 'data'),
    log: { info: () => undefined, warn: (message) => console.error(message) },
  });
  try {
    await run(server.url);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
};

/** Lifecycles a second of `count` lanes that run `step` one after the other, for `seconds`. */
export const throughput = async (count, step) => {
  const began = performance.now();
  const until = began + seconds * 1000;
  const lane = async () => {
    let done = 0;
    while (performance.now() < until) if (await step()) done += 1;
    return done;
  };
  const counts = await Promise.all(Array.from({ length: count }, lane));
  return counts.reduce((sum, done) => sum + done, 0) / ((performance.now() - began) / 1000);
};

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const show = (values) =>
  `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)}–${Math.max(...values).toFixed(0)})`;

/** A B A B …: each round measures every side once, so that a slow minute hits both. */
export const compare = async (title, sides) => {
  console.log(`\n${title}`);
  console.log(
    `Node ${process.versions.node}, ${cpus().length} cores, load ${loadavg()[0].toFixed(1)}; ${rounds} rounds of ${seconds} s a side; fsync and synchronous_commit on\n`,
  );
  const names = Object.keys(sides);
  const ratioHead = names.length > 1 ? ` ${'ratio'.padStart(14)}` : '';
  console.log(`${'in flight'.padStart(9)} ${names.map((name) => `${name}/s`.padStart(24)).join(' ')}${ratioHead}`);
  for (const count of lanes) {
    const results = Object.fromEntries(names.map((name) => [name, []]));
    for (let round = 0; round < rounds; round += 1) {
      for (const name of names) results[name].push(await throughput(count, sides[name]));
    }
    const [own, peer] = names.map((name) => results[name]);
    const ratio =
      peer === undefined ? '' : ` ${`×${median(own.map((value, i) => value / peer[i])).toFixed(2)}`.padStart(14)}`;
    console.log(
      `${String(count).padStart(9)} ${names.map((name) => show(results[name]).padStart(24)).join(' ')}${ratio}`,
    );
  }
  console.log(`\nload afterwards ${loadavg()[0].toFixed(1)}`);
};
