/** `jobledger start`: becomes the service. */
import { command } from '../command.js';

export const start = command({
  words: ['start'],
  summary: 'run the service',
  about: `With nothing set it listens on http://127.0.0.1:8080 and brings a PostgreSQL server of its own. Ctrl-C or SIGTERM
drains it and stops it.

Settings come from jobledger.yaml in the working directory (or the file that JOBLEDGER_CONFIG names) and from the
environment, which wins; \`jobledger config --local\` shows all of them. The ones that are set most:
  JOBLEDGER_HOST, JOBLEDGER_PORT     where to listen (127.0.0.1, 8080; port 0: a free one)
  JOBLEDGER_DATABASE_URL             a PostgreSQL server of yours instead of the embedded one
  JOBLEDGER_DATA_DIR                 where the embedded one keeps its data
  JOBLEDGER_EVENT_STORE, JOBLEDGER_EVENTSTOREDB_URL
                                     eventstoredb and its connection string: the log is there (postgres)
  JOBLEDGER_RUN                      a part of api,projections,reaper (all)
  JOBLEDGER_PRESET                   protea, antenna or beacon: the default policy
  JOBLEDGER_LOG_LEVEL                trace, debug, info, warn, error, fatal, silent (info)`,
  options: {},
  hint: 'settings are environment variables, as JOBLEDGER_PORT=8081 jobledger start',
  asksService: false,
  examples: ['npm start', 'JOBLEDGER_PORT=8081 jobledger start'],
  run: async () => {
    // The program itself, which ends the process when it is done: signals and exit code are its own.
    await import('../../main.js');
    return new Promise<never>(() => undefined);
  },
});
