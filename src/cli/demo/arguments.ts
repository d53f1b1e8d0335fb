/** The command line of the demo. What it takes is told by `scripts/run.mjs`, which answers `--help`. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

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

export const OPTIONS = {
  workers: { type: 'string', default: '4' },
  'lease-ms': { type: 'string', default: '2000' },
  'no-faults': { type: 'boolean', default: false },
  url: { type: 'string' },
  own: { type: 'boolean', default: false },
} as const;

/** Node's words, without its advice on how to write a folder that begins with a dash. */
const firstSentence = (text: string): string => text.split('. ', 1)[0] ?? text;

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: OPTIONS,
    });
  } catch (error) {
    const reason = firstSentence(error instanceof Error ? error.message : String(error));
    throw new UsageError(`${reason}; npm run demo -- --help says what it takes`);
  }
};

/**
 * @param env `JOBLEDGER_URL`, and `INIT_CWD`, where npm was called: relative paths are meant from there.
 * @throws UsageError
 */
export const readArguments = (args: readonly string[], env: NodeJS.ProcessEnv, cwd: string): DemoArguments => {
  const { values, positionals } = parse(args);
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
