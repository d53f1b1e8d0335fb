/** `jobledger demo`: real work on the ledger, and an independent check of what came out of it. */
import { command } from '../command.js';
import { CONNECTION_OPTIONS } from '../command-line.js';
import { DEMO_OPTIONS, readArguments } from '../demo/arguments.js';
import { runCatalogue } from '../demo/catalogue-demo.js';
import { createDisplay } from '../demo/display.js';
import { runReplay } from '../swf/replay.js';

export const demo = command({
  words: ['demo'],
  summary: 'do real work on the ledger and check what came out of it',
  about: `Without --swf it catalogues a folder as jobs: worker processes read, hash and compress every file and report
progress; one worker is killed and one is frozen in the middle of a job. At the end the totals of the ledger are compared
with the file system. FOLDER: one job a package of a node_modules, else one a top-level folder (default: the
node_modules of this project).

With --swf it replays the log of a cluster: each job is submitted, waits, runs and ends as it did, on a compressed clock;
one worker is killed half-way. At the end counters and run times of the ledger are compared with the log's own. Status
1 completes, 0 fails, 5 cancels (before it ran when its run time is 0), 2 to 4 are parts of one job, -1 (not known)
completes. Lines that are malformed are named and left out.

It runs on --url, else JOBLEDGER_URL, else a service that answers at http://127.0.0.1:8080, else one that is started for
it, with an empty database, and removed with it. Exit code 0 when everything is equal, 4 when something is not.`,
  positionals: { usage: '[FOLDER]', min: 0, max: 1 },
  options: { ...DEMO_OPTIONS, ...CONNECTION_OPTIONS },
  asksService: false,
  examples: [
    'jobledger demo',
    'jobledger demo --swf CEA-Curie-sample.swf.gz',
    'jobledger demo --swf log.swf --limit 5000 --speed 20000 --own',
  ],
  run: ({ values, connection, cwd, signal }) => {
    const args = readArguments(values, connection, cwd);
    const display = createDisplay(process.stdout);
    return args.kind === 'replay' ? runReplay(args, display, signal) : runCatalogue(args, display, signal);
  },
});
