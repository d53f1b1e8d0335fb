/** `jobledger jobs history`: what happened to one job, refusals included. */
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { renderTable } from '../table.js';
import { ATTEMPT_HELP } from '../text.js';
import { eventColumns } from './event-columns.js';
import { jobIdsOf } from './job-ids.js';
import { LIST_OPTIONS, limitOf, noteMore, printJson, printLines, readList } from './pages.js';

export const jobsHistory = command({
  words: ['jobs', 'history'],
  summary: 'what happened to a job',
  about: ATTEMPT_HELP,
  positionals: { usage: 'JOB', min: 1, max: 1 },
  options: { desc: { help: 'the last first' }, ...LIST_OPTIONS },
  asksService: true,
  examples: ['jobledger jobs history 019a2b3c-…', 'jobledger jobs history 019a2b3c-… --desc --limit 5'],
  run: async ({ values, terminal, ledger }) => {
    const [jobId = ''] = jobIdsOf(values);
    const order = values.flag('desc') ? 'desc' : 'asc';
    const listed = await readList(ledger, limitOf(values), (page) => ledger.jobEvents(jobId, { order, ...page }));
    if (values.flag('json')) await printJson(terminal, listed.items);
    else await printLines(terminal, renderTable(eventColumns(false), listed.items, terminal));
    noteMore(terminal, listed);
    return EXIT.OK;
  },
});
