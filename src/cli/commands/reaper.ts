/** `jobledger reaper status` and `jobledger reaper sweep`. */
import type { SweepReport } from '../../client/client.js';
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { renderFields, renderTable } from '../table.js';
import { formatDuration, formatInstant } from '../text.js';
import { printJson, printLines } from './pages.js';

const SWEEP_LIMIT_MS = 300_000;
/** A reaper that is well handles a job within a second or two of its deadline. */
const LATE_MS = 10_000;

const told = (report: SweepReport): string => {
  const counts: readonly (readonly [string, number])[] = [
    ['reaped', report.reaped],
    ['requeued', report.requeued],
    ['cancelled', report.cancelled],
    ['moved', report.moved],
    ['finalised', report.finalised],
    ['still alive', report.skippedLive],
    ['raced', report.raced],
    ['errors', report.errors],
  ];
  const named = counts.filter(([, count]) => count > 0).map(([name, count]) => `${name} ${count}`);
  const what = named.length === 0 ? 'nothing to do' : named.join(', ');
  return `${report.dryRun ? 'Would do: ' : ''}${report.due} due: ${what} (${formatDuration(report.durationMs)})`;
};

export const reaperSweep = command({
  words: ['reaper', 'sweep'],
  summary: 'handle all that is due now',
  about:
    'The reaper does so by itself; this is for now, and for looking (--dry-run). Exit code 1 when a job could not be judged.',
  options: {
    'dry-run': { help: 'say what would be done, and do nothing' },
    json: { help: 'the report as the service has it' },
  },
  asksService: true,
  isKeyed: true,
  examples: ['jobledger reaper sweep --dry-run'],
  run: async ({ values, terminal, ledger, connection, idempotencyKey }) => {
    const dryRun = values.flag('dry-run');
    const timeoutMs = connection.timeoutMs ?? SWEEP_LIMIT_MS;
    const report = await ledger.sweep({ dryRun }, { deadlineMs: 0, timeoutMs, idempotencyKey });
    if (values.flag('json')) await printJson(terminal, report);
    else {
      await terminal.line(told(report));
      const columns = [
        { title: 'JOB', value: ({ jobId }: SweepReport['jobs'][number]) => jobId },
        { title: 'RULE', value: ({ rule }: SweepReport['jobs'][number]) => rule, least: 8 },
        { title: 'VERDICT', value: ({ verdict }: SweepReport['jobs'][number]) => verdict, least: 8 },
      ];
      if (report.jobs.length > 0) await printLines(terminal, renderTable(columns, report.jobs, terminal));
    }
    return report.errors === 0 ? EXIT.OK : EXIT.REFUSED;
  },
});

export const reaperStatus = command({
  words: ['reaper', 'status'],
  summary: 'whether jobs that stop moving are found',
  about: 'Exit code 1 when no reaper is alive, its last sweep failed, or a job is overdue for more than 10 s.',
  options: { json: { help: 'the status as the service has it' } },
  asksService: true,
  examples: ['jobledger reaper status || page-somebody'],
  run: async ({ values, terminal, ledger }) => {
    const status = await ledger.reaper();
    if (values.flag('json')) await printJson(terminal, status);
    else {
      const fields: readonly (readonly [string, string | null])[] = [
        ['alive', status.alive ? 'yes' : 'NO'],
        ['leader', status.leader ?? 'none'],
        ['sweeps', `${status.sweeps}, the last at ${formatInstant(status.lastSweepAt)}`],
        ['overdue', `${status.overdue} jobs, the most overdue for ${formatDuration(status.mostOverdueMs)}`],
        ['errors', status.lastError === null ? null : `${status.consecutiveErrors} in a row: ${status.lastError}`],
      ];
      await printLines(terminal, renderFields(fields, terminal));
    }
    const isWell = status.alive && status.consecutiveErrors === 0 && status.mostOverdueMs <= LATE_MS;
    return isWell ? EXIT.OK : EXIT.REFUSED;
  },
});
