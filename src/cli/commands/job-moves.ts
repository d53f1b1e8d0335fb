/** Commands on jobs that an operator gives by hand: `cancel`, `retry`, `requeue` and such. */
import type { CommandAnswer, JobledgerClient, WithReason } from '../../client/client.js';
import { ProblemError, UnavailableError } from '../../client/client.js';
import { type Command, command, type Option } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { jobIdsOf } from './job-ids.js';
import { printJsonLine } from './pages.js';

interface Move<Name extends string> {
  readonly name: string;
  readonly summary: string;
  readonly options: Readonly<Record<Name, Option>>;
  readonly send: (
    ledger: JobledgerClient,
    jobId: string,
    body: WithReason,
    flag: (name: Name) => boolean,
  ) => Promise<CommandAnswer>;
}

const MOST = 1_000;

const move = <Name extends string>({ name, summary, options, send }: Move<Name>): Command =>
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
    examples: [`jobledger jobs ${name} 019a2b3c-… --reason "asked for by Ann"`],
    run: async ({ values, terminal, ledger }) => {
      const isJson = values.flag('json');
      let code: number = EXIT.OK;
      for (const jobId of jobIdsOf(values)) {
        try {
          const answer = await send(ledger, jobId, { reason: values.text('reason') }, (flag) => values.flag(flag));
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

export const jobMoves: readonly Command[] = [
  move({
    name: 'cancel',
    summary: 'cancel jobs',
    options: { force: { help: 'without waiting for the worker' } },
    send: (ledger, jobId, body, flag) => ledger.cancel(jobId, { ...body, force: flag('force') }),
  }),
  move({
    name: 'retry',
    summary: 'start a new run of jobs that failed or were cancelled',
    options: {},
    send: (ledger, jobId, body) => ledger.retry(jobId, body),
  }),
  move({
    name: 'resume',
    summary: 'what these jobs waited for has come',
    options: {},
    send: (ledger, jobId, body) => ledger.resume(jobId, body),
  }),
  move({
    name: 'hold',
    summary: 'let these jobs wait until they are resumed; what a worker has, once it gives that back',
    options: {},
    send: (ledger, jobId, body) => ledger.hold(jobId, body),
  }),
  move({
    name: 'requeue',
    summary: 'take jobs away from their workers; give dead letters a new run',
    options: {},
    send: (ledger, jobId, body) => ledger.requeue(jobId, body),
  }),
  move({
    name: 'force-fail',
    summary: 'end jobs that somebody works on or waits for as failed',
    options: {},
    send: (ledger, jobId, body) => ledger.forceFail(jobId, body),
  }),
  move({
    name: 'emergency-stop',
    summary: 'end whatever has not ended as failed, at once',
    options: {},
    send: (ledger, jobId, body) => ledger.emergencyStop(jobId, body),
  }),
];
