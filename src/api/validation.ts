/** Judges a request by its schema, and says everything that is wrong with it in one answer. */
import type { z } from 'zod';
import { pathOf } from './json-path.js';
import {
  type FieldError,
  MAX_FIELD_ERRORS,
  notFound,
  notImplemented,
  payloadTooLarge,
  type Problem,
  validationFailed,
} from './problem.js';

/** Where in a request a value comes from. */
export type Source = 'body' | 'query' | 'param';

/** Said by a schema in `params` of an issue, when the answer is another than `validation_failed`. */
export type IssueKind = 'payload_too_large' | 'not_implemented';

const kindOf = (issue: z.core.$ZodIssue): IssueKind | undefined => {
  if (issue.code === 'invalid_type' && issue.expected === 'never') return 'not_implemented';
  return issue.code === 'custom' ? (issue.params?.['kind'] as IssueKind | undefined) : undefined;
};

/** A parameter is named as it is sent: the third `status` is still `status`. */
const pathIn = (source: Source, keys: readonly PropertyKey[]): string =>
  pathOf(source === 'body' ? keys : keys.slice(0, 1));

/** A schema, and what it judges. */
type Judged = readonly [z.ZodType, unknown];

const fieldErrors = (issues: readonly z.core.$ZodIssue[], source: Source): FieldError[] =>
  issues.slice(0, MAX_FIELD_ERRORS).flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.slice(0, MAX_FIELD_ERRORS).map((key) => {
        const path = pathIn(source, [...issue.path, key]);
        return { path, message: `${path} is not known here` };
      });
    }
    const path = pathIn(source, issue.path);
    return { path, message: `${path === '' ? `the ${source}` : path} ${issue.message}` };
  });

/** What outranks goes first: too large, then not built yet, then not valid. */
const refusal = (issues: readonly z.core.$ZodIssue[], source: Source): Problem => {
  if (source === 'param')
    return notFound(`there is nothing at this path: what it names ${issues[0]?.message ?? 'is not here'}`);
  const of = (kind: IssueKind): FieldError[] =>
    fieldErrors(
      issues.filter((issue) => kindOf(issue) === kind),
      source,
    );
  const tooLarge = of('payload_too_large');
  if (tooLarge.length > 0) return payloadTooLarge(tooLarge[0]!.message, tooLarge);
  const notBuilt = of('not_implemented');
  if (notBuilt.length > 0) return notImplemented(notBuilt.map((error) => error.message).join('; '), notBuilt);
  return validationFailed(fieldErrors(issues, source));
};

/** No text that is kept holds NUL, and the database takes none: of a body that is told while it is parsed. */
const nulIssues = (parameters: unknown, known: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] =>
  Object.entries(parameters as Readonly<Record<string, unknown>>)
    .filter(([, value]) => [value].flat().some((each) => typeof each === 'string' && each.includes('\u0000')))
    .filter(([name]) => known.every(({ path }) => path[0] !== name))
    .map(([name, input]) => ({ code: 'custom', path: [name], message: 'must not hold \\u0000', input }));

const issuesOf = ([schema, value]: Judged, source: Source) => {
  const { data, error } = schema.safeParse(value);
  const issues = error?.issues ?? [];
  return { data, issues: source === 'query' ? [...issues, ...nulIssues(value, issues)] : issues };
};

/**
 * Values as their schemas give them back, judged together.
 * @param within where they stand in the body.
 */
export const validatedTogether = (
  judged: readonly Judged[],
  source: Source,
  within: readonly PropertyKey[] = [],
): readonly unknown[] => {
  const results = judged.map((each) => issuesOf(each, source));
  const issues = results.flatMap((result) => result.issues);
  if (issues.length === 0) return results.map(({ data }) => data);
  throw refusal(
    within.length === 0 ? issues : issues.map((each) => ({ ...each, path: [...within, ...each.path] })),
    source,
  );
};

/**
 * The value as the schema gives it back: defaults filled in, times normalised.
 * @throws Problem `payload_too_large`, `not_implemented` or `validation_failed` with every error; of a path parameter
 *   `not_found`, since no resource has such a name.
 */
export const validated = <Schema extends z.ZodType>(schema: Schema, value: unknown, source: Source): z.output<Schema> =>
  validatedTogether([[schema, value]], source)[0] as z.output<Schema>;
