/** Text as the wire takes it, of whatever a handler gave. */

/** 1 to `max` characters, no NUL, no half of a surrogate pair. */
export const wireText = (text: string, max: number): string =>
  text
    .slice(0, max)
    .replaceAll('\0', '')
    .replaceAll(/\p{Surrogate}/gu, '\uFFFD') || '(empty)';

/** Anything as text: an object as JSON, where it has one. */
export const textOf = (value: unknown): string => {
  if (typeof value !== 'object' || value === null) return String(value);
  try {
    const text: unknown = JSON.stringify(value);
    return typeof text === 'string' ? text : 'an object that JSON leaves out';
  } catch {
    return Object.prototype.toString.call(value);
  }
};

/** The code of an error: text, or a number as text. Undefined when it is anything else, or empty, which no error takes. */
export const codeText = (code: unknown): string | undefined => {
  if (typeof code !== 'string' && typeof code !== 'number' && typeof code !== 'bigint') return undefined;
  return code === '' ? undefined : wireText(String(code), 120);
};
