/** Bounds the size of values as they would be stored, compact and in UTF-8. */

/** Escaped, a character takes at most six bytes: `\u001f`. */
const MAX_BYTES_PER_CHAR = 6;
/** The longest text of a double, with its comma: `-1.2345678901234567e-100,`. */
const SCALAR_BYTES = 26;

/** At least as many bytes as the compact JSON text; stops counting beyond the limit. */
const upperBound = (value: unknown, limit: number): number => {
  if (typeof value === 'string') return value.length * MAX_BYTES_PER_CHAR + 3;
  if (typeof value !== 'object' || value === null) return SCALAR_BYTES;
  let bytes = 3;
  if (Array.isArray(value)) {
    for (const element of value) {
      bytes += upperBound(element, limit);
      if (bytes > limit) break;
    }
    return bytes;
  }
  const members = value as Record<string, unknown>;
  for (const name in members) {
    bytes += name.length * MAX_BYTES_PER_CHAR + 4 + upperBound(members[name], limit);
    if (bytes > limit) break;
  }
  return bytes;
};

/**
 * Is the compact JSON text of the value longer than `limit` bytes? Small values, nearly all, are told from a bound that
 * costs no text.
 */
export const exceedsJsonBytes = (value: unknown, limit: number): boolean =>
  upperBound(value, limit) > limit && Buffer.byteLength(JSON.stringify(value)) > limit;
