/** The command line of `npm run soak`. */
import { parseArgs } from 'node:util';
import { UsageError } from '../../src/cli/usage-error.js';
import { nearName } from '../../src/config/near-name.js';
import { FAULTS, type FaultName } from './faults.js';
import type { LogName } from './site.js';
import { type LoadName, LOADS } from './soak.js';

export interface SoakArguments {
  readonly minutes: number;
  /** Null: as long as `minutes` says. */
  readonly lifecycles: number | null;
  readonly log: LogName;
  readonly seed: number;
  readonly keep: string | null;
  readonly load: LoadName;
  /** Null: all that can be made there. */
  readonly faults: readonly FaultName[] | null;
}

const OPTIONS = ['minutes', 'lifecycles', 'log', 'seed', 'keep', 'faults', 'load'] as const;
type OptionName = (typeof OPTIONS)[number];
const LOGS: readonly LogName[] = ['postgres', 'eventstoredb'];
const USUAL_MINUTES = 3;
const MAX_MINUTES = 24 * 60;
const MAX_SEED = 2 ** 32 - 1;

const wholeOf = (name: OptionName, text: string, most: number): number => {
  const value = Number(text);
  const least = name === 'seed' ? 0 : 1;
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`--${name}: expected a whole number from ${least} to ${most}, not "${text}"`);
};

const faultsIn = (text: string): readonly FaultName[] =>
  text.split(',').map((asked) => {
    const known = Object.keys(FAULTS) as FaultName[];
    const name = known.find((each) => each === asked);
    if (name !== undefined) return name;
    throw new UsageError(`--faults: expected some of ${known.join(',')}, not "${asked}"`);
  });

/** @throws UsageError that names what is unknown or wrong. */
export const readArguments = (args: readonly string[], chance: () => number): SoakArguments => {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(OPTIONS.map((name) => [name, { type: 'string' as const }])),
    strict: false,
    tokens: true,
  });
  const given = new Map<OptionName, string>();
  for (const token of tokens) {
    if (token.kind === 'positional') throw new UsageError(`no arguments are taken, and ${token.value} was given`);
    if (token.kind !== 'option') continue;
    const name = OPTIONS.find((known) => known === token.name);
    if (name === undefined) {
      const near = nearName(
        token.rawName,
        [...OPTIONS, 'help'].map((known) => `--${known}`),
      );
      throw new UsageError(`no such option: ${token.rawName}${near === undefined ? '' : `, did you mean ${near}?`}`);
    }
    if (token.value === undefined || token.value === '') throw new UsageError(`--${name}: expected a value`);
    if (given.has(name)) throw new UsageError(`--${name} is given twice`);
    given.set(name, token.value);
  }
  const text = (name: OptionName): string | undefined => given.get(name);
  const whole = (name: OptionName, most: number): number | undefined => {
    const value = text(name);
    return value === undefined ? undefined : wholeOf(name, value, most);
  };
  const oneOf = <Name extends string>(name: OptionName, names: readonly Name[], usual: Name): Name => {
    const given = text(name) ?? usual;
    const known = names.find((each) => each === given);
    if (known !== undefined) return known;
    throw new UsageError(`--${name}: expected one of ${names.join(', ')}, not "${given}"`);
  };
  if (given.has('minutes') && given.has('lifecycles')) {
    throw new UsageError('--minutes and --lifecycles: expected one of them');
  }
  return {
    minutes: whole('minutes', MAX_MINUTES) ?? USUAL_MINUTES,
    lifecycles: whole('lifecycles', Number.MAX_SAFE_INTEGER) ?? null,
    log: oneOf('log', LOGS, 'postgres'),
    load: oneOf('load', Object.keys(LOADS) as LoadName[], 'all'),
    seed: whole('seed', MAX_SEED) ?? Math.floor(chance() * MAX_SEED),
    keep: text('keep') ?? null,
    faults: given.has('faults') ? faultsIn(given.get('faults') ?? '') : null,
  };
};
