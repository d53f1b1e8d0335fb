/** `jobledger queues`: what waits where, and who comes for it. */
import type { JobledgerClient, Queue } from '../../client/client.js';
import { isAway, whyAway } from '../away.js';
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { type Column, renderTable } from '../table.js';
import type { Terminal } from '../terminal.js';
import { formatCount, formatDuration } from '../text.js';
import {
  absentees,
  type Asker,
  askersFor,
  askersOf,
  findHolders,
  isThere,
  mayBeBusy,
  mayBeMore,
  namesOf,
  stateOf,
} from './askers.js';
import { noteLag } from './lag.js';
import { totalOf } from './numbers.js';
import { LIST_OPTIONS, limitOf, noteMore, printJson, printLines, readList } from './pages.js';

interface Asked {
  readonly queue: Queue;
  readonly askers: readonly Asker[];
}

/** No letter of a name: what it marks waits in vain. `?`: somebody who is not told, or may be busy, may ask for it. */
const markOf = (type: string, askers: readonly Asker[]): string => {
  const own = askersFor(type, askers);
  if (own.some(isThere)) return '';
  return mayBeMore(askers) || mayBeBusy(own) ? '?' : '!';
};

/** Null: not known, and said so. Where the log is elsewhere queues can be read in its outage, jobs cannot. */
const holdersOf = async (ledger: JobledgerClient, terminal: Terminal, ids: readonly string[]) => {
  try {
    return await findHolders(ledger, ids);
  } catch (error) {
    if (!isAway(error)) throw error;
    terminal.note(`which of those who have not asked for 75 s are busy is not known: ${whyAway(error)}`);
    return null;
  }
};

const waitingTypes = ({ queue, askers }: Asked): string => {
  const types = Object.keys(queue.depthByType).map((type) => ({ type, mark: markOf(type, askers) }));
  const marked = types.filter(({ mark }) => mark !== '');
  const others = types.filter(({ mark }) => mark === '');
  return namesOf([...marked, ...others].map(({ type, mark }) => type + mark));
};

/** Null: any type. Those that bring what waits go first, else by who asked last. */
const typesAskedFor = ({ depthByType }: Queue, askers: readonly Asker[]): readonly (string | null)[] => {
  const types = [...new Set(askers.flatMap(({ types }): readonly (string | null)[] => types ?? [null]))];
  const waits = (type: string | null): boolean =>
    type === null ? Object.keys(depthByType).length > 0 : Object.hasOwn(depthByType, type);
  return [...types.filter(waits), ...types.filter((type) => !waits(type))];
};

const whoAsks = ({ queue, askers }: Asked): string => {
  if (askers.length === 0) return 'nobody asks';
  const asked = typesAskedFor(queue, askers).map((name) => {
    const own = askers.filter(({ types }) => (name === null ? types === null : types?.includes(name)));
    return `${name ?? 'any type'} (${stateOf(own)})`;
  });
  return namesOf(asked);
};

const COLUMNS: readonly Column<Asked>[] = [
  { title: 'QUEUE', value: ({ queue }) => queue.name, least: 8 },
  { title: 'CLAIMABLE', value: ({ queue }) => formatCount(queue.depth), align: 'right' },
  {
    title: 'OLDEST',
    value: ({ queue: { oldestAgeMs } }) => (oldestAgeMs === null ? '' : formatDuration(oldestAgeMs)),
    align: 'right',
    dispensable: 1,
  },
  {
    title: 'WAITING TYPES',
    value: waitingTypes,
    least: 13,
    dispensable: 2,
    style: (asked) => (waitingTypes(asked).includes('!') ? 'red' : null),
  },
  { title: 'WORKERS ASK FOR', value: whoAsks, least: 15, dispensable: 2 },
  { title: 'OLDEST JOB', value: ({ queue }) => queue.oldestJobId ?? '', dispensable: 3 },
  { title: 'JOBS', value: ({ queue }) => formatCount(totalOf(queue.byStatus)), align: 'right', dispensable: 2 },
];

export const queues = command({
  words: ['queues'],
  summary: 'the queues: how long the oldest job has waited, which types wait, and who asks for which',
  about:
    'A type with ! waits in vain: nobody who asks for it is there. WORKERS ASK FOR tells of each type, of those that wait first,\nwho asked for it last, and when, within a day: a worker that is busy asks when it has room again, one that has no jobs and\nhas not asked for 75 s is gone. The service tells of the last 20 who asked: with ? somebody else may ask for the type,\nor it is not known who is busy. How far the counts are behind the log is said on standard error when it is more than 2 s.',
  options: LIST_OPTIONS,
  asksService: true,
  examples: ['jobledger queues', "jobledger queues --all --json | jq '.[] | {name, depth, depthByType, claimers}'"],
  run: async ({ values, terminal, ledger }) => {
    const listed = await readList(ledger, limitOf(values), (page) => ledger.queues(page));
    if (values.flag('json')) await printJson(terminal, listed.items);
    else if (listed.items.length === 0) terminal.note('there are no queues yet');
    else {
      const now = Date.now();
      const holders = await holdersOf(ledger, terminal, absentees(listed.items, now));
      const rows = listed.items.map((queue) => ({ queue, askers: askersOf(queue, holders, now) }));
      await printLines(terminal, renderTable(COLUMNS, rows, terminal));
    }
    noteMore(terminal, listed);
    await noteLag(ledger, terminal);
    return EXIT.OK;
  },
});
