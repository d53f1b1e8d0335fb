/**
 * JSON in its one canonical form (RFC 8785): what is hashed, stored, and compared.
 *
 * Refuses what would not come back as it went in, or what a log refuses when it is too late to say whose fault it is.
 */

/** The value has no canonical form. The message names where and why. */
export class NotCanonical extends Error {}

/** Deeper is a cycle, or somebody trying the stack. */
const MAX_DEPTH = 200;

const unstorable = /\0|\p{Surrogate}/u;

const text = (value: string, path: string): string => {
  if (unstorable.test(value)) throw new NotCanonical(`${path} holds \\u0000 or half of a surrogate pair`);
  return JSON.stringify(value);
};

/** An object made by `{}`, `JSON.parse` or `Object.create(null)`, of this realm or another. */
const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
};

const serialize = (value: unknown, path: string, depth: number): string => {
  switch (typeof value) {
    case 'string':
      return text(value, path);
    case 'number':
      if (!Number.isFinite(value)) throw new NotCanonical(`${path} is ${value}`);
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      break;
    default:
      throw new NotCanonical(`${path} is ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`}`);
  }
  if (value === null) return 'null';
  if (depth === MAX_DEPTH) throw new NotCanonical(`${path.slice(0, 60)}… is nested deeper than ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) {
    return `[${Array.from(value, (item, index) => serialize(item, `${path}[${index}]`, depth + 1)).join(',')}]`;
  }
  if (!isPlain(value)) throw new NotCanonical(`${path} is not a plain object`);
  return object(value as Record<string, unknown>, path, depth);
};

const object = (value: Record<string, unknown>, path: string, depth: number): string => {
  let members = '';
  // The default order of sort is by UTF-16 code units, which is the order that RFC 8785 asks for.
  for (const key of Object.keys(value).sort()) {
    const member = `${text(key, `a key of ${path}`)}:${serialize(value[key], `${path}.${key}`, depth + 1)}`;
    members += members === '' ? member : `,${member}`;
  }
  return `{${members}}`;
};

/**
 * @param name what to call the value in a message
 * @throws NotCanonical for undefined (members too), a non-finite number, bigint, function, symbol, an object that is
 *   not plain, `\u0000`, a lone surrogate, or more than 200 levels
 */
export const canonicalJson = (value: unknown, name = 'value'): string => serialize(value, name, 0);
