/** What a replay prints: what is in the log, and how the ledger compares. */
import type { JobStatus, StatusCounts } from '../../client/client.js';
import { columns, formatCount, formatDuration, formatSeconds, printable } from '../text.js';
import type { LedgerTotals } from './ledger-totals.js';
import { mostAtOnce } from './most-at-once.js';
import type { WorkerKill } from './worker-kill.js';
import { isCancelledBeforeItRan, STATUS_OF } from './replayed-job.js';
import type { Ending, Totals, Workload } from './workload.js';

/** One number as the log, the counters and the jobs have it. */
export interface Compared {
  readonly what: string;
  readonly log: string;
  /** Null: the counters do not count it. */
  readonly counters: string | null;
  readonly jobs: string;
  readonly isEqual: boolean;
}

const sumOf = (counts: StatusCounts): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

/** How many jobs of the log are to end there. */
const expectedBy = ({ byEnding }: Totals): Map<JobStatus, number> => {
  const expected = new Map<JobStatus, number>();
  for (const [ending, count] of Object.entries(byEnding)) {
    const status = STATUS_OF[ending as Ending];
    expected.set(status, (expected.get(status) ?? 0) + count);
  }
  return expected;
};

const row = (what: string, log: number, counters: number, jobs: number): Compared => ({
  what,
  log: formatCount(log),
  counters: formatCount(counters),
  jobs: formatCount(jobs),
  isEqual: log === counters && log === jobs,
});

export const compareTotals = (totals: Totals, ledger: LedgerTotals): Compared[] => {
  const expected = expectedBy(totals);
  const statuses = new Set([...expected.keys(), ...Object.keys(ledger.counters), ...Object.keys(ledger.byStatus)]);
  const ofStatus = ([...statuses] as JobStatus[])
    .map((status) => {
      const counters = ledger.counters[status] ?? 0;
      return row(status, expected.get(status) ?? 0, counters, ledger.byStatus[status] ?? 0);
    })
    .filter(({ log, counters, jobs }) => log !== '0' || counters !== '0' || jobs !== '0');
  return [
    row('jobs', totals.jobs, sumOf(ledger.counters), ledger.jobs),
    ...ofStatus,
    {
      what: 'run seconds',
      log: formatCount(totals.runSeconds),
      counters: null,
      jobs: formatCount(ledger.runSeconds),
      isEqual: totals.runSeconds === ledger.runSeconds,
    },
  ];
};

export const comparisonLines = (compared: readonly Compared[]): string[] =>
  columns([
    ['', 'log', 'counters', 'jobs read', ''],
    ...compared.map(({ what, log, counters, jobs, isEqual }) => [
      ...[what, log, counters ?? '', jobs],
      isEqual ? 'equal' : 'DIFFERENT',
    ]),
  ]).map((line) => `  ${line}`);

export const differenceLines = ({ differences: { count, first } }: LedgerTotals): string[] => [
  ...first.map((difference) => `  ${printable(difference)}`),
  ...(count > first.length ? [`  and ${formatCount(count - first.length)} more`] : []),
];

const counted = (count: number, what: string): string[] => (count === 0 ? [] : [`${formatCount(count)} ${what}`]);

/** What is in the log, before anything is done with it. */
export const workloadLines = ({ jobs, totals, unknown, parts, outOfOrder, header, isCut }: Workload): string[] => {
  const { byEnding, runSeconds } = totals;
  const [first, last] = [jobs[0]?.submit ?? 0, jobs.at(-1)?.submit ?? 0];
  const beforeTheyRan = jobs.filter(isCancelledBeforeItRan).length;
  const endings = [
    `${formatCount(byEnding.completed)} completed`,
    `${formatCount(byEnding.failed)} failed`,
    `${formatCount(byEnding.cancelled)} cancelled (${formatCount(beforeTheyRan)} before they ran)`,
    ...counted(byEnding.unknown, 'whose end is not known, played as completed'),
  ];
  const oddities = [
    ...counted(parts, 'lines are parts of jobs'),
    ...counted(unknown.submit, 'jobs without a submit time: that of the job above'),
    ...counted(unknown.wait, 'without a wait time and'),
    ...counted(unknown.run, 'without a run time: they count as 0'),
    ...counted(outOfOrder, 'submitted before the job above them'),
  ];
  const claimed = Number(header.get('MaxJobs'));
  const claims = !isCut && Number.isInteger(claimed) && claimed > 0 && claimed !== totals.jobs;
  return [
    `${formatCount(totals.jobs)} jobs submitted in ${formatDuration((last - first) * 1_000)}, up to ${formatCount(mostAtOnce(jobs))} running at once, ${formatCount(runSeconds)} s of run time`,
    endings.join(', '),
    ...(oddities.length === 0 ? [] : [oddities.join('; ')]),
    ...(isCut ? ['the file has more jobs: --limit left them out'] : []),
    ...(claims ? [`the header says MaxJobs ${formatCount(claimed)}, and ${formatCount(totals.jobs)} were read`] : []),
  ];
};

/** Every line that is none, by its number. */
export const malformedLines = ({ malformed: { count, first } }: Workload): string[] => {
  if (count === 0) return [];
  return [
    `${formatCount(count)} malformed ${count === 1 ? 'line is' : 'lines are'} left out:`,
    ...first.map(({ line, reason }) => `  line ${line}: ${printable(reason)}`),
    ...(count > first.length ? [`  and ${formatCount(count - first.length)} more`] : []),
  ];
};

export const runLines = (
  ledger: LedgerTotals,
  workedMs: number,
  kill: Pick<WorkerKill, 'recoveredMs'> | null,
): string[] =>
  columns([
    ['jobs/s', workedMs === 0 ? '' : ((ledger.jobs * 1_000) / workedMs).toFixed(0)],
    ['took', formatSeconds(workedMs)],
    ['attempts', formatCount(ledger.attempts)],
    ['lost leases', formatCount(ledger.lostLeases)],
    ...(kill?.recoveredMs == null ? [] : [['recovery from the kill', formatSeconds(kill.recoveredMs)]]),
  ]).map((line) => `  ${line}`);
