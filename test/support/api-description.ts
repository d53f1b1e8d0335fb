/** The service's OpenAPI document as a judge: does an answer look as it says? */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Answer } from './app.js';

/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-argument -- a JSON document is looked into by name. */

/** Answers may gain fields, and each is to be described: so here an object has no others. Parts of an `allOf` stay open. */
const close = (schema: any): any => {
  if (Array.isArray(schema)) return schema.map(close);
  if (typeof schema !== 'object' || schema === null) return schema;
  const closed = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, close(value)]));
  return schema.properties !== undefined && schema.additionalProperties === undefined
    ? { ...closed, additionalProperties: false }
    : closed;
};

const templateOf = (path: string): RegExp => new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);

/** The literal path before one with parameters. */
const byParameters = (a: string, b: string): number => a.split('{').length - b.split('{').length;

export class ApiDescription {
  /** Ids of the calls that were answered with success, as it says. */
  readonly seen = new Set<string>();
  readonly operations: readonly { readonly call: string; readonly operation: any }[];
  private readonly ajv: Ajv2020;
  private readonly validators = new Map<string, ValidateFunction>();

  constructor(private readonly document: any) {
    this.operations = Object.entries(document.paths as Record<string, object>).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({ call: `${method.toUpperCase()} ${path}`, operation })),
    );
    this.ajv = new Ajv2020({ allErrors: true, strict: false });
    formats.default(this.ajv);
    const { Problem, ...answers } = document.components.schemas;
    this.ajv.addSchema({ $id: 'document', components: { schemas: { ...close(answers), Problem } } });
  }

  operationOf(method: string, path: string): any {
    const { pathname } = new URL(path, 'http://ledger');
    const found = Object.keys(this.document.paths)
      .sort(byParameters)
      .find((each) => templateOf(each).test(pathname));
    return found === undefined ? undefined : this.document.paths[found][method.toLowerCase()];
  }

  /** What is wrong with an answer: empty when it is as described. */
  defectsOf(method: string, path: string, { status, headers, body }: Answer): readonly string[] {
    const operation = this.operationOf(method, path);
    if (operation === undefined) return [`${method} ${path} is not described`];
    const response = operation.responses[status];
    if (response === undefined) return [`${method} ${path}: ${status} is not described`];
    const mediaType = headers.get('content-type')?.split(';')[0] ?? '';
    const schema = response.content?.[mediaType]?.schema;
    if (schema === undefined) return [`${method} ${path}: ${status} ${mediaType} is not described`];
    // A refusal may say a position: it was read before the refusal was decided.
    const missing = (status < 300 ? ['x-request-id', 'x-position'] : ['x-request-id']).filter((name) => {
      const described = Object.keys(response.headers ?? {}).some((each) => each.toLowerCase() === name);
      return described !== headers.has(name);
    });
    if (status < 300) this.seen.add(operation.operationId);
    const validate = this.validatorOf(schema);
    const isValid = mediaType.endsWith('json') ? validate(body) : true;
    return [
      ...missing.map((name) => `${method} ${path}: ${status} with and without ${name}`),
      ...(isValid ? [] : [`${method} ${path}: ${status} ${this.ajv.errorsText(validate.errors)}`]),
    ];
  }

  private validatorOf(schema: object): ValidateFunction {
    const text = JSON.stringify(schema).replaceAll('"#/', '"document#/');
    const known = this.validators.get(text) ?? this.ajv.compile(JSON.parse(text));
    this.validators.set(text, known);
    return known;
  }
}
