/** Options that are wrong are refused when something is made of them, not when it first fails. */

/** A value as it was given, short. */
const shown = (value: unknown): string => {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  try {
    return (value === undefined ? 'undefined' : JSON.stringify(value)).slice(0, 120);
  } catch {
    return typeof value;
  }
};

/** @throws RangeError that names the option, what it takes, and what it was given. */
export const refuse = (option: string, takes: string, given: unknown): never => {
  throw new RangeError(`${option}: ${takes}, not ${shown(given)}`);
};

/** Absent is fine: there is a default. */
export const requireWhole = (option: string, value: unknown, min: number, max: number): void => {
  if (value === undefined || (Number.isInteger(value) && Number(value) >= min && Number(value) <= max)) return;
  refuse(option, `a whole number from ${min} to ${max}`, value);
};

/** @throws RangeError for a name that is no option: misspelt, it would be a default that nobody asked for. */
export const requireKnown = (what: string, given: object, known: readonly string[]): void => {
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new RangeError(`${what} has no option ${unknown}: it has ${known.join(', ')}`);
};
