/** `jobledger counters` and `jobledger queues`: how many jobs stand where. */
import type { Counters, Queue, StatusCounts } from '../../client/client.js';
import { JOB_STATUSES } from '../../domain/job-chart.js';
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { type Column, renderTable } from '../table.js';
import { formatCount, formatDuration } from '../text.js';
import { UsageError } from '../usage-error.js';
import { LIST_OPTIONS, limitOf, noteMore, printJson, printLines, readList } from './pages.js';

interface Named {
  readonly name: string;
  readonly counts: StatusCounts;
}

const totalOf = (counts: StatusCounts): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

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
    return EXIT.OK;
  },
});

/** The first of them: a cell is no list. */
const namesOf = (names: readonly string[]): string =>
  names.length > MAX_NAMES ? `${names.slice(0, MAX_NAMES).join(', ')} …` : names.join(', ');

const MAX_NAMES = 3;

const asksOf = (claimers: Queue['claimers']): string => {
  if (claimers.length === 0) return 'nobody asks';
  if (claimers.some(({ types }) => types === null)) return 'any type';
  return namesOf([...new Set(claimers.flatMap(({ types }) => types ?? []))]);
};

const QUEUE_COLUMNS: readonly Column<Queue>[] = [
  { title: 'QUEUE', value: ({ name }) => name, least: 8 },
  { title: 'CLAIMABLE', value: ({ depth }) => formatCount(depth), align: 'right' },
  {
    title: 'OLDEST',
    value: ({ oldestAgeMs }) => (oldestAgeMs === null ? '' : formatDuration(oldestAgeMs)),
    align: 'right',
    dispensable: 1,
  },
  { title: 'WAITING TYPES', value: ({ depthByType }) => namesOf(Object.keys(depthByType)), dispensable: 2 },
  { title: 'WORKERS ASK FOR', value: ({ claimers }) => asksOf(claimers), dispensable: 2 },
  { title: 'OLDEST JOB', value: ({ oldestJobId }) => oldestJobId ?? '', dispensable: 3 },
  { title: 'JOBS', value: ({ byStatus }) => formatCount(totalOf(byStatus)), align: 'right', dispensable: 2 },
];

export const queues = command({
  words: ['queues'],
  summary: 'the queues: how long the oldest job has waited, which types wait, and which are asked for',
  options: LIST_OPTIONS,
  asksService: true,
  examples: ['jobledger queues'],
  run: async ({ values, terminal, ledger }) => {
    const listed = await readList(ledger, limitOf(values), (page) => ledger.queues(page));
    if (values.flag('json')) await printJson(terminal, listed.items);
    else if (listed.items.length === 0) terminal.note('there are no queues yet');
    else await printLines(terminal, renderTable(QUEUE_COLUMNS, listed.items, terminal));
    noteMore(terminal, listed);
    return EXIT.OK;
  },
});
