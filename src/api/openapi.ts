/**
 * The service's own OpenAPI document and its page. Requests are described by the schemas that judge them, answers by those
 * in `answers`, the rest in `openapi`.
 */
import type { HttpServer, INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { referenceTo } from './answers/components.js';
import { TAGS } from './openapi/calls.js';
import { describeDocument } from './openapi/describe.js';
import type { Schema } from './openapi/problems.js';

interface Converted {
  readonly schema: Schema;
  readonly components: Record<string, Schema>;
}

interface Overridden {
  readonly zodSchema: z.core.$ZodTypes;
  readonly jsonSchema: z.core.JSONSchema.BaseSchema;
}

const isNotBuilt = (field: unknown): boolean =>
  field instanceof z.ZodOptional && (field.unwrap() as unknown) instanceof z.ZodNever;

/** Fields that no value fits are those that are not built yet: the document describes what is. */
const leaveOutNotBuilt = ({ zodSchema, jsonSchema: { properties } }: Overridden): void => {
  if (!(zodSchema instanceof z.ZodObject) || properties === undefined) return;
  for (const [field, schema] of Object.entries(zodSchema.shape)) {
    if (isNotBuilt(schema)) Reflect.deleteProperty(properties, field);
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
  return { schema: { $ref: referenceTo(id) }, components: { ...components, [id]: root as Schema } };
};

const DESCRIPTION = `An event-sourced job state machine as a service. Every change of a job is a command; what it did are events, appended
once and kept. A 2xx answer is on disk.

Times are RFC 3339 in UTC with milliseconds, durations whole milliseconds in fields that end in \`Ms\`, positions of the log
decimal digits in strings. Unknown fields and parameters are refused by name. Errors are RFC 9457 problem documents with a
stable \`code\`. Answers may gain fields.`;

/** The document of all controllers of the application. */
const createOpenApiDocument = (app: INestApplication, version: string): OpenAPIObject => {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Jobledger')
    .setDescription(DESCRIPTION)
    .setVersion(version)
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addServer('/', 'The service that gives this document')
    .addBearerAuth({
      type: 'http',
      scheme: 'bearer',
      description:
        'An API key; its roles say which calls it may make (`x-roles` of a call). None is needed where the service has no keys.',
    })
    .addSecurityRequirements('bearer');
  for (const [tag, description] of Object.entries(TAGS)) builder.addTag(tag, description);
  const document = SwaggerModule.createDocument(app, builder.build(), { standardSchemaConverter: convert });
  describeDocument(document);
  return document;
};

/**
 * Routes of `/openapi.json` and `/docs` on a server of their own. The document is made when first asked for.
 * @param app whose controllers are described
 */
export const setUpPages = (server: HttpServer, app: INestApplication, version: string): void => {
  const ofPages = { getHttpAdapter: () => server } as INestApplication;
  SwaggerModule.setup('docs', ofPages, () => createOpenApiDocument(app, version), {
    customSiteTitle: 'Jobledger API',
    jsonDocumentUrl: '/openapi.json',
    raw: ['json'],
    // Swagger UI would otherwise send the document's address to a validator on the web.
    swaggerOptions: { validatorUrl: null },
  });
};
