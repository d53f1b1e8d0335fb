/** `jobledger jobs create`: one job, by hand. */
import { type Json, parseJsonBody } from '../../api/json-body.js';
import { Problem } from '../../api/problem.js';
import type { CreateJob, PolicyOverrides, PresetName } from '../../client/client.js';
import { command } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { UsageError } from '../usage-error.js';
import { PRIORITY_OPTION, readPriority, readWhen, WHEN_OPTIONS } from './job-moves.js';
import { printJson } from './pages.js';

const requireJson = (option: string, text: string, example: string): void => {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--${option}: expected JSON, as '${example}': ${(error as Error).message}`);
  }
};

/**
 * As the service reads it: what is sent is written anew from this value, so the service would not see what was lost.
 * @throws UsageError with its words.
 */
const jsonOf = (option: string, text: string | undefined, example: string): Json | undefined => {
  if (text === undefined) return undefined;
  requireJson(option, text, example);
  try {
    return (parseJsonBody(Buffer.from(`{"${option}":${text}}`)) as Record<string, Json>)[option];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new UsageError(`--${option}: ${error.errors.map(({ message }) => message).join('; ')}`);
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
    policy: {
      value: 'JSON',
      help: 'what bounds it, beside the default: {"leaseMs":60000}; the section Policy of README has the fields',
    },
    preset: { value: 'PRESET', help: 'protea, antenna or beacon: what its policy goes out from' },
    draft: { help: 'nobody gets it until `jobs start`' },
    reason: { value: 'TEXT', help: 'why: it is kept in the event' },
    json: { help: 'the answer as the service gave it' },
  },
  asksService: true,
  isKeyed: true,
  examples: [
    `jobledger jobs create --type report --payload '{"pages":["a","b"]}'`,
    'jobledger jobs create --type report --payload "$(cat payload.json)" --delay-ms 60000',
    `jobledger jobs create --type report --policy '{"timeoutMs":600000}' --idempotency-key nightly-2026-01-31`,
  ],
  run: async ({ values, terminal, ledger, idempotencyKey }) => {
    const type = values.text('type');
    if (type === undefined) throw new UsageError('Give --type');
    const job: CreateJob = {
      ...{ type, queue: values.text('queue'), payload: jsonOf('payload', values.text('payload'), '{"pages":["a"]}') },
      ...{ priority: readPriority(values), tags: values.texts('tag'), ...readWhen(values) },
      policy: jsonOf('policy', values.text('policy'), '{"leaseMs":60000}') as PolicyOverrides | undefined,
      preset: values.text('preset') as PresetName | undefined,
      maxAttempts: values.whole('max-attempts', 1, 100),
      ...(values.flag('draft') && { autostart: false }),
      reason: values.text('reason'),
    };
    const answer = await ledger.createJob(job, { idempotencyKey });
    if (values.flag('json')) await printJson(terminal, answer);
    else await terminal.line(answer.jobId);
    return EXIT.OK;
  },
});
