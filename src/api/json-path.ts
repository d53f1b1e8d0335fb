/** Where a value stands in a request: `jobs[3].payload.a`, `payload["not a name"]`; the whole is the empty path. */

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
/** Keys are the client's: a path in an answer stays short whatever they are. */
const MAX_KEY = 120;

const shortened = (key: string): string => (key.length > MAX_KEY ? `${key.slice(0, MAX_KEY)}…` : key);

const child = (parent: string, key: string | number): string => {
  if (typeof key === 'number') return `${parent}[${key}]`;
  if (!IDENTIFIER.test(key)) return `${parent}[${JSON.stringify(shortened(key))}]`;
  return parent === '' ? shortened(key) : `${parent}.${shortened(key)}`;
};

/** A list of keys as text. */
export const pathOf = (keys: readonly PropertyKey[]): string =>
  keys.reduce<string>((path, key) => child(path, typeof key === 'symbol' ? String(key) : key), '');
