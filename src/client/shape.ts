/**
 * What an answer has to have to be one of the ledger: whatever stands in front of it, or in its place, may say 200 too. Only
 * what callers rely on is looked at, so that a newer ledger may say more.
 */

/** A text, a list, a list of such, or an object with at least these members. */
export type Shape = 'text' | 'list' | readonly [Shape] | { readonly [member: string]: Shape };

const membersOf = (body: unknown): Readonly<Record<string, unknown>> | null =>
  typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as Record<string, unknown>) : null;

/** The path of the first thing that is lacking, as in `items[0].jobId`; null when nothing is. */
const lackOf = (body: unknown, shape: Shape, path: string): string | null => {
  if (shape === 'text') return typeof body === 'string' && body !== '' ? null : path;
  if (shape === 'list') return Array.isArray(body) ? null : path;
  if (isList(shape)) {
    if (!Array.isArray(body)) return path;
    return firstOf(body, (each: unknown, at) => lackOf(each, shape[0], `${path}[${at}]`));
  }
  const members = membersOf(body);
  return firstOf(Object.entries(shape), ([name, inner]) =>
    lackOf(members?.[name], inner, path === '' ? name : `${path}.${name}`),
  );
};

/** Apart, because `Array.isArray` narrows no list that is read-only. */
const isList = (shape: Shape): shape is readonly [Shape] => Array.isArray(shape);

const firstOf = <T>(all: readonly T[], look: (one: T, at: number) => string | null): string | null => {
  for (const [at, one] of all.entries()) {
    const found = look(one, at);
    if (found !== null) return found;
  }
  return null;
};

/** Why this is no answer of a ledger; null when it is one. */
export const strangenessOf = (body: unknown, shape: Shape): Error | null => {
  const lack = lackOf(body, shape, '');
  return lack === null ? null : new Error(`an answer without ${lack}, so not of the service: does the URL lead to it?`);
};

export const COMMAND: Shape = { jobId: 'text' };
export const CREATED: Shape = { items: [COMMAND] };
export const CLAIMED: Shape = { jobs: [{ leaseToken: 'text', job: { id: 'text' } }] };
export const BEAT: Shape = { leaseExpiresAt: 'text', directive: 'text' };
export const SWEPT: Shape = { jobs: 'list' };
export const UPKEEP: Shape = { id: 'text', state: 'text' };
export const PAGE: Shape = { items: 'list' };
export const JOB: Shape = { id: 'text' };
export const READY: Shape = { status: 'text' };
