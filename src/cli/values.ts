/** What was given on a command line, read by name. */
import { UsageError } from './usage-error.js';

export class Values<Name extends string = string> {
  /** @param given the values of each option, in order; an empty list for one that takes none. */
  constructor(
    private readonly given: ReadonlyMap<string, readonly string[]>,
    readonly positionals: readonly string[],
  ) {}

  flag(name: Name): boolean {
    return this.given.has(name);
  }

  text(name: Name): string | undefined {
    return this.given.get(name)?.at(-1);
  }

  /** Undefined when it was not given. */
  texts(name: Name): readonly string[] | undefined {
    return this.given.get(name);
  }

  /** @throws UsageError */
  whole(name: Name, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
    throw new UsageError(`--${name}: expected a whole number from ${min} to ${max}, not "${text}"`);
  }
}
