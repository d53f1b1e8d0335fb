/**
 * What the fields of requests take, with messages that say what was expected. Ranges of policies are the domain's; the
 * rest are the contract's.
 */
import { z } from 'zod';
import type { Instant, Value } from '../../domain/job-events.js';
import { exceedsJsonBytes } from '../json-size.js';
import type { IssueKind } from '../validation.js';

/** Of `payload`, `result`, `checkpoint`, `detail` and the like, as compact JSON. */
export const MAX_VALUE_BYTES = 256 * 1024;
const MAX_NAME = 120;
const MAX_TEXT = 4_000;
const MAX_TAGS = 20;
/** Longest duration that a request may name: 10 years. */
const MAX_REQUEST_DURATION_MS = 315_360_000_000;

/** `is required: …` of a field that is absent, `must be …` of one that is wrong. */
export const expected =
  (what: string) =>
  (issue: { readonly input?: unknown }): string =>
    issue.input === undefined ? `is required: ${what}` : `must be ${what}`;

/** The output has the field always: null when the request has not. */
export const orNull = <Schema extends z.ZodType>(schema: Schema) =>
  schema.optional().transform((value): NonNullable<z.output<Schema>> | null => value ?? null);

/** A field of a part that is not built yet: naming it is 501, whatever its value. */
export const notBuilt = (part: string) => z.never({ error: `is not built yet: ${part}` }).optional();

export const issueOf = (kind: IssueKind, message: string, input: unknown) =>
  ({ code: 'custom', message, params: { kind }, input }) as const;

const NAME_TEXT = 'a name of 1–120 characters of A–Z a–z 0–9 . _ : / -';
const NAME = /^[A-Za-z0-9._:/-]{1,120}$/;

/** `type`, `queue`, `workerId`, tags, and whatever else has a name. */
export const name = z.string({ error: expected(NAME_TEXT) }).regex(NAME, { error: expected(NAME_TEXT) });

export const names = (max: number, min = 0) =>
  z
    .array(name, { error: expected(`a list of ${min}–${max} names`) })
    .min(min, { error: `must have at least ${min} entry` })
    .max(max, { error: `must have at most ${max} entries` });

export const tags = names(MAX_TAGS);

/** Characters are code points, as JSON Schema counts them. */
const hasLength = (text: string, min: number, max: number): boolean =>
  text.length >= min && (text.length <= max || (text.length <= 2 * max && Array.from(text).length <= max));

export const text = (min: number, max: number) => {
  const error = expected(`text of ${min}–${max} characters`);
  return z
    .string({ error })
    .refine((value) => hasLength(value, min, max), { error })
    .meta({ minLength: min, maxLength: max });
};

/** `message` and `reason`, everywhere. */
export const freeText = text(1, MAX_TEXT);
export const reason = orNull(freeText);
/** `code` of an error. */
export const errorCode = text(1, MAX_NAME);

/** Any text but none: whether it is a token of ours is the ledger's to say. */
export const leaseToken = z
  .string({ error: expected('the token of the claim') })
  .min(1, { error: expected('the token of the claim') });

export const flag = z.boolean({ error: expected('true or false') });

export const oneOf = <const Choices extends readonly [string, ...string[]]>(...choices: Choices) =>
  z.enum(choices, { error: expected(`one of ${choices.join(', ')}`) });

/** A number that `isValid`, with the one message whatever is wrong with it. */
export const numberWhere = (what: string, isValid: (value: number) => boolean) => {
  const error = expected(what);
  return z.number({ error }).refine(isValid, { error });
};

const wholeNumberWhere = (what: string, min: number, max: number) =>
  numberWhere(what, (value) => Number.isSafeInteger(value) && value >= min && value <= max).meta({
    type: 'integer',
    minimum: min,
    maximum: max,
  });

export const wholeNumber = (min: number, max: number) =>
  wholeNumberWhere(`a whole number from ${min} to ${max}`, min, max);

/** A count that nothing bounds but that it must be exact. */
export const count = wholeNumber(0, Number.MAX_SAFE_INTEGER);

export const durationMs = (min: number, max = MAX_REQUEST_DURATION_MS) =>
  wholeNumberWhere(`whole milliseconds from ${min} to ${max}`, min, max);

const VALUE_TEXT = `at most ${MAX_VALUE_BYTES} bytes of JSON`;

/** Any JSON value of bounded size. */
export const jsonValue = z.custom<Value>().superRefine((value, context) => {
  if (!exceedsJsonBytes(value, MAX_VALUE_BYTES)) return;
  context.addIssue(issueOf('payload_too_large', `must be ${VALUE_TEXT}`, undefined));
});

/** Members of a JSON object. */
export type Members = Readonly<Record<string, Value>>;

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A JSON object of bounded size. */
export const jsonObject = z
  .custom<Members>()
  .superRefine((value, context) => {
    if (!isObject(value))
      context.addIssue({ code: 'custom', message: 'must be an object', input: value, continue: false });
    else if (exceedsJsonBytes(value, MAX_VALUE_BYTES))
      context.addIssue(issueOf('payload_too_large', `must be ${VALUE_TEXT}`, undefined));
  })
  .meta({ type: 'object' });

const RFC_3339 = /^(\d{4})-(\d{2})-(\d{2})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/i;
const INSTANT_TEXT = 'a time of RFC 3339, as 2026-01-31T12:00:00.000Z';

const daysIn = (year: number, month: number): number => new Date(Date.UTC(year, month, 0)).getUTCDate();

/** The instant in UTC with milliseconds, or undefined when the text is none between the years 1 and 9999. */
export const parseInstant = (written: string): Instant | undefined => {
  const [, year, month, day] = (RFC_3339.exec(written) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined || day > daysIn(year, month)) return undefined;
  const epochMs = Date.parse(written.toUpperCase());
  if (Number.isNaN(epochMs)) return undefined;
  const instant = new Date(epochMs).toISOString();
  return /^(?!0000)\d{4}-/.test(instant) ? instant : undefined;
};

/** A time, normalised to UTC and milliseconds. */
export const instant = z
  .string({ error: expected(INSTANT_TEXT) })
  .transform((written, context): Instant => {
    const parsed = parseInstant(written);
    if (parsed !== undefined) return parsed;
    context.issues.push({ code: 'custom', message: `must be ${INSTANT_TEXT}`, input: written });
    return z.NEVER;
  })
  .meta({ format: 'date-time' });

type Fields = Readonly<Record<string, unknown>>;

/** How many of the fields a request names. Absent ones are undefined, or null once `orNull` has seen them. */
const given = (value: unknown, fields: readonly string[]): string[] =>
  typeof value === 'object' && value !== null ? fields.filter((field) => (value as Fields)[field] != null) : [];

/**
 * Refuses two fields that say the same thing, and, when one of them is the point of the call, neither. Judged beside
 * the fields themselves, so that all errors are told at once.
 */
export const oneAtMost =
  (fields: readonly string[]) =>
  <Schema extends z.ZodType>(schema: Schema): Schema =>
    schema.refine((value) => given(value, fields).length < 2, {
      error: `must have only one of ${fields.join(' and ')}`,
      when: ({ value }) => typeof value === 'object' && value !== null,
    });

export const exactlyOne =
  (fields: readonly string[]) =>
  <Schema extends z.ZodType>(schema: Schema): Schema =>
    schema.refine((value) => given(value, fields).length === 1, {
      error: `must have one of ${fields.join(' and ')}`,
      when: ({ value }) => typeof value === 'object' && value !== null,
    });

/** A body. Names the component of the OpenAPI document, so it must differ from every answer's. */
export const body = <Shape extends z.core.$ZodShape>(shape: Shape) =>
  z.strictObject({ ...shape, reason }, { error: expected('an object') });
