/** `jobledger events tail` and `jobledger jobs tail`: what happens, as it happens. */
import type { Job, LedgerEvent } from '../../client/client.js';
import { nearName } from '../../config/near-name.js';
import { EVENT_TYPES } from '../../domain/upcast.js';
import { type Call, command } from '../command.js';
import { TIMEOUT_MS } from '../connection.js';
import type { Terminal } from '../terminal.js';
import { formatInstant } from '../text.js';
import { UsageError } from '../usage-error.js';
import { eventColumns } from './event-columns.js';
import { FOLLOW_OPTIONS, type Followed, followStream } from './follow.js';
import { jobColumns, statusStyle } from './job-columns.js';
import { JOB_FILTER_OPTIONS, readJobFilter } from './job-filter.js';
import { printJsonLine } from './pages.js';
import { type StreamColumn, streamRow } from './stream-rows.js';

const WIDTHS: Readonly<Record<string, number>> = {
  POSITION: 9,
  'AT (UTC)': 23,
  JOB: 36,
  EVENT: 17,
  STATUS: 20,
  ATTEMPT: 3,
  BY: 20,
  WHY: 0,
};

const EVENT_COLUMNS: readonly StreamColumn<LedgerEvent>[] = eventColumns(true).map((column) => ({
  ...column,
  width: WIDTHS[column.title] ?? 0,
}));

const note = jobColumns(0).at(-1)?.value ?? (() => '');

const JOB_COLUMNS: readonly StreamColumn<Job>[] = [
  { value: ({ lastEventAt }) => formatInstant(lastEventAt), width: 23 },
  { value: ({ id }) => id, width: 36 },
  { value: ({ status }) => status, style: statusStyle, width: 10 },
  { value: ({ type }) => type, width: 16 },
  { value: ({ queue }) => queue, width: 16 },
  { value: note, width: 0 },
];

const MAX_LIMIT = 1_000_000_000;

const following = (values: Call<keyof typeof FOLLOW_OPTIONS>['values']) => {
  const after = values.text('after');
  if (after !== undefined && !/^\d{1,19}$/.test(after)) {
    throw new UsageError(`--after: expected a position, as 0 or 1234, not "${after}"`);
  }
  const limit = values.whole('limit', 1, MAX_LIMIT) ?? Infinity;
  return { after, limit, endsWhenCaughtUp: values.flag('no-follow') };
};

const shower =
  <T>(isJson: boolean, terminal: Terminal, columns: readonly StreamColumn<T>[]): Followed<T>['show'] =>
  (row) =>
    isJson ? printJsonLine(terminal, row) : terminal.line(streamRow(columns, row, terminal));

/** Said, not refused: the service may be newer than this program. */
const noteUnknown = (types: readonly string[], terminal: Terminal): void => {
  for (const type of types.flatMap((each) => each.split(','))) {
    if (EVENT_TYPES.some((known) => known === type)) continue;
    const near = nearName(type, EVENT_TYPES);
    const meant = near === undefined ? ': a' : `, did you mean ${near}? A`;
    terminal.note(`--event: no event ${type} is known${meant} newer service may have it`);
  }
};

export const eventsTail = command({
  words: ['events', 'tail'],
  summary: 'events as they are recorded',
  about:
    'After an outage it goes on behind the last event that it showed: none is missed, none comes twice. Options that\nspeak of jobs choose events of jobs that are so now.',
  options: {
    event: { value: 'EVENT', repeatable: true, help: 'of this type of event, as JobCompleted' },
    ...JOB_FILTER_OPTIONS,
    ...FOLLOW_OPTIONS,
    json: { help: 'one JSON document a line' },
  },
  asksService: true,
  examples: [
    'jobledger events tail --queue mail',
    'jobledger events tail --after 0 --no-follow --json > log.ndjson',
    "jobledger events tail --event JobFailed --event JobTimedOut --json | jq '.data.error'",
  ],
  run: ({ values, terminal, ledger, signal, connection }) => {
    const types = values.texts('event');
    noteUnknown(types ?? [], terminal);
    const filter = { ...readJobFilter(values), types };
    const open: Followed<LedgerEvent>['open'] = (after, options) => ledger.streamEvents({ ...filter, after }, options);
    const show = shower(values.flag('json'), terminal, EVENT_COLUMNS);
    return followStream({ open, show, ...following(values) }, terminal, signal, connection.timeoutMs ?? TIMEOUT_MS);
  },
});

export const jobsTail = command({
  words: ['jobs', 'tail'],
  summary: 'jobs as they change',
  about:
    'After an outage each job that changed meanwhile is shown once, as it is then. With --after 0: every job, in the order\nof its last change.',
  options: { ...JOB_FILTER_OPTIONS, ...FOLLOW_OPTIONS, json: { help: 'one JSON document a line' } },
  asksService: true,
  examples: ['jobledger jobs tail --type report', 'jobledger jobs tail --status failed --json'],
  run: ({ values, terminal, ledger, signal, connection }) => {
    const filter = readJobFilter(values);
    const open: Followed<Job>['open'] = (after, options) => ledger.streamJobs({ ...filter, after }, options);
    const show = shower(values.flag('json'), terminal, JOB_COLUMNS);
    return followStream({ open, show, ...following(values) }, terminal, signal, connection.timeoutMs ?? TIMEOUT_MS);
  },
});
