/** What is printed at the end: the table of the run, and the comparison with the file system. */
import type { CountedProgress, Outcome } from './outcome.js';
import type { Tally } from './tally.js';
import { columns, formatBytes, formatCount, formatSeconds, printable } from '../text.js';

export interface FaultSummary {
  readonly kind: 'kill' | 'freeze';
  /** From the fault until another worker held the job, ms; null when that was not seen. */
  readonly recoveredMs: number | null;
  /** In words: who held what, and who took it over. */
  readonly story: string;
}

export interface RunSummary {
  readonly outcome: Outcome;
  /** From the first claim to the last end, ms. */
  readonly workedMs: number;
  /** Those that were to happen; null: none were. */
  readonly faults: readonly FaultSummary[] | null;
}

/** One number as results, progress and file system have it. */
export interface Compared {
  readonly what: string;
  readonly results: string;
  /** Null: progress does not count it. */
  readonly progress: string | null;
  readonly fileSystem: string;
  readonly isEqual: boolean;
}

const NAMED_PATHS = 20;

const pairs = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${formatCount(count)}`)
    .join(', ');

const sumOf = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((sum, n) => sum + n, 0);

const FAULT_TITLES = { kill: 'recovery from the kill', freeze: 'recovery from the freeze' } as const;

const faultRow = ({ kind, recoveredMs, story }: FaultSummary): [string, string, string] => [
  FAULT_TITLES[kind],
  recoveredMs === null ? 'never' : formatSeconds(recoveredMs),
  story,
];

/** The table of the run: a title, a number, and what it is made of. */
export const runTable = ({ outcome, workedMs, faults }: RunSummary): string[] => {
  const rate = workedMs === 0 ? 0 : (outcome.jobs * 1_000) / workedMs;
  const rows: (readonly [string, string, string])[] = [
    ['jobs', formatCount(outcome.jobs), pairs(outcome.byStatus)],
    ['attempts', formatCount(outcome.attempts), ''],
    ['lost leases', formatCount(outcome.lostLeases), ''],
    ['zombie calls refused', formatCount(sumOf(outcome.refusals)), pairs(outcome.refusals)],
    ['events', formatCount(outcome.events), ''],
    ['jobs/s', rate.toFixed(1), `in ${formatSeconds(workedMs)}`],
    ['compressed', formatBytes(outcome.compressedBytes), `of ${formatBytes(outcome.results.bytes)}`],
    ...(faults ?? []).map(faultRow),
  ];
  const numbers = columns(rows.map(([title, number]) => [title, number]));
  return rows.map(([, , note], at) => `  ${numbers[at] ?? ''}${note === '' ? '' : `   ${note}`}`);
};

const counted = (what: keyof CountedProgress, outcome: Outcome, fileSystem: Tally): Compared => ({
  what,
  results: formatCount(outcome.results[what]),
  progress: formatCount(outcome.progress[what]),
  fileSystem: formatCount(fileSystem[what]),
  isEqual: outcome.results[what] === fileSystem[what] && outcome.progress[what] === fileSystem[what],
});

export const compare = (outcome: Outcome, fileSystem: Tally): Compared[] => [
  counted('files', outcome, fileSystem),
  counted('bytes', outcome, fileSystem),
  counted('unreadable', outcome, fileSystem),
  counted('skipped', outcome, fileSystem),
  {
    what: 'digest',
    results: outcome.results.digest.slice(0, 16),
    progress: null,
    fileSystem: fileSystem.digest.slice(0, 16),
    isEqual: outcome.results.digest === fileSystem.digest,
  },
];

export const comparisonTable = (compared: readonly Compared[]): string[] =>
  columns([
    ['', 'results of jobs', 'progress of jobs', 'file system', ''],
    ...compared.map(({ what, results, progress, fileSystem, isEqual }) => [
      what,
      results,
      progress ?? '',
      fileSystem,
      isEqual ? 'equal' : 'DIFFERENT',
    ]),
  ]).map((line) => `  ${line}`);

/** Names what could not be read, and which jobs have no result. */
export const remarks = ({ failures, unreadablePaths, results }: Outcome): string[] => {
  const unnamed = results.unreadable - Math.min(unreadablePaths.length, NAMED_PATHS);
  return [
    ...failures.map((failure) => `  not completed: ${printable(failure)}`),
    ...unreadablePaths.slice(0, NAMED_PATHS).map((path) => `  unreadable: ${printable(path)}`),
    ...(unnamed > 0 ? [`  and ${formatCount(unnamed)} more that could not be read`] : []),
  ];
};
