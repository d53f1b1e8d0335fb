/**
 * JSON in its one canonical form (RFC 8785): what is hashed, stored, and compared.
 *
 * Refuses what would not come back as it went in, or what a log refuses when it is too late to say whose fault it is.
 */

/** The value has no canonical form. The message names where and why. */
export class NotCanonical extends Error {}

/** Deeper is a cycle, or somebody trying the stack. */
const MAX_DEPTH = 200;

/** Why, and the way to where, from the inside out: paths are only put together when something is wrong. */
class Fault extends Error {
  readonly path: string[] = [];
}

const within = (error: unknown, step: string): unknown => {
  if (error instanceof Fault) error.path.push(step);
  return error;
};

/** ES2024; in every supported Node. */
const isWellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed();

/** Whether the text comes back from a log as it went in: no `\u0000`, no half of a surrogate pair. */
export const isStorable = (text: string): boolean => isWellFormed(text) && !text.includes('\0');

const string = (value: string): string => {
  if (!isStorable(value)) throw new Fault('holds \\u0000 or half of a surrogate pair');
  return JSON.stringify(value);
};

/** An object made by `{}`, `JSON.parse` or `Object.create(null)`, of this realm or another. */
const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
};

const serialize = (value: unknown, depth: number): string => {
  switch (typeof value) {
    case 'string':
      return string(value);
    case 'number':
      if (!Number.isFinite(value)) throw new Fault(`is ${value}`);
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'undefined':
      throw new Fault('is undefined');
    case 'object':
      if (value === null) return 'null';
      if (depth === MAX_DEPTH) throw new Fault(`is nested deeper than ${MAX_DEPTH} levels`);
      return Array.isArray(value) ? array(value, depth + 1) : object(value, depth + 1);
    default:
      throw new Fault(`is a ${typeof value}`);
  }
};

const array = (items: readonly unknown[], depth: number): string => {
  let text = '[';
  for (let index = 0; index < items.length; index += 1) {
    try {
      text += (index === 0 ? '' : ',') + serialize(items[index], depth);
    } catch (error) {
      throw within(error, `[${index}]`);
    }
  }
  return `${text}]`;
};

const object = (value: object, depth: number): string => {
  if (!isPlain(value)) throw new Fault('is not a plain object');
  let text = '{';
  // The default order of sort is by UTF-16 code units, which is the order that RFC 8785 asks for.
  for (const key of Object.keys(value).sort()) {
    try {
      text += `${text === '{' ? '' : ','}${string(key)}:${serialize((value as Record<string, unknown>)[key], depth)}`;
    } catch (error) {
      throw within(error, `.${isStorable(key) ? key : JSON.stringify(key)}`);
    }
  }
  return `${text}}`;
};

/**
 * Whether `JSON.stringify` writes the value in canonical form but for strings: it writes numbers and strings as RFC 8785
 * asks, and members in the order that they have.
 */
const isOrdered = (value: unknown, depth: number): boolean => {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object') return typeof value === 'string' || typeof value === 'boolean';
  if (value === null) return true;
  if (depth === MAX_DEPTH) return false;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) if (!isOrdered(value[index], depth + 1)) return false;
    return true;
  }
  if (!isPlain(value)) return false;
  let before = '';
  // A plain object inherits none; a list of the keys would be a twentieth of all that a command allocates.
  for (const key in value) {
    if (key < before || !isOrdered((value as Record<string, unknown>)[key], depth + 1)) return false;
    before = key;
  }
  return true;
};

/** Longest way that a message shows. */
const MAX_PATH = 100;

/**
 * @param name what to call the value in a message
 * @throws NotCanonical for undefined (members too), a non-finite number, bigint, function, symbol, an object that is
 *   not plain, `\u0000`, a lone surrogate, or more than 200 levels
 */
export const canonicalJson = (value: unknown, name = 'value'): string => {
  if (isOrdered(value, 0)) {
    // Four times as fast as writing it here. What may not be stored is written with an escape.
    const text = JSON.stringify(value);
    if (!text.includes('\\u')) return text;
  }
  try {
    return serialize(value, 0);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const path = name + error.path.reverse().join('');
    throw new NotCanonical(`${path.length > MAX_PATH ? `${path.slice(0, MAX_PATH)}…` : path} ${error.message}`);
  }
};

const OWN = { configurable: true, enumerable: true, writable: true } as const;

const itemsInOrder = (items: readonly unknown[]): readonly unknown[] => {
  const ordered = items.map(inOrder);
  return ordered.every((item, index) => item === items[index]) ? items : ordered;
};

const inOrder = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return itemsInOrder(value);
  const members = value as Record<string, unknown>;
  const keys = Object.keys(members);
  const ordered: Record<string, unknown> = {};
  let isSame = keys.every((key, index) => index === 0 || keys[index - 1]! < key);
  // By code units, as above.
  for (const key of isSame ? keys : keys.sort()) {
    const member = inOrder(members[key]);
    isSame &&= member === members[key];
    // An assignment to `__proto__` would make no member.
    if (key === '__proto__') Object.defineProperty(ordered, key, { ...OWN, value: member });
    else ordered[key] = member;
  }
  return isSame ? value : ordered;
};

/** The value with its members in the order in which the log gives them back; itself when they are. */
export const inCanonicalOrder = <Value>(value: Value): Value =>
  isOrdered(value, 0) ? value : (inOrder(value) as Value);
