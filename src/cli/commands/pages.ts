/** Lists that may be longer than somebody wants to see. */
import type { JobledgerClient, Page } from '../../client/client.js';
import type { Option } from '../command.js';
import type { Terminal } from '../terminal.js';
import type { Values } from '../values.js';

export const LIST_OPTIONS = {
  limit: { value: 'N', help: 'at most N of them (50)' },
  all: { help: 'all of them' },
  json: { help: 'a JSON array' },
} as const satisfies Record<string, Option>;

const LARGEST_PAGE = 200;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1_000_000;

export const limitOf = (values: Values<'limit' | 'all'>): number =>
  values.flag('all') ? Infinity : (values.whole('limit', 1, MAX_LIMIT) ?? DEFAULT_LIMIT);

export interface Listed<T> {
  readonly items: readonly T[];
  /** There are more than were asked for. */
  readonly hasMore: boolean;
}

/** @param page asks for one page of at most so many. */
export const readList = async <T>(
  ledger: JobledgerClient,
  limit: number,
  page: (query: { readonly limit: number; readonly cursor?: string | undefined }) => Promise<Page<T>>,
): Promise<Listed<T>> => {
  const items: T[] = [];
  const size = Math.min(LARGEST_PAGE, limit);
  for await (const item of ledger.everyItem((cursor) => page({ limit: size, cursor }))) {
    if (items.length === limit) return { items, hasMore: true };
    items.push(item);
    // The next one would be asked for only to learn that it is there.
  }
  return { items, hasMore: false };
};

export const printJson = (terminal: Terminal, value: unknown): Promise<void> =>
  terminal.line(JSON.stringify(value, null, 2));

/** One document a line. */
export const printJsonLine = (terminal: Terminal, value: unknown): Promise<void> =>
  terminal.line(JSON.stringify(value));

export const printLines = async (terminal: Terminal, lines: readonly string[]): Promise<void> => {
  for (const line of lines) await terminal.line(line);
};

/** Said beside the table, so that nobody takes a part for the whole. */
export const noteMore = (terminal: Terminal, { items, hasMore }: Listed<unknown>): void => {
  if (hasMore) terminal.note(`the first ${items.length}; --limit N or --all shows more`);
};
