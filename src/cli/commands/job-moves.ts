/** Commands on jobs that an operator gives by hand: `cancel`, `retry`, `requeue` and such. */
import type {
  CommandAnswer,
  CommandOptions,
  JobledgerClient,
  WithAvailability,
  WithReason,
} from '../../client/client.js';
import { ProblemError, UnavailableError } from '../../client/client.js';
import { type Command, command, type Option } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { UsageError } from '../usage-error.js';
import type { Values } from '../values.js';
import { jobIdsOf } from './job-ids.js';
import { printJsonLine } from './pages.js';

interface Move<Name extends string> {
  readonly name: string;
  readonly summary: string;
  readonly options: Readonly<Record<Name, Option>>;
  /** What its example gives beside the job. */
  readonly arguments?: string;
  readonly send: (
    ledger: JobledgerClient,
    jobId: string,
    body: WithReason,
    options: CommandOptions,
    values: Values<Name>,
  ) => Promise<CommandAnswer>;
}

const MOST = 1_000;

const move = <Name extends string>({ name, summary, options, arguments: given, send }: Move<Name>): Command =>
  command<string>({
    words: ['jobs', name],
    summary,
    about: 'Of several jobs each is asked for; when one is refused the others go on, and the exit code is 1.',
    positionals: { usage: 'JOB…', min: 1, max: MOST },
    options: {
      ...options,
      reason: { value: 'TEXT', help: 'why: it is kept in the event' },
      json: { help: 'one JSON document a line: the answers, or the problems' },
    },
    asksService: true,
    isKeyed: true,
    examples: [
      `jobledger jobs ${name} 019a2b3c-…${given === undefined ? '' : ` ${given}`} --reason "asked for by Ann"`,
    ],
    run: async ({ values, terminal, ledger, idempotencyKey }) => {
      const isJson = values.flag('json');
      let code: number = EXIT.OK;
      for (const jobId of jobIdsOf(values)) {
        try {
          // Of each job one of its own, the same one however many are named.
          const options = { idempotencyKey: `${idempotencyKey}/${jobId}` };
          const answer = await send(ledger, jobId, { reason: values.text('reason') }, options, values);
          const what = answer.events.length === 0 ? 'already so' : answer.events.join(', ');
          if (isJson) await printJsonLine(terminal, answer);
          else await terminal.line(`${answer.jobId}  ${answer.status}  ${what}`);
        } catch (error) {
          if (!(error instanceof ProblemError) || error instanceof UnavailableError) throw error;
          if (isJson) await printJsonLine(terminal, { jobId, problem: error.problem });
          else terminal.note(`${jobId}: ${error.detail} (${error.code})`);
          code = EXIT.REFUSED;
        }
      }
      return code;
    },
  });

/** When jobs may be claimed: the service says what it takes. */
export const WHEN_OPTIONS = {
  'available-at': { value: 'TIME', help: 'not before this time, as 2026-01-31T12:00:00Z' },
  'delay-ms': { value: 'MS', help: 'not before so many milliseconds have passed' },
} as const satisfies Record<string, Option>;

const MAX_DELAY_MS = 315_360_000_000;

export const readWhen = (values: Values<keyof typeof WHEN_OPTIONS>): WithAvailability => ({
  availableAt: values.text('available-at'),
  delayMs: values.whole('delay-ms', 0, MAX_DELAY_MS),
});

export const PRIORITY_OPTION = { value: 'N', help: 'from -1000 to 1000, higher goes first' } as const satisfies Option;

export const readPriority = (values: Values<'priority'>): number | undefined => values.whole('priority', -1_000, 1_000);

export const jobMoves: readonly Command[] = [
  move({
    name: 'start',
    summary: 'let drafts be worked on',
    options: {},
    send: (ledger, jobId, body, options) => ledger.start(jobId, body, options),
  }),
  move({
    name: 'reschedule',
    summary: 'say anew when jobs may be claimed',
    options: WHEN_OPTIONS,
    arguments: '--delay-ms 60000',
    send: (ledger, jobId, body, options, values) => {
      const when = readWhen(values);
      if ((when.availableAt === undefined) === (when.delayMs === undefined))
        throw new UsageError('Give one of --available-at and --delay-ms');
      return ledger.reschedule(jobId, { ...body, ...when }, options);
    },
  }),
  move({
    name: 'priority',
    summary: 'let jobs go before others, or behind them',
    options: { priority: PRIORITY_OPTION },
    arguments: '--priority 10',
    send: (ledger, jobId, body, options, values) => {
      const priority = readPriority(values);
      if (priority === undefined) throw new UsageError('Give --priority');
      return ledger.setPriority(jobId, { ...body, priority }, options);
    },
  }),
  move({
    name: 'cancel',
    summary: 'cancel jobs',
    options: { force: { help: 'without waiting for the worker' } },
    send: (ledger, jobId, body, options, values) =>
      ledger.cancel(jobId, { ...body, force: values.flag('force') }, options),
  }),
  move({
    name: 'retry',
    summary: 'start a new run of jobs that failed or were cancelled',
    options: {},
    send: (ledger, jobId, body, options) => ledger.retry(jobId, body, options),
  }),
  move({
    name: 'resume',
    summary: 'what these jobs waited for has come',
    options: {},
    send: (ledger, jobId, body, options) => ledger.resume(jobId, body, options),
  }),
  move({
    name: 'hold',
    summary: 'let these jobs wait until they are resumed; what a worker has, once it gives that back',
    options: {},
    send: (ledger, jobId, body, options) => ledger.hold(jobId, body, options),
  }),
  move({
    name: 'requeue',
    summary: 'take jobs away from their workers; give dead letters a new run',
    options: {},
    send: (ledger, jobId, body, options) => ledger.requeue(jobId, body, options),
  }),
  move({
    name: 'force-fail',
    summary: 'end jobs that somebody works on or waits for as failed',
    options: {},
    send: (ledger, jobId, body, options) => ledger.forceFail(jobId, body, options),
  }),
  move({
    name: 'emergency-stop',
    summary: 'end whatever has not ended as failed, at once',
    options: {},
    send: (ledger, jobId, body, options) => ledger.emergencyStop(jobId, body, options),
  }),
];
