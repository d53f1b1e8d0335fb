/** `jobledger counters`: how many jobs stand where. */
import type { Counters, StatusCounts } from '../../client/client.js';
import { JOB_STATUSES } from '../../domain/job-chart.js';
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { type Column, renderTable } from '../table.js';
import { formatCount } from '../text.js';
import { UsageError } from '../usage-error.js';
import { noteLag } from './lag.js';
import { printJson, printLines } from './pages.js';

interface Named {
  readonly name: string;
  readonly counts: StatusCounts;
}

export const totalOf = (counts: StatusCounts): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

/** A column for each status that any row has. */
const statusColumns = (rows: readonly Named[]): Column<Named>[] =>
  JOB_STATUSES.filter((status) => rows.some(({ counts }) => (counts[status] ?? 0) > 0)).map((status) => ({
    title: status.toUpperCase(),
    value: ({ counts }) => formatCount(counts[status] ?? 0),
    align: 'right',
    dispensable: 1,
  }));

const BY = ['status', 'queue', 'type'];

const rowsOf = (counters: Counters, by: string): readonly Named[] => {
  const groups = by === 'queue' ? counters.byQueue : by === 'type' ? counters.byType : {};
  const all = { name: 'all', counts: counters.byStatus };
  return [...Object.entries(groups).map(([name, counts]) => ({ name, counts })), all];
};

export const counters = command({
  words: ['counters'],
  summary: 'how many jobs there are, by status',
  options: {
    by: { value: 'WHAT', help: 'a row for each queue, or type (status: all in one row)' },
    json: { help: 'the counters as the service has them' },
  },
  asksService: true,
  examples: ['jobledger counters', 'jobledger counters --by queue'],
  run: async ({ values, terminal, ledger }) => {
    const by = values.text('by') ?? 'status';
    if (!BY.includes(by)) throw new UsageError(`--by: expected one of ${BY.join(', ')}, not "${by}"`);
    const found = await ledger.counters();
    if (values.flag('json')) {
      await printJson(terminal, found);
      await noteLag(ledger, terminal);
      return EXIT.OK;
    }
    const rows = rowsOf(found, by);
    const columns: Column<Named>[] = [
      { title: by.toUpperCase(), value: ({ name }) => name, least: 8 },
      { title: 'JOBS', value: ({ counts }) => formatCount(totalOf(counts)), align: 'right' },
      ...statusColumns(rows),
    ];
    await printLines(terminal, renderTable(columns, rows, terminal));
    terminal.note(`as of position ${found.position}, ${formatCount(found.events)} events`);
    await noteLag(ledger, terminal);
    return EXIT.OK;
  },
});
