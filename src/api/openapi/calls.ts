/**
 * Every call of the API in words: what it is for, what it answers, what it takes beside its body. The document is made
 * of this, of the controllers' routes and of the schemas that judge requests. A route that is missing here fails a test.
 */
import type { AnswerName } from '../answers/components.js';
import { OPERATOR_CALLS } from './operator-calls.js';
import { BULK_CALLS } from './bulk-calls.js';
import { UPKEEP_CALLS } from './upkeep-calls.js';
import { WORKER_CALLS } from './worker-calls.js';

export const TAGS = {
  Jobs: 'Create jobs, ask where they stand, and change what becomes of them.',
  Workers:
    'Claim jobs, keep their leases, and report how the work goes and ends. Each call carries the token of the claim.',
  History: 'What happened: every transition, fact and refusal, in order.',
  Streams:
    'Server-sent events that resume: the `id` of a frame is a position; give the last one as `Last-Event-ID`. Frames without an `id` are `caught-up`, `gap` and the snapshots of counters.',
  Operations: 'How the service itself is doing.',
} as const;

export interface CallDescription {
  /** What generated clients call it. */
  readonly id: string;
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  readonly description: string;
  /** What a success answers; `text` and `stream` are no JSON. */
  readonly answer: AnswerName | 'text' | 'stream';
  /** It may go on after its answer: then that is 202. */
  readonly accepted?: true;
  /** Takes `Idempotency-Key`, and `traceparent`. */
  readonly keyed?: true;
  /** Takes `X-Min-Position` and says `X-Position`; of a projection it may lag. */
  readonly fresh?: 'log' | 'projection';
  /** It is refused while the rows that it searches are made. */
  readonly searches?: true;
  /** A parameter of it is of a part that is not built. */
  readonly lacks?: true;
  /** A body that may be sent as it stands. */
  readonly example?: object;
}

const byClient = (id: string, summary: string, description: string, example: object = {}): CallDescription => ({
  ...{ id, tag: 'Jobs', summary, description, answer: 'CommandAnswer', keyed: true, example },
});
const question = (
  id: string,
  tag: keyof typeof TAGS,
  answer: CallDescription['answer'],
  summary: string,
  description: string,
): CallDescription => ({ id, tag, summary, description, answer, fresh: 'log' });
const operation = (id: string, answer: CallDescription['answer'], summary: string, description: string) =>
  ({ id, tag: 'Operations', answer, summary, description }) as const;

/** By method and path. */
export const CALLS: Readonly<Record<string, CallDescription>> = {
  'POST /v1/jobs': {
    ...byClient(
      'createJob',
      'Create a job',
      'The job is queued at once, scheduled (`availableAt`, `delayMs`), or a draft (`autostart: false`). Answered once it is on disk.',
      { type: 'report', payload: { pages: ['a', 'b', 'c'] } },
    ),
  },
  'POST /v1/jobs/batch': {
    ...byClient(
      'createJobs',
      'Create many jobs',
      'Up to 1,000 jobs, all or none: a list, or a `template` with every combination of the values in `grid`, each merged into its `payload`; the last parameter varies fastest. Jobs that name no `correlationId` share one. An error names its entry: `jobs[3].type`.',
      {
        jobs: [{ type: 'report', payload: { pages: ['a'] } }],
      },
    ),
    answer: 'CreateJobsAnswer',
  },
  'GET /v1/jobs': {
    ...question(
      'listJobs',
      'Jobs',
      'JobPage',
      'List jobs',
      'Filters are ANDed, the values of one filter ORed. Newest first unless `sort` says otherwise.',
    ),
    lacks: true,
  },
  'GET /v1/dead-letters': question(
    'listDeadLetters',
    'Jobs',
    'JobPage',
    'List dead letters',
    'Jobs whose run was exhausted or failed for good, and that nobody has retried. `retry` gives one a new run.',
  ),
  'GET /v1/jobs/{id}': question(
    'getJob',
    'Jobs',
    'Job',
    'Read a job',
    'As it is now; as it was with `asOf` (`lease` and `deadline` are null then); or once it is terminal, with `waitMs`.',
  ),
  'POST /v1/jobs/{id}/start': byClient(
    'startJob',
    'Start a draft, or a claimed job',
    'Without a token a client moves a draft on. With one, the worker starts what it claimed with `start: false`.',
  ),
  'POST /v1/jobs/{id}/cancel': byClient(
    'cancelJob',
    'Cancel a job',
    'A job that nobody holds is cancelled at once. A worker is told with its next heartbeat (`directive: cancel`) and has `cancelLimitMs` to stop; `force` does not wait for it.',
    { reason: 'no longer needed' },
  ),
  'POST /v1/jobs/{id}/retry': byClient(
    'retryJob',
    'Give a job a new run',
    'Of a job that failed or was cancelled. Attempts count from 0 again; failures are kept.',
  ),
  'POST /v1/jobs/{id}/hold': byClient(
    'holdJob',
    'Hold a job',
    'A job that nobody has waits until `resume`. A worker is told with its next heartbeat (`directive: pause`); however its attempt ends, while the run goes on, the job waits then.',
  ),
  'POST /v1/jobs/{id}/resume': byClient(
    'resumeJob',
    'Resume a waiting job',
    'What it waited for has come: it is queued again.',
  ),
  'POST /v1/jobs/{id}/reschedule': byClient(
    'rescheduleJob',
    'Move a job in time',
    'Of a job that nobody holds: not before `availableAt`, or `delayMs` from now.',
    { delayMs: 60_000 },
  ),
  'POST /v1/jobs/{id}/priority': byClient(
    'setPriority',
    'Change the priority',
    'From −1000 to 1000; higher goes first. A job that a worker holds keeps its place.',
    { priority: 10 },
  ),
  ...WORKER_CALLS,
  ...BULK_CALLS,
  'GET /v1/jobs/{id}/events': question(
    'jobEvents',
    'History',
    'EventPage',
    'History of a job',
    'Transitions, facts and refusals by position.',
  ),
  'GET /v1/jobs/{id}/logs': question(
    'jobLogs',
    'History',
    'LogPage',
    'Log lines of a job',
    'As its workers wrote them, oldest first.',
  ),
  'GET /v1/events': question(
    'events',
    'History',
    'EventPage',
    'The whole log',
    'Every event in its one order, behind `after`. Positions have no gaps.',
  ),
  'GET /v1/streams/events': question(
    'streamEvents',
    'Streams',
    'stream',
    'Events, live',
    'From now, or behind `after` or `Last-Event-ID`. `event` is the type of the event, `data` a LedgerEvent, `id` its position.',
  ),
  'GET /v1/streams/jobs': question(
    'streamJobs',
    'Streams',
    'stream',
    'Jobs, live',
    '`event: job` with a whole Job as `data` at each change. After a resume, one frame for each job that changed since, as it is now.',
  ),
  'GET /v1/streams/counters': question(
    'streamCounters',
    'Streams',
    'stream',
    'Counters, live',
    '`event: counters` with Counters as `data`: a snapshot at each connect, then every change. Its frames have no `id`.',
  ),
  'GET /v1/jobs/{id}/stream': question(
    'streamJob',
    'Streams',
    'stream',
    'A job, live',
    'Its history from the first event, then what comes, as `/v1/streams/events`. With `until=terminal` it ends after the run has.',
  ),
  'GET /v1/counters': {
    ...question(
      'counters',
      'Operations',
      'Counters',
      'How many jobs stand where',
      'By status, queue and type, as of `position`.',
    ),
    fresh: 'projection',
    lacks: true,
  },
  'GET /v1/queues': {
    ...question('listQueues', 'Operations', 'QueuePage', 'List queues', 'Queues that ever had a job, by name.'),
    fresh: 'projection',
  },
  'GET /v1/queues/{name}': {
    ...question(
      'getQueue',
      'Operations',
      'Queue',
      'Read a queue',
      'Its depth, its oldest job, and how many of its jobs stand where.',
    ),
    fresh: 'projection',
  },
  'GET /v1/reaper': question(
    'reaper',
    'Operations',
    'ReaperStatus',
    'How the reaper is doing',
    'Of all processes: who leads, the last sweep, and the age of the most overdue job that nobody has reaped.',
  ),
  'POST /v1/admin/reaper/sweep': {
    ...operation(
      'sweep',
      'SweepReport',
      'Sweep now',
      'Handles all that was due when it was called, in any process. With `dryRun` it only says what it would do.',
    ),
    keyed: true,
    example: { dryRun: true },
  },
  'GET /v1/config': operation(
    'config',
    'ConfigView',
    'Settings in force',
    'Each with its value and where that came from; secrets are redacted.',
  ),
  ...OPERATOR_CALLS,
  ...UPKEEP_CALLS,
  'GET /health/live': operation('live', 'Live', 'Does the process live?', 'What it depends on is not asked.'),
  'GET /health/ready': operation(
    'ready',
    'Ready',
    'Can it serve?',
    '503 only when this process cannot serve: database, the log where it has a server of its own, schema, a projection that is far behind. A reaper in trouble is 200 `degraded`.',
  ),
  'GET /metrics': operation(
    'metrics',
    'text',
    'Metrics',
    'In the text format of Prometheus; all are named `jobledger_…`.',
  ),
};
