/** `jobledger jobs list` and `jobledger dead-letters`. */
import type { Job, JobSort } from '../../client/client.js';
import { type Call, command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { type Column, renderTable } from '../table.js';
import { ATTEMPT_HELP, formatInstant } from '../text.js';
import { formatError, jobColumns } from './job-columns.js';
import { JOB_FILTER_OPTIONS, readJobFilter } from './job-filter.js';
import { LIST_OPTIONS, limitOf, type Listed, noteMore, printJson, printLines, readList } from './pages.js';

const print = async (
  { values, terminal }: Call<'json'>,
  listed: Listed<Job>,
  columns: readonly Column<Job>[],
): Promise<number> => {
  if (values.flag('json')) await printJson(terminal, listed.items);
  else if (listed.items.length === 0) terminal.note('no such jobs');
  else await printLines(terminal, renderTable(columns, listed.items, terminal));
  noteMore(terminal, listed);
  return EXIT.OK;
};

export const jobsList = command({
  words: ['jobs', 'list'],
  summary: 'the jobs, the newest first',
  about: ATTEMPT_HELP,
  options: {
    ...JOB_FILTER_OPTIONS,
    worker: {
      value: 'WORKER',
      repeatable: true,
      help: 'that this worker has now; who had a job before, its history tells',
    },
    'error-code': { value: 'CODE', repeatable: true, help: 'that failed with this' },
    sort: { value: 'SORT', help: '-createdAt (default), createdAt, -statusSince, statusSince, -priority' },
    ...LIST_OPTIONS,
  },
  asksService: true,
  examples: [
    'jobledger jobs list --status running --status claimed --sort statusSince',
    "jobledger jobs list --queue mail --all --json | jq '.[].id'",
  ],
  run: async (call) => {
    const { values, ledger } = call;
    const filter = {
      ...readJobFilter(values),
      workerId: values.texts('worker'),
      errorCode: values.texts('error-code'),
      sort: values.text('sort') as JobSort | undefined,
    };
    const listed = await readList(ledger, limitOf(values), (page) => ledger.listJobs({ ...filter, ...page }));
    return print(call, listed, jobColumns(Date.now()));
  },
});

const deadColumns: readonly Column<Job>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'TYPE', value: ({ type }) => type, least: 8, dispensable: 2 },
  { title: 'QUEUE', value: ({ queue }) => queue, least: 8, dispensable: 3 },
  { title: 'FAILED', value: ({ failedAttempts }) => `${failedAttempts}`, align: 'right', dispensable: 4 },
  { title: 'ENDED (UTC)', value: ({ finishedAt }) => formatInstant(finishedAt), dispensable: 1 },
  { title: 'ERROR', value: ({ error }) => formatError(error), least: 12 },
];

export const deadLetters = command({
  words: ['dead-letters'],
  summary: 'jobs that failed for good and that nobody has retried',
  about:
    'Those whose worker failed them for good, or too often, and those that lost too many leases or were throttled too often.\nNot those that a stall rule ended (JobTimeout, WaitExpired) or that an operator failed: jobs list --status failed has all.',
  options: LIST_OPTIONS,
  asksService: true,
  examples: ['jobledger dead-letters', 'jobledger jobs retry ID --reason "fixed in 1.2"'],
  run: async (call) => {
    const { values, ledger } = call;
    const listed = await readList(ledger, limitOf(values), (page) => ledger.deadLetters(page));
    return print(call, listed, deadColumns);
  },
});
