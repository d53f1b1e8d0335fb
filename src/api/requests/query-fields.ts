/** What query parameters take. They arrive as text, or as a list of texts when a parameter is repeated. */
import { z } from 'zod';

type Error = (issue: { readonly input?: unknown }) => string;

/** `must be given once` of a repeated parameter, `must be …` of a wrong one. */
const expectedOnce =
  (what: string): Error =>
  ({ input }) =>
    Array.isArray(input) ? 'must be given once' : `must be ${what}`;

const DIGITS = /^\d{1,16}$/;

/** A whole number in decimal digits. */
export const numberParameter = (min: number, max: number, what = `a whole number from ${min} to ${max}`) => {
  const error = expectedOnce(what);
  return z
    .string({ error })
    .refine((value) => DIGITS.test(value) && Number(value) >= min && Number(value) <= max, { error })
    .transform(Number)
    .meta({ type: 'integer', minimum: min, maximum: max });
};

export const flagParameter = z
  .enum(['true', 'false'], { error: expectedOnce('true or false') })
  .transform((value) => value === 'true')
  .meta({ type: 'boolean', enum: undefined });

export const choiceParameter = <const Choices extends readonly [string, ...string[]]>(...choices: Choices) =>
  z.enum(choices, { error: expectedOnce(`one of ${choices.join(', ')}`) });

/** Text that `parse` understands; undefined from it is a refusal. */
export const parsedParameter = <Output>(what: string, parse: (written: string) => Output | undefined) => {
  const error = expectedOnce(what);
  return z.string({ error }).transform((written, context): Output => {
    const parsed = parse(written);
    if (parsed !== undefined) return parsed;
    context.issues.push({ code: 'custom', message: `must be ${what}`, input: written });
    return z.NEVER;
  });
};

/** A parameter that may be repeated: its values are ORed. */
export const repeatable = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (Array.isArray(value) ? (value as unknown[]) : [value]), z.array(schema));

/** Position of the log: decimal digits, at most a signed 64-bit number, without leading zeros in the output. */
export const parsePosition = (written: string): string | undefined => {
  if (!/^\d{1,19}$/.test(written)) return undefined;
  const position = BigInt(written);
  return position <= 9_223_372_036_854_775_807n ? position.toString() : undefined;
};

export const position = parsedParameter('a position: decimal digits', parsePosition);
