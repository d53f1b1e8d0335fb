/** `jobledger jobs create`: one job, by hand. */
import type { CreateJob } from '../../client/client.js';
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { UsageError } from '../usage-error.js';
import { PRIORITY_OPTION, readPriority, readWhen, WHEN_OPTIONS } from './job-moves.js';
import { printJson } from './pages.js';

const jsonOf = (text: string | undefined): unknown => {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--payload: expected JSON, as '{"pages":["a"]}': ${(error as Error).message}`);
  }
};

export const jobsCreate = command({
  words: ['jobs', 'create'],
  summary: 'create a job',
  about: 'Prints its id. Fields that have no option here are those of POST /v1/jobs.',
  options: {
    type: { value: 'TYPE', help: 'what kind of work it is' },
    queue: { value: 'QUEUE', help: 'where it waits (default)' },
    payload: { value: 'JSON', help: 'what the worker needs' },
    priority: PRIORITY_OPTION,
    tag: { value: 'TAG', repeatable: true, help: 'to find it by' },
    ...WHEN_OPTIONS,
    'max-attempts': { value: 'N', help: 'failed attempts that end a run' },
    draft: { help: 'nobody gets it until `jobs start`' },
    reason: { value: 'TEXT', help: 'why: it is kept in the event' },
    json: { help: 'the answer as the service gave it' },
  },
  asksService: true,
  examples: [
    `jobledger jobs create --type report --payload '{"pages":["a","b"]}'`,
    'jobledger jobs create --type report --payload "$(cat payload.json)" --delay-ms 60000',
  ],
  run: async ({ values, terminal, ledger }) => {
    const type = values.text('type');
    if (type === undefined) throw new UsageError('Give --type');
    const job: CreateJob = {
      ...{ type, queue: values.text('queue'), payload: jsonOf(values.text('payload')) },
      ...{ priority: readPriority(values), tags: values.texts('tag'), ...readWhen(values) },
      maxAttempts: values.whole('max-attempts', 1, 100),
      ...(values.flag('draft') && { autostart: false }),
      reason: values.text('reason'),
    };
    const answer = await ledger.createJob(job);
    if (values.flag('json')) await printJson(terminal, answer);
    else await terminal.line(answer.jobId);
    return EXIT.OK;
  },
});
