/** `npm run db`: the embedded PostgreSQL alone. Prints its URL as one line; stops it at SIGTERM or Ctrl-C. */
import { ConfigError, loadConfig } from '../config.js';
import { EmbeddedPostgresError } from '../event-store/postgres/embedded/embedded-postgres-error.js';
import { startEmbeddedPostgres } from '../event-store/postgres/embedded/embedded-postgres.js';

// The output holds the URL and nothing else, so that a script can read it.
const say = (message: string): void => {
  process.stderr.write(`${message}\n`);
};

/** Asked for before the server is up, it stops as soon as it is. */
const asked = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
});

try {
  const { dataDir } = loadConfig(process.env, process.cwd());
  const server = await startEmbeddedPostgres({ dataDir, log: { info: say, warn: say } });
  process.stdout.write(`${server.url}\n`);
  // A promise alone does not keep the process: the connection that owns the folder does, and it may be lost for a while.
  const alive = setInterval(() => undefined, 60_000);
  await asked;
  clearInterval(alive);
  await server.stop();
} catch (error) {
  if (!(error instanceof ConfigError) && !(error instanceof EmbeddedPostgresError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
