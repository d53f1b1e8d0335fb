/** What every bench shares: its flags, a server of its own, rounds that alternate between the sides. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../dist/event-store/postgres/embedded/embedded-postgres.js';

export const flag = (name, fallback) =>
  process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3) ?? fallback;

/** Our own side alone, one short round. */
export const isOwn = process.argv.includes('--own');
/** The volumes of the long run. */
export const isFull = process.argv.includes('--full');
export const rounds = isOwn ? 1 : Number(flag('rounds', '5'));
/** Of one side in one round. */
export const seconds = isOwn ? 0.2 : Number(flag('seconds', '3'));
export const lanes = flag('lanes', isOwn ? '8' : '1,8,32,256')
  .split(',')
  .map(Number);

/** The one of a volume's three sizes that this run is of. */
export const volume = ({ own, short, full }) => (isOwn ? own : isFull ? full : short);

const query = async (url, text) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
};

/** A database of its own on the server. @returns its URL */
export const createDatabase = async (serverUrl, name) => {
  await query(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
};

/** What autovacuum would do in its time: the first round should not pay for what was seeded. However long it takes. */
export const vacuum = (url) => query(url, 'vacuum analyze');

/** A PostgreSQL with the shipped settings (fsync and synchronous_commit on), in a folder that goes away. */
export const withServer = async (run) => {
  const given = flag('server');
  if (given !== undefined) {
    await run(await createDatabase(given, `bench_${process.pid}`));
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'jobledger-bench-'));
  chmodSync(folder, 0o755);
  const server = await startEmbeddedPostgres({
    dataDir: join(folder, 'data'),
    log: { info: () => undefined, warn: (message) => console.error(message) },
  });
  const end = async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  // Of a bench that is cut, or of Ctrl-C: the server outlives its starter otherwise.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void end().finally(() => process.exit(1)));
  try {
    await run(server.url);
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
    // What was left open breaks when the server goes, and says nothing new.
    process.on('uncaughtException', () => undefined);
  } finally {
    await end();
  }
  // Nothing that a side left open keeps the process.
  process.exit();
};

/** What `count` lanes do in a second, that run `step` one after the other. @param step returns how much it did */
export const throughput = async (count, step) => {
  const began = performance.now();
  const until = began + seconds * 1000;
  const lane = async () => {
    let done = 0;
    while (performance.now() < until) done += Number(await step());
    return done;
  };
  const counts = await Promise.all(Array.from({ length: count }, lane));
  return counts.reduce((sum, done) => sum + done, 0) / ((performance.now() - began) / 1000);
};

/** Milliseconds that it takes. */
export const elapsed = async (work) => {
  const began = performance.now();
  await work();
  return performance.now() - began;
};

/**
 * A B A B …: each round measures every side once, so that a slow minute hits all. A first round is thrown away: the
 * engines compile, caches fill.
 * @returns the values of each side
 */
export const alternate = async (sides) => {
  const values = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  for (let round = isOwn ? 1 : 0; round <= rounds; round += 1) {
    for (const [name, measure] of Object.entries(sides)) {
      const value = await measure();
      if (round > 0) values[name].push(value);
    }
  }
  return values;
};
