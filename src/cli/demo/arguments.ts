/** What a demo is asked to do. */
import { resolve } from 'node:path';
import type { Connection } from '../connection.js';
import type { Option } from '../command.js';
import { UsageError } from '../usage-error.js';
import type { Values } from '../values.js';

export const DEMO_OPTIONS = {
  swf: { value: 'FILE', help: 'replay a log in the Standard Workload Format, gzip or not' },
  speed: { value: 'X', help: 'of a replay: seconds of the log in a second, or max: as fast as it goes (max)' },
  limit: { value: 'N', help: 'of a replay: the first N jobs of the file' },
  workers: { value: 'N', help: 'worker processes, 1–64 (4); with faults at least 3' },
  'lease-ms': { value: 'N', help: 'how long a silent worker keeps its job, 500–60000 (2000; of a replay 10000)' },
  'no-faults': { help: 'kill and freeze nobody' },
  own: { help: 'start a service for the demo even when another answers' },
} as const satisfies Record<string, Option>;

interface CommonArguments extends Connection {
  readonly workers: number;
  readonly leaseMs: number;
  readonly faults: boolean;
  readonly own: boolean;
}

export interface CatalogueArguments extends CommonArguments {
  readonly kind: 'catalogue';
  /** Absolute. */
  readonly folder: string;
}

export interface ReplayArguments extends CommonArguments {
  readonly kind: 'replay';
  /** Absolute. */
  readonly file: string;
  /** Seconds of the log in a second; null: as fast as it goes. */
  readonly speed: number | null;
  /** Infinity: all. */
  readonly limit: number;
}

export type DemoArguments = CatalogueArguments | ReplayArguments;

const PROJECT_PACKAGES = resolve(import.meta.dirname, '../../../node_modules');
/** One is killed, one is frozen, and one has to take over. */
const FEWEST_WITH_FAULTS = 3;
const SLOWEST = 0.001;
const FASTEST = 1e9;

const readSpeed = (text: string): number | null => {
  if (text === 'max') return null;
  const speed = Number(text);
  if (/^\d+(\.\d+)?(e\d+)?$/i.test(text) && speed >= SLOWEST && speed <= FASTEST) return speed;
  throw new UsageError(`--speed: expected a number from ${SLOWEST} to ${FASTEST}, or max, not "${text}"`);
};

const requireNone = (values: Values<keyof typeof DEMO_OPTIONS>, ...names: ('speed' | 'limit')[]): void => {
  const given = names.find((name) => values.flag(name));
  if (given !== undefined) throw new UsageError(`--${given} is about a replay: it goes with --swf`);
};

/** @param cwd relative paths are meant from there. @throws UsageError */
export const readArguments = (
  values: Values<keyof typeof DEMO_OPTIONS | 'url'>,
  connection: Connection,
  cwd: string,
): DemoArguments => {
  const [folder] = values.positionals;
  const file = values.text('swf');
  if (file !== undefined && folder !== undefined) throw new UsageError('a folder and --swf exclude each other');
  const own = values.flag('own');
  if (own && values.flag('url')) throw new UsageError('--own and --url exclude each other');
  const faults = !values.flag('no-faults') && process.platform !== 'win32';
  const workers = values.whole('workers', 1, 64) ?? 4;
  if (faults && workers < FEWEST_WITH_FAULTS) {
    throw new UsageError(`--workers: with faults at least ${FEWEST_WITH_FAULTS}, or give --no-faults`);
  }
  const leaseMs = values.whole('lease-ms', 500, 60_000);
  const common = { workers, faults, own, url: own ? null : connection.url, apiKey: own ? null : connection.apiKey };
  if (file !== undefined) {
    const limit = values.whole('limit', 1, Number.MAX_SAFE_INTEGER) ?? Infinity;
    const speed = readSpeed(values.text('speed') ?? 'max');
    return { kind: 'replay', ...common, leaseMs: leaseMs ?? 10_000, file: resolve(cwd, file), speed, limit };
  }
  requireNone(values, 'speed', 'limit');
  const absolute = folder === undefined ? PROJECT_PACKAGES : resolve(cwd, folder);
  return { kind: 'catalogue', ...common, leaseMs: leaseMs ?? 2_000, folder: absolute };
};
