/** The command line of the demo. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export const USAGE = `usage: npm run demo [-- [FOLDER] [options]]

Catalogues a folder as jobs: worker processes read, hash and compress every file and report progress; one worker is
killed and one is frozen in the middle of a job. At the end the totals of the ledger are compared with the file system;
the exit code is 0 when they are equal, else 1.

  FOLDER         what to catalogue: one job a package of a node_modules, else one a top-level folder
                 (default: the node_modules of this project)
  --workers N    worker processes, 1–64 (4); with faults at least 3
  --lease-ms N   how long a silent worker keeps its job, 500–60000 (2000)
  --no-faults    kill and freeze nobody
  --url URL      the service to use; default: JOBLEDGER_URL, else one that answers at http://127.0.0.1:8080, else one
                 that is started for the demo, with an empty database, and removed with it
  --own          start one for the demo even when another answers
  --help         this text`;

/** Thrown when the command line is wrong: one line says how. */
export class UsageError extends Error {}

export interface DemoArguments {
  /** Absolute. */
  readonly folder: string;
  readonly workers: number;
  readonly leaseMs: number;
  readonly faults: boolean;
  /** Null: look for one, else start one. */
  readonly url: string | null;
  readonly own: boolean;
}

const PROJECT_PACKAGES = resolve(import.meta.dirname, '../../../node_modules');
/** One is killed, one is frozen, and one has to take over. */
const FEWEST_WITH_FAULTS = 3;

const wholeNumber = (name: string, text: string, min: number, max: number): number => {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new UsageError(`--${name}: expected a whole number from ${min} to ${max}, not "${text}"`);
};

const httpUrl = (text: string): string => {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UsageError(`expected the URL of a service, as http://127.0.0.1:8080, not "${text}"`);
};

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        workers: { type: 'string', default: '4' },
        'lease-ms': { type: 'string', default: '2000' },
        'no-faults': { type: 'boolean', default: false },
        url: { type: 'string' },
        own: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
};

/**
 * @param env `JOBLEDGER_URL`, and `INIT_CWD`, where npm was called: relative paths are meant from there.
 * @returns null when help was asked for.
 * @throws UsageError
 */
export const readArguments = (args: readonly string[], env: NodeJS.ProcessEnv, cwd: string): DemoArguments | null => {
  const { values, positionals } = parse(args);
  if (values.help) return null;
  if (positionals.length > 1) throw new UsageError(`expected one folder, not ${positionals.length}`);
  const [folder] = positionals;
  const faults = !values['no-faults'] && process.platform !== 'win32';
  const workers = wholeNumber('workers', values.workers, 1, 64);
  if (faults && workers < FEWEST_WITH_FAULTS) {
    throw new UsageError(`--workers: with faults at least ${FEWEST_WITH_FAULTS}, or give --no-faults`);
  }
  if (values.own && values.url !== undefined) throw new UsageError('--own and --url exclude each other');
  const url = values.own ? undefined : (values.url ?? env['JOBLEDGER_URL']);
  return {
    folder: folder === undefined ? PROJECT_PACKAGES : resolve(env['INIT_CWD'] ?? cwd, folder),
    workers,
    leaseMs: wholeNumber('lease-ms', values['lease-ms'], 500, 60_000),
    faults,
    url: url === undefined || url === '' ? null : httpUrl(url),
    own: values.own,
  };
};
