/** With which problems a call may be answered, by its shape and by what is said of it. */
import type { OpenAPIObject } from '@nestjs/swagger';
import { referenceTo } from '../answers/components.js';
import { accessTo, OPEN } from '../keys/access.js';
import { PROBLEM_KINDS, PROBLEM_MEDIA_TYPE, type ProblemCode } from '../problem.js';
import type { CallDescription } from './calls.js';
import { headerRefs } from './headers.js';

export type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;
export type Schema = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string];

const text = { type: 'string' };
const wholeNumber = { type: 'integer' };

export const PROBLEM_SCHEMA = {
  type: 'object',
  description: 'RFC 9457. More members may come.',
  required: ['type', 'title', 'status', 'detail', 'code'],
  properties: {
    type: { ...text, format: 'uri', description: '`urn:jobledger:problem:` and the code.' },
    title: { ...text, description: 'The same for every problem of the code.' },
    status: { ...wholeNumber, description: 'That of the answer.' },
    detail: { ...text, description: 'What is particular, and what to do next: for people.' },
    code: { ...text, enum: Object.keys(PROBLEM_KINDS), description: 'Stable: for programs.' },
    errors: {
      type: 'array',
      description: 'What is wrong with the request.',
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: {
          path: { ...text, description: 'As in `jobs[3].type`; a header by its name.' },
          message: { ...text, description: 'What was expected.' },
        },
      },
    },
    from: { ...text, description: 'On `illegal_transition`: where the job stands.' },
    command: { ...text, description: 'On `illegal_transition`: what was asked.' },
    existingJobId: { ...text, format: 'uuid', description: 'On `duplicate_job`.' },
    index: { ...wholeNumber, description: 'On `duplicate_job` in a batch: the entry.' },
    jobStatus: { ...text, description: 'On a 409 about a known job: where it stands, as the three below.' },
    run: { ...wholeNumber, description: 'Its run.' },
    attempt: { ...wholeNumber, description: 'Its attempt.' },
    revision: { ...wholeNumber, description: 'Its revision.' },
  },
} as Schema;

/** A description of the codes that share a status. */
const described = (codes: readonly ProblemCode[]): string =>
  codes.map((code) => `\`${code}\`: ${PROBLEM_KINDS[code].title}`).join('. ');

const RETRIED: readonly number[] = [429, 503];

const problemAnswer = (status: number, codes: readonly ProblemCode[]) => ({
  description: described(codes),
  headers: headerRefs(
    'X-Request-Id',
    ...(RETRIED.includes(status) ? (['Retry-After'] as const) : []),
    ...(status === PROBLEM_KINDS.unauthenticated.status ? (['WWW-Authenticate'] as const) : []),
  ),
  content: {
    [PROBLEM_MEDIA_TYPE]: {
      schema: {
        allOf: [{ $ref: referenceTo('Problem') }, { type: 'object', properties: { code: { enum: [...codes] } } }],
      },
    },
  },
});

/** Of clients, workers and operators. */
export const isJobCommand = (path: string, method: string): boolean =>
  method === 'post' && /^\/v1\/(admin\/)?jobs\/\{id\}\//.test(path);

/** Served by every process; nothing but the parameters can be wrong. */
const OF_PROCESS_CALLS: readonly ProblemCode[] = ['validation_failed', 'internal'];
const OF_KEYS: readonly ProblemCode[] = ['unauthenticated', 'forbidden'];

const problemsOf = (
  path: string,
  method: string,
  operation: Operation,
  { keyed, fresh, searches, lacks }: CallDescription,
): readonly ProblemCode[] => [
  'validation_failed',
  ...(path.includes('{') ? (['not_found', 'gone'] as const) : []),
  ...(isJobCommand(path, method)
    ? (['illegal_transition', 'stale_lease', 'already_terminal', 'precondition_failed'] as const)
    : []),
  ...(operation.requestBody === undefined
    ? []
    : (['payload_too_large', 'unsupported_media_type', 'not_implemented'] as const)),
  ...(lacks === true ? (['not_implemented'] as const) : []),
  ...(keyed === undefined ? [] : (['idempotency_key_reused'] as const)),
  'internal',
  'unavailable',
  ...(fresh === 'projection' || searches === true ? (['projection_lagging'] as const) : []),
];

/** Adds the problem answers of a call, by status. */
export const describeProblems = (path: string, method: string, operation: Operation, call: CallDescription): void => {
  const codes = [
    ...(accessTo(`${method.toUpperCase()} ${path}`) === OPEN ? [] : OF_KEYS),
    ...(path.startsWith('/v1/') ? problemsOf(path, method, operation, call) : OF_PROCESS_CALLS),
  ];
  for (const status of new Set(codes.map((code) => PROBLEM_KINDS[code].status))) {
    const sharing = codes.filter((code) => PROBLEM_KINDS[code].status === status);
    operation.responses[status] = problemAnswer(status, sharing);
  }
};
