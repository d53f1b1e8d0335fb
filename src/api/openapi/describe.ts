/** Completes what Nest knows of a route: words, answers, headers, problems, and a text for every field. */
import type { OpenAPIObject } from '@nestjs/swagger';
import { answerSchemas, referenceTo } from '../answers/components.js';
import { accessTo, OPEN } from '../keys/access.js';
import { CALLS, type CallDescription } from './calls.js';
import { ANSWER_HEADERS, HEADER_PARAMETERS, type HeaderParameter, headerRefs, parameterRef } from './headers.js';
import { describeProblems, isJobCommand, type Operation, PROBLEM_SCHEMA, type Schema } from './problems.js';
import { textOf } from './texts.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

const parametersOf = (path: string, method: string, { answer, keyed, fresh }: CallDescription): HeaderParameter[] => [
  ...(keyed === undefined ? [] : (['IdempotencyKey', 'Traceparent'] as const)),
  ...(isJobCommand(path, method) ? (['IfMatch'] as const) : []),
  ...(fresh === undefined ? [] : (['MinPosition'] as const)),
  ...(answer === 'stream' && !path.endsWith('counters') ? (['LastEventId'] as const) : []),
  'RequestId',
];

const contentOf = (answer: CallDescription['answer']) => {
  if (answer === 'text') return { 'text/plain': { schema: { type: 'string' } } };
  if (answer === 'stream') return { 'text/event-stream': { schema: { type: 'string' } } };
  return { 'application/json': { schema: { $ref: referenceTo(answer) } } };
};

const successOf = ({ answer, summary, keyed, fresh }: CallDescription) => ({
  description: `${summary}: done.`,
  headers: headerRefs(
    'X-Request-Id',
    ...(keyed === undefined ? [] : (['Idempotent-Replayed'] as const)),
    ...(fresh === undefined || answer === 'stream' ? [] : (['X-Position'] as const)),
  ),
  content: contentOf(answer),
});

/** A schema may describe its field; of a parameter the text belongs to the parameter. */
const describeParameters = (operation: Operation): void => {
  for (const parameter of operation.parameters ?? []) {
    if ('$ref' in parameter) continue;
    parameter.description = textOf(operation.operationId ?? '', parameter.name) ?? '';
  }
};

/** Who may make the call: in words, and as `x-roles` for programs. */
const describeAccess = (call: string, operation: Operation): void => {
  const access = accessTo(call);
  if (access === OPEN) {
    operation.security = [];
    return;
  }
  const { roles } = access;
  Object.assign(operation, {
    description: `${operation.description}\n\nFor keys with one of the roles ${roles.join(', ')}.`,
    'x-roles': roles,
  });
};

const describeOperation = (path: string, method: string, operation: Operation, call: CallDescription): void => {
  const { id, tag, summary, description, example } = call;
  Object.assign(operation, { operationId: id, tags: [tag], summary, description });
  describeParameters(operation);
  operation.parameters = [...(operation.parameters ?? []), ...parametersOf(path, method, call).map(parameterRef)];
  const status = Object.keys(operation.responses).find((code) => code.startsWith('2')) ?? '200';
  operation.responses = { [status]: successOf(call) };
  if (call.accepted === true) {
    const headers = { ...successOf(call).headers, ...headerRefs('Location') };
    operation.responses[202] = { ...successOf(call), headers, description: `${summary}: it goes on.` };
  }
  describeProblems(path, method, operation, call);
  describeAccess(`${method.toUpperCase()} ${path}`, operation);
  if (path === '/health/ready') {
    const unavailable = { ...successOf(call), headers: headerRefs('X-Request-Id', 'Retry-After') };
    operation.responses[503] = { ...unavailable, description: 'It cannot; the checks say why.' };
  }
  const body = operation.requestBody;
  if (body !== undefined && 'content' in body && example !== undefined) {
    for (const media of Object.values(body.content)) media.example = example;
  }
};

interface SchemaParts {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
}

/** Every named field has a text; one that its schema gives stays. */
const describeFields = (scope: string, schema: Schema): void => {
  const { properties = {}, items, additionalProperties, allOf, anyOf } = schema as SchemaParts;
  for (const [field, property] of Object.entries(properties)) {
    const text = textOf(scope, field);
    if (text !== undefined) (property as { description?: string }).description ??= text;
    describeFields(`${scope}.${field}`, property);
  }
  const values = typeof additionalProperties === 'object' ? additionalProperties : [];
  for (const inner of [items ?? [], values, allOf ?? [], anyOf ?? []].flat()) describeFields(scope, inner);
};

/** Adds to the document what the routes alone do not say. */
export const describeDocument = (document: OpenAPIObject): void => {
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      const call = CALLS[`${method.toUpperCase()} ${path}`];
      if (operation !== undefined && call !== undefined) describeOperation(path, method, operation, call);
    }
  }
  const schemas = { ...document.components?.schemas, ...answerSchemas(), Problem: PROBLEM_SCHEMA } as Record<
    string,
    Schema
  >;
  for (const [name, schema] of Object.entries(schemas)) describeFields(name, schema);
  document.components = {
    ...document.components,
    schemas,
    parameters: HEADER_PARAMETERS,
    headers: ANSWER_HEADERS as unknown as NonNullable<NonNullable<OpenAPIObject['components']>['headers']>,
  };
};
