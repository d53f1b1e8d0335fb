/**
 * The service's own OpenAPI document, `/openapi.json`, and its page, `/docs`, which loads nothing from elsewhere.
 * Requests are described by the schemas that validate them. The document is made when first asked for.
 */
import type { INestApplication } from '@nestjs/common';
import { ApiExtension, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { PROBLEM_KINDS, PROBLEM_MEDIA_TYPE, type ProblemCode } from './problem.js';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;
type Schema = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string];

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
const PROBLEM_REF = { $ref: '#/components/schemas/Problem' };

const text = { type: 'string' };
const wholeNumber = { type: 'integer' };

const problemSchema = {
  type: 'object',
  description: 'RFC 9457. More members may come.',
  required: ['type', 'title', 'status', 'detail', 'code'],
  properties: {
    type: { ...text, format: 'uri' },
    title: text,
    status: wholeNumber,
    detail: text,
    code: { ...text, enum: Object.keys(PROBLEM_KINDS) },
    errors: {
      type: 'array',
      description: 'What is wrong with the request. `path` as in `jobs[3].type`.',
      items: { type: 'object', required: ['path', 'message'], properties: { path: text, message: text } },
    },
    from: { ...text, description: 'On `illegal_transition`: where the job stands.' },
    command: { ...text, description: 'On `illegal_transition`: what was asked.' },
    existingJobId: { ...text, format: 'uuid', description: 'On `duplicate_job`.' },
    index: { ...wholeNumber, description: 'On `duplicate_job` in a batch: the entry.' },
    jobStatus: { ...text, description: 'On a 409 about a known job: where it stands, as the three below.' },
    run: wholeNumber,
    attempt: wholeNumber,
    revision: wholeNumber,
  },
} as Schema;

/** A description of the codes that share a status. */
const described = (codes: readonly ProblemCode[]): string =>
  codes.map((code) => `\`${code}\`: ${PROBLEM_KINDS[code].title}`).join('. ');

const problemAnswer = (codes: readonly ProblemCode[]) => ({
  description: described(codes),
  content: { [PROBLEM_MEDIA_TYPE]: { schema: PROBLEM_REF } },
});

const byStatus = (codes: readonly ProblemCode[]): Map<number, ProblemCode[]> => {
  const grouped = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const { status } = PROBLEM_KINDS[code];
    grouped.set(status, [...(grouped.get(status) ?? []), code]);
  }
  return grouped;
};

/** Carries what a controller says to `describeProblems`; taken out of the document there. */
const PROBLEMS_EXTENSION = 'x-problems';

/** Problems of a call beyond those that every call of its shape may answer. */
export const ApiProblems = (...codes: ProblemCode[]): MethodDecorator => ApiExtension(PROBLEMS_EXTENSION, codes);

const isJobCommand = (path: string, method: string): boolean => method === 'post' && path.startsWith('/v1/jobs/{id}/');

const problemsOfShape = (path: string, method: string, operation: Operation): readonly ProblemCode[] => [
  'validation_failed',
  'unauthenticated',
  'forbidden',
  ...(path.includes('{') ? (['not_found', 'gone'] as const) : []),
  ...(isJobCommand(path, method)
    ? (['illegal_transition', 'stale_lease', 'already_terminal', 'precondition_failed'] as const)
    : []),
  ...(operation.requestBody === undefined
    ? []
    : (['payload_too_large', 'unsupported_media_type', 'idempotency_key_reused', 'not_implemented'] as const)),
  'internal',
  'unavailable',
  ...(method === 'get' ? (['projection_lagging'] as const) : []),
];

const describeProblemsOf = (path: string, method: string, operation: Operation): void => {
  const extended = operation as Operation & { [PROBLEMS_EXTENSION]?: readonly ProblemCode[] };
  const codes = new Set([...problemsOfShape(path, method, operation), ...(extended[PROBLEMS_EXTENSION] ?? [])]);
  Reflect.deleteProperty(operation, PROBLEMS_EXTENSION);
  for (const [status, sharing] of byStatus([...codes])) operation.responses[status] ??= problemAnswer(sharing);
};

/** Adds to every `/v1` call the problems that it may answer; responses that a controller described stay. */
const describeProblems = (document: OpenAPIObject): void => {
  for (const [path, item] of Object.entries(document.paths)) {
    if (!path.startsWith('/v1/')) continue;
    for (const method of METHODS) {
      const operation = item[method];
      if (operation !== undefined) describeProblemsOf(path, method, operation);
    }
  }
};

interface Converted {
  readonly schema: Schema;
  readonly components: Record<string, Schema>;
}

/** Fields that no value fits are those that are not built yet: the document describes what is. */
const leaveOutNotBuilt = ({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void => {
  const { properties } = jsonSchema;
  for (const [field, schema] of Object.entries(properties ?? {})) {
    if (typeof schema === 'object' && schema.not !== undefined) Reflect.deleteProperty(properties!, field);
  }
};

/** A zod schema as a schema of the document. One with an `id` becomes a component of that name. */
const convert = (schema: unknown, options?: { readonly schemaType?: 'input' | 'output' }): Converted | undefined => {
  if (!(schema instanceof z.ZodType)) return undefined;
  const {
    $schema: _dialect,
    $defs = {},
    id,
    ...root
  } = z.toJSONSchema(schema, {
    io: options?.schemaType ?? 'input',
    unrepresentable: 'any',
    override: leaveOutNotBuilt,
  });
  const components = { ...$defs } as Record<string, Schema>;
  if (id === undefined) return { schema: root as Schema, components };
  return { schema: { $ref: `#/components/schemas/${id}` }, components: { ...components, [id]: root as Schema } };
};

/** The document of all controllers of the application. */
export const createOpenApiDocument = (app: INestApplication, version: string): OpenAPIObject => {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Jobledger')
    .setDescription('An event-sourced job state machine as a service. Errors are RFC 9457 problem documents.')
    .setVersion(version)
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An API key' })
    .addSecurityRequirements('bearer')
    .build();
  const document = SwaggerModule.createDocument(app, config, { standardSchemaConverter: convert });
  document.components = {
    ...document.components,
    schemas: { ...document.components?.schemas, Problem: problemSchema },
  };
  describeProblems(document);
  return document;
};

/** Serves `/openapi.json` and `/docs`. To be called before the application is initialised. */
export const serveOpenApi = (app: INestApplication, version: string): void => {
  SwaggerModule.setup('docs', app, () => createOpenApiDocument(app, version), {
    customSiteTitle: 'Jobledger API',
    jsonDocumentUrl: '/openapi.json',
    raw: ['json'],
    // Swagger UI would otherwise send the document's address to a validator on the web.
    swaggerOptions: { validatorUrl: null },
  });
};
