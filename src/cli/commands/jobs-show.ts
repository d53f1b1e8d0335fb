/** `jobledger jobs show`: everything that is known of one job. */
import { type Job, type JobledgerClient, ProblemError } from '../../client/client.js';
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { type Field, renderFields, renderTable } from '../table.js';
import type { Terminal } from '../terminal.js';
import { formatInstant } from '../text.js';
import { deadlineOf } from './deadline.js';
import { actorOf } from './event-columns.js';
import { formatError, formatProgress, statusStyle } from './job-columns.js';
import { jobIdsOf } from './job-ids.js';
import { printJson, printLines } from './pages.js';
import { whatItWaitedFor, whatItWaitsFor } from './waits-for.js';

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

const leaseOf = ({ lease }: Job): string | null => {
  if (lease === null) return null;
  const state = lease.workerState === null ? '' : `, ${lease.workerState}`;
  return `${lease.workerId}${state}, until ${formatInstant(lease.expiresAt)}, last call ${formatInstant(lease.lastBeatAt)}`;
};

/** What a client or an operator does to a job that somebody may ask for. */
const BY_HAND = ['CancelRequested', 'JobCancelled', 'JobHeld', 'JobWaiting', 'JobFailed', 'JobReleased'];
const LOOKED_AT = 100;

/** The last cancel, hold, requeue or failure by hand, among the last events. */
const lastByHand = async (ledger: JobledgerClient, jobId: string): Promise<string | null> => {
  const { items } = await ledger.jobEvents(jobId, { order: 'desc', limit: LOOKED_AT }).catch((error: unknown) => {
    // A reporter reads jobs, and not their history.
    if (error instanceof ProblemError && error.code === 'forbidden') return { items: [] };
    throw error;
  });
  const found = items.find(
    ({ type, actor }) => BY_HAND.includes(type) && (actor.type === 'operator' || actor.type === 'client'),
  );
  if (found === undefined) return null;
  const why = found.reason === null ? '' : `: ${found.reason}`;
  return `${found.type} at ${formatInstant(found.at)} by ${actorOf(found)}${why}`;
};

/** What is known of a job beside itself. */
interface Beside {
  readonly waitsFor: string | null;
  readonly byHand: string | null;
  readonly deadline: string | null;
}

const besideNow = async (ledger: JobledgerClient, job: Job): Promise<Beside> => {
  const now = Date.now();
  return {
    waitsFor: await whatItWaitsFor(ledger, job, now),
    byHand: await lastByHand(ledger, job.id),
    deadline: await deadlineOf(ledger, job, now),
  };
};

/** Of then only the job itself is known. */
const besideThen = (job: Job): Beside => ({ waitsFor: whatItWaitedFor(job), byHand: null, deadline: null });

const fieldsOf = (job: Job, { waitsFor, byHand, deadline }: Beside): Field[] => [
  ['id', job.id],
  [
    'status',
    `${job.status}, since ${formatInstant(job.statusSince)}${job.deadLettered ? ', a dead letter' : ''}`,
    statusStyle(job),
  ],
  ['type', job.type],
  ['queue', job.queue],
  ['priority', `${job.priority}`],
  ['tags', job.tags.join(', ')],
  ['run, attempt', `${job.run}, ${job.attempt}`],
  ['failed attempts', `${job.failedAttempts} of ${job.maxAttempts}`],
  ['lost leases', job.lostLeases === 0 ? null : `${job.lostLeases}`],
  ['throttles', job.throttles === 0 ? null : `${job.throttles}`],
  ['lease', leaseOf(job)],
  ['waits for', waitsFor],
  ['directive', job.directive === null ? null : `${job.directive}: its worker has yet to heed it`],
  ['deadline', deadline],
  ['progress', formatProgress(job.progress)],
  ['message', job.progress.message],
  ['error', formatError(job.error)],
  ['by hand', byHand],
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

const linesOf = (job: Job, beside: Beside, terminal: Terminal): string[] => {
  const lines = renderFields(fieldsOf(job, beside), terminal);
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
  summary: 'one job, as it is or as it was, and why it does not move',
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
    else {
      const beside = asOf === undefined ? await besideNow(ledger, job) : besideThen(job);
      await printLines(terminal, linesOf(job, beside, terminal));
    }
    return EXIT.OK;
  },
});
