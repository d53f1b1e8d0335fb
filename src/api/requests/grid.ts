/**
 * A grid of parameters: every combination of their values makes a job. It is counted and weighed before any job is made,
 * so a small request cannot ask for more than a list of jobs could hold.
 */
import { z } from 'zod';
import type { Value } from '../../domain/job-events.js';
import { isObject, type Members } from './fields.js';

export const MAX_BATCH_JOBS = 1_000;
/** Of all payloads together: what a request may have. */
export const MAX_EXPANDED_BYTES = 16 * 1024 * 1024;
const MAX_PARAMETER = 120;
const MAX_PARAMETERS = 100;

/** Values by parameter. */
export type Grid = Readonly<Record<string, readonly Value[]>>;

/** How many jobs it makes. */
const sizeOf = (axes: readonly (readonly unknown[])[]): number => axes.reduce((size, { length }) => size * length, 1);

const GRID_TEXT = 'an object of lists: the values of each parameter';

/** Judged by hand: a parameter may have any name, `__proto__` too, which a schema of records would leave out. */
export const grid = z
  .custom<Grid>()
  .superRefine((value: unknown, context) => {
    const issue = (message: string, path: readonly string[] = []): undefined => {
      context.addIssue({ code: 'custom', message, path: [...path], input: value, continue: false });
      return undefined;
    };
    if (!isObject(value)) {
      issue(`must be ${GRID_TEXT}`);
      return;
    }
    const axes = Object.entries(value);
    if (axes.length === 0) {
      issue('must have at least 1 parameter');
      return;
    }
    if (axes.length > MAX_PARAMETERS) {
      issue(`must have at most ${MAX_PARAMETERS} parameters: it has ${axes.length}`);
      return;
    }
    const wrong = axes.filter(([name, values]) => name === '' || name.length > MAX_PARAMETER || !isList(values));
    for (const [name] of wrong)
      issue(`must be a list of at least 1 value, named with 1–${MAX_PARAMETER} characters`, [name]);
    if (wrong.length > 0) return undefined;
    const size = sizeOf(axes.map(([, values]) => values as readonly unknown[]));
    if (size > MAX_BATCH_JOBS) issue(`must make at most ${MAX_BATCH_JOBS} jobs: its values make ${size}`);
    return undefined;
  })
  .meta({
    type: 'object',
    additionalProperties: { type: 'array', minItems: 1, items: {} },
    minProperties: 1,
    maxProperties: MAX_PARAMETERS,
    propertyNames: { minLength: 1, maxLength: MAX_PARAMETER },
  });

const isList = (value: unknown): boolean => Array.isArray(value) && value.length > 0;

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** What of the template's payload stands in every job: the grid wins. */
const kept = (payload: Members, axes: Grid): Members =>
  Object.fromEntries(Object.entries(payload).filter(([name]) => !Object.hasOwn(axes, name)));

/** Bytes of all payloads together, give or take a comma. */
export const expandedBytes = (payload: Members, axes: Grid): number => {
  const size = sizeOf(Object.values(axes));
  const values = Object.entries(axes).map(([name, list]) => {
    const once = list.reduce<number>((bytes, value) => bytes + bytesOf(name) + bytesOf(value) + 2, 0);
    return (once * size) / list.length;
  });
  return values.reduce((sum, bytes) => sum + bytes, size * bytesOf(kept(payload, axes)));
};

/** The payload of its largest job. */
export const largestPayload = (payload: Members, axes: Grid): Members => {
  const largest = (list: readonly Value[]): Value => list.reduce((a, b) => (bytesOf(b) > bytesOf(a) ? b : a));
  return { ...payload, ...Object.fromEntries(Object.entries(axes).map(([name, list]) => [name, largest(list)])) };
};

/** Which value of each parameter the nth combination has, the last one varying fastest. */
const nthOf = (
  axes: readonly (readonly [string, readonly Value[]])[],
  nth: number,
): readonly (readonly [string, Value])[] => {
  let rest = nth;
  return axes
    .map(([name, values]) => {
      const value = values[rest % values.length]!;
      rest = Math.floor(rest / values.length);
      return [name, value] as const;
    })
    .reverse();
};

/** The payload of each combination, the last parameter varying fastest. Each is made once, whatever the parameters are. */
export const combinations = (payload: Members, axes: Grid): readonly Members[] => {
  const [members, fastestFirst] = [Object.entries(payload), Object.entries(axes).reverse()];
  return Array.from({ length: sizeOf(Object.values(axes)) }, (_, nth) =>
    Object.fromEntries([...members, ...nthOf(fastestFirst, nth)]),
  );
};
