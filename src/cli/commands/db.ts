/** `jobledger db`: the embedded PostgreSQL alone. Prints its URL as one line; stops it at SIGTERM or Ctrl-C. */
import { loadConfig } from '../../config.js';
import { startEmbeddedPostgres } from '../../event-store/postgres/embedded/embedded-postgres.js';
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';

export const db = command({
  words: ['db'],
  summary: 'run the embedded PostgreSQL alone and print its URL',
  about: `For several services on one database:
  jobledger db
  JOBLEDGER_DATABASE_URL=<the URL> jobledger start        (in other terminals, each with its JOBLEDGER_PORT)
The URL stays the same over restarts. JOBLEDGER_DATA_DIR says where the data is kept. Ctrl-C or SIGTERM stops it.`,
  options: {},
  hint: 'settings are environment variables, as JOBLEDGER_DATA_DIR=/data jobledger db',
  asksService: false,
  examples: ['npm run db'],
  run: async ({ terminal, env, cwd, signal }) => {
    // Asked for before the server is up, it stops as soon as it is.
    const asked = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    const { dataDir } = loadConfig(env, cwd);
    const server = await startEmbeddedPostgres({ dataDir, log: { info: terminal.note, warn: terminal.note } });
    await terminal.line(server.url);
    // A promise alone does not keep the process: the connection that owns the folder does, and it may be lost for a while.
    const alive = setInterval(() => undefined, 60_000);
    await asked;
    clearInterval(alive);
    await server.stop();
    return EXIT.OK;
  },
});
