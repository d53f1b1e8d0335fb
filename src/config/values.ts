/** What a setting takes. Every value arrives as text, from the environment and from the file alike. */
import { z } from 'zod';
import type { FieldRule } from '../domain/policy.js';

export interface ValueRule<Value> {
  readonly schema: z.ZodType<Value, string>;
  /** Completes "expected …". */
  readonly expected: string;
}

const WHOLE = /^\d{1,16}$/;
const DECIMAL = /^\d{1,16}(\.\d{1,16})?$/;

const numeric = (form: RegExp, expected: string, accepts: (value: number) => boolean): ValueRule<number> => ({
  schema: z
    .string()
    .refine((text) => form.test(text) && accepts(Number(text)))
    .transform(Number),
  expected,
});

export const whole = (min: number, max: number): ValueRule<number> =>
  numeric(WHOLE, `a whole number from ${min} to ${max}`, (value) => value >= min && value <= max);

export const milliseconds = (min: number, max: number): ValueRule<number> =>
  numeric(WHOLE, `whole milliseconds from ${min} to ${max}`, (value) => value >= min && value <= max);

export const choice = <const Choice extends string>(...choices: readonly [Choice, ...Choice[]]): ValueRule<Choice> => ({
  schema: z
    .string()
    .transform((text) => text.toLowerCase())
    .pipe(z.enum(choices)),
  expected: `one of ${choices.join(', ')}`,
});

export const subset = <const Choice extends string>(
  ...choices: readonly [Choice, ...Choice[]]
): ValueRule<readonly Choice[]> => ({
  schema: z
    .string()
    .transform((text) =>
      text
        .toLowerCase()
        .split(',')
        .map((part) => part.trim()),
    )
    .pipe(z.array(z.enum(choices)))
    .transform((parts) => choices.filter((known) => (parts as string[]).includes(known))),
  expected: `one or more of ${choices.join(',')}`,
});

export const text = (expected: string, minLength = 1): ValueRule<string> => ({
  schema: z.string().min(minLength),
  expected,
});

const isPostgresUrl = (value: string): boolean =>
  URL.canParse(value) && ['postgres:', 'postgresql:'].includes(new URL(value).protocol);

export const postgresUrl: ValueRule<string> = {
  schema: z.string().refine(isPostgresUrl),
  expected: 'a URL like postgresql://user:password@host:5432/database',
};

const EVENT_STORE_DB_URL = /^(esdb|kurrentdb)(\+discover)?:\/\/[^\s/?#]+([/?][^\s]*)?$/;

export const eventStoreDbUrl: ValueRule<string> = {
  schema: z.string().regex(EVENT_STORE_DB_URL),
  expected: 'a connection string like esdb://user:password@host:2113?tls=true or kurrentdb://host:2113',
};

export const policyField = (rule: FieldRule): ValueRule<string | number> => {
  const { kind } = rule;
  if (kind === 'choice') return choice(...(rule.choices as [string, ...string[]]));
  const { min, max } = rule;
  const inRange = (value: number): boolean => value >= min && value <= max;
  if (kind === 'count') return whole(min, max);
  if (kind === 'number') return numeric(DECIMAL, `a number from ${min} to ${max}`, inRange);
  if (!rule.zeroAllowed) return milliseconds(min, max);
  return numeric(WHOLE, `0 or whole milliseconds from ${min} to ${max}`, (value) => value === 0 || inRange(value));
};
