/**
 * Cursors of lists: where a page ended, as opaque text. A cursor holds a fingerprint of the filter and sort that it came
 * from, since continuing another list at that place would skip or repeat silently. It is no secret and needs no
 * signature: whoever forges one sees what the filter shows them anyway.
 */
import { createHash } from 'node:crypto';
import { validationFailed } from './problem.js';

/** The sort values of the last row of a page, its id last. Null where the row has none. */
export type CursorKey = readonly (string | number | null)[];

const FINGERPRINT_BYTES = 9;
/** Of a cursor as sent; ours are far shorter. */
const MAX_CHARS = 1_000;

/** The order in which a filter names its fields or values changes nothing about the list. */
const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map((each) => JSON.stringify(canonical(each))).sort();
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return entries.map(([field, member]) => [field, canonical(member)] as const).sort(([a], [b]) => (a < b ? -1 : 1));
};

const fingerprint = (list: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify(canonical(list)))
    .digest()
    .subarray(0, FINGERPRINT_BYTES)
    .toString('base64url');

/**
 * The cursor after the row with this key.
 * @param list all that defines the list: which one it is, filter and sort; neither limit nor cursor.
 */
export const encodeCursor = (list: unknown, key: CursorKey): string =>
  Buffer.from(JSON.stringify([fingerprint(list), ...key])).toString('base64url');

const isKeyPart = (part: unknown): part is string | number | null =>
  part === null || typeof part === 'string' || typeof part === 'number';

const parse = (cursor: string): unknown => {
  if (cursor.length > MAX_CHARS) return undefined;
  const bytes = Buffer.from(cursor, 'base64url');
  if (bytes.toString('base64url') !== cursor) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
};

const refused = (why: string) => validationFailed([{ path: 'cursor', message: `cursor must be ${why}` }]);

/**
 * The key that `encodeCursor` was given for the same list.
 * @param isKey whether the values are of the kinds that this list sorts by: they go into a query.
 * @throws Problem `validation_failed` when it is no cursor, or one of another filter or sort.
 */
export const decodeCursor = <Key extends CursorKey>(
  list: unknown,
  cursor: string,
  isKey: (key: CursorKey) => key is Key,
): Key => {
  const parts = parse(cursor);
  if (!Array.isArray(parts) || !parts.every(isKeyPart)) throw refused('the nextCursor of a page');
  const [made, ...key] = parts;
  if (made !== fingerprint(list)) throw refused('of a page with the same filter and sort');
  if (!isKey(key)) throw refused('the nextCursor of a page');
  return key;
};
