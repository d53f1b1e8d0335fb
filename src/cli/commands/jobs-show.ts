/** `jobledger jobs show`: everything that is known of one job. */
import type { Job } from '../../client/client.js';
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { renderFields, renderTable } from '../table.js';
import type { Terminal } from '../terminal.js';
import { formatInstant } from '../text.js';
import { formatError, formatProgress, statusStyle } from './job-columns.js';
import { jobIdsOf } from './job-ids.js';
import { printJson, printLines } from './pages.js';

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

const leaseOf = ({ lease }: Job): string | null => {
  if (lease === null) return null;
  const state = lease.workerState === null ? '' : `, ${lease.workerState}`;
  return `${lease.workerId}${state}, until ${formatInstant(lease.expiresAt)}, last call ${formatInstant(lease.lastBeatAt)}`;
};

const waitOf = ({ waiting }: Job): string | null => {
  if (waiting === null) return null;
  return `${waiting.reason}, since ${formatInstant(waiting.since)}${waiting.until === null ? '' : `, until ${formatInstant(waiting.until)}`}`;
};

const deadlineOf = ({ deadline }: Job): string | null =>
  deadline === null ? null : `${deadline.rule} at ${formatInstant(deadline.at)}`;

const fieldsOf = (job: Job): (readonly [string, string | null])[] => [
  ['id', job.id],
  ['status', `${job.status}, since ${formatInstant(job.statusSince)}${job.deadLettered ? ', a dead letter' : ''}`],
  ['type', job.type],
  ['queue', job.queue],
  ['priority', `${job.priority}`],
  ['tags', job.tags.join(', ')],
  ['run, attempt', `${job.run}, ${job.attempt}`],
  ['failed attempts', `${job.failedAttempts} of ${job.maxAttempts}`],
  ['lost leases', job.lostLeases === 0 ? null : `${job.lostLeases}`],
  ['throttles', job.throttles === 0 ? null : `${job.throttles}`],
  ['lease', leaseOf(job)],
  ['waits for', waitOf(job)],
  ['deadline', deadlineOf(job)],
  ['progress', formatProgress(job.progress)],
  ['message', job.progress.message],
  ['error', formatError(job.error)],
  ['created at', `${formatInstant(job.createdAt)} by ${job.createdBy}`],
  ['available at', formatInstant(job.availableAt)],
  ['queued at', formatInstant(job.queuedAt)],
  ['started at', formatInstant(job.startedAt)],
  ['last work', formatInstant(job.lastActivityAt)],
  ['ended at', formatInstant(job.finishedAt)],
  ['correlation', job.correlationId],
  ['revision', `${job.revision}, position ${job.position}`],
  ['payload', json(job.payload)],
  ['result', json(job.result)],
];

const linesOf = (job: Job, terminal: Terminal): string[] => {
  const fields = renderFields(fieldsOf(job), terminal);
  const style = statusStyle(job);
  const lines = fields.map((line, at) => (at === 1 && style !== null ? terminal.style(style, line) : line));
  if (job.failures.length === 0) return lines;
  const failures = renderTable(
    [
      { title: 'RUN', value: ({ run }) => `${run}`, align: 'right' },
      { title: 'ATTEMPT', value: ({ attempt }) => `${attempt}`, align: 'right' },
      { title: 'FAILED AT (UTC)', value: ({ at }) => formatInstant(at), dispensable: 1 },
      { title: 'ERROR', value: ({ code, message }) => `${code}: ${message}`, least: 12 },
    ],
    job.failures,
    terminal,
  );
  return [...lines, '', ...failures];
};

export const jobsShow = command({
  words: ['jobs', 'show'],
  summary: 'one job, as it is or as it was',
  positionals: { usage: 'JOB', min: 1, max: 1 },
  options: {
    'as-of': { value: 'WHEN', help: 'as it was at a position of the log, or at a time' },
    json: { help: 'the job as the service has it' },
  },
  asksService: true,
  examples: ['jobledger jobs show 019a2b3c-…', 'jobledger jobs show 019a2b3c-… --as-of 2026-01-31T12:00:00Z --json'],
  run: async ({ values, terminal, ledger }) => {
    const asOf = values.text('as-of');
    const [jobId = ''] = jobIdsOf(values);
    const job = await ledger.getJob(jobId, asOf === undefined ? {} : { asOf });
    if (values.flag('json')) await printJson(terminal, job);
    else await printLines(terminal, linesOf(job, terminal));
    return EXIT.OK;
  },
});
