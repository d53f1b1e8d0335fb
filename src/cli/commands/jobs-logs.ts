/** `jobledger jobs logs`: what workers wrote about a job. */
import type { LogRow } from '../../client/client.js';
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { type Column, renderTable } from '../table.js';
import { formatInstant } from '../text.js';
import { jobIdsOf } from './job-ids.js';
import { LIST_OPTIONS, limitOf, noteMore, printJson, printLines, readList } from './pages.js';

const COLUMNS: readonly Column<LogRow>[] = [
  { title: 'AT (UTC)', value: ({ at }) => formatInstant(at ?? null), dispensable: 2 },
  { title: 'WORKER', value: ({ workerId }) => workerId ?? '', least: 8, dispensable: 3 },
  { title: 'ATTEMPT', value: ({ attempt }) => `${attempt}`, align: 'right', dispensable: 4 },
  {
    title: 'LEVEL',
    value: ({ level }) => level,
    style: ({ level }) => (level === 'error' || level === 'fatal' ? 'red' : null),
  },
  { title: 'MESSAGE', value: ({ message }) => message, least: 12 },
  { title: 'FIELDS', value: ({ fields }) => (fields === null ? '' : JSON.stringify(fields)), least: 8, dispensable: 1 },
];

export const jobsLogs = command({
  words: ['jobs', 'logs'],
  summary: 'what workers wrote about a job',
  positionals: { usage: 'JOB', min: 1, max: 1 },
  options: LIST_OPTIONS,
  asksService: true,
  examples: ['jobledger jobs logs 019a2b3c-…', 'jobledger jobs logs 019a2b3c-… --all --json'],
  run: async ({ values, terminal, ledger }) => {
    const [jobId = ''] = jobIdsOf(values);
    const listed = await readList(ledger, limitOf(values), (page) => ledger.jobLogs(jobId, page));
    if (values.flag('json')) await printJson(terminal, listed.items);
    else if (listed.items.length === 0) terminal.note('no lines');
    else await printLines(terminal, renderTable(COLUMNS, listed.items, terminal));
    noteMore(terminal, listed);
    return EXIT.OK;
  },
});
