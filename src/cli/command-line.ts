/** From words to a command and its values. What is unknown or wrong is said by name, with what was probably meant. */
import { parseArgs } from 'node:util';
import { nearName } from '../config/near-name.js';
import type { Command, Option } from './command.js';
import { UsageError } from './usage-error.js';
import { Values } from './values.js';

/** Of every command that asks a service. */
export const CONNECTION_OPTIONS: Readonly<Record<string, Option>> = {
  url: { value: 'URL', help: 'where the service is (JOBLEDGER_URL, else http://127.0.0.1:8080)' },
  timeout: { value: 'SECONDS', help: 'how long to wait for an answer (10)' },
  key: { value: 'KEY', help: 'API key (JOBLEDGER_API_KEY); the variable is not shown in lists of processes' },
};
/** Of every command that the service does once for a key. */
export const KEY_OPTION = 'idempotency-key';
const KEYED_OPTIONS: Readonly<Record<string, Option>> = {
  [KEY_OPTION]: {
    value: 'KEY',
    help: 'the same key again, with the same command, does nothing twice, and prints the first answer',
  },
};
/** Of every command. */
export const HELP_OPTION: Readonly<Record<string, Option>> = { help: { help: 'show this (-h)' } };
const HELP_LETTER = 'h';

export const isHelpOption = (word: string): boolean => word === '--help' || word === `-${HELP_LETTER}`;

export const optionsOf = ({ options, asksService, isKeyed }: Command): Readonly<Record<string, Option>> => ({
  ...options,
  ...(isKeyed ? KEYED_OPTIONS : {}),
  ...(asksService ? CONNECTION_OPTIONS : {}),
  ...HELP_OPTION,
});

/** What the words before the first option ask for. */
export type Found =
  | { readonly kind: 'command'; readonly command: Command; readonly rest: readonly string[] }
  /** The first word or none: help is about these. */
  | { readonly kind: 'group'; readonly words: readonly string[]; readonly commands: readonly Command[] };

const didYouMean = (name: string, known: readonly string[]): string => {
  const near = nearName(name, known);
  return near === undefined ? '' : `, did you mean ${near}?`;
};

/** What was asked for with its words turned round: `log verify`, `list jobs`. */
const turnedRound = (commands: readonly Command[], [first, second]: readonly string[]): string | undefined => {
  const isMeant = ({ words, positionals }: Command): boolean =>
    words[0] === second && (words.length === 1 ? positionals !== undefined : words[1] === first);
  return second !== undefined && commands.some(isMeant) ? `${second} ${first}` : undefined;
};

/** Options before the command belong to it: `jobledger --url … jobs list`. */
const optionsLast = (args: readonly string[]): string[] => {
  const first: string[] = [];
  const rest = [...args];
  while (rest[0]?.startsWith('--') === true && rest[0] !== '--') {
    const option = rest.shift() ?? '';
    first.push(option);
    if (CONNECTION_OPTIONS[option.slice(2)]?.value !== undefined) first.push(...rest.splice(0, 1));
  }
  return first.length === 0 ? rest : [...rest, ...first];
};

/** @throws UsageError when there is no such command. */
export const findCommand = (commands: readonly Command[], args: readonly string[]): Found => {
  const words = optionsLast(args);
  const end = words.findIndex((word) => word.startsWith('-'));
  const named = end < 0 ? words : words.slice(0, end);
  const found = commands
    .filter((command) => command.words.every((word, at) => word === named[at]))
    .sort((a, b) => b.words.length - a.words.length)[0];
  if (found !== undefined) return { kind: 'command', command: found, rest: words.slice(found.words.length) };
  const [first, second] = named;
  if (first === undefined) {
    const [option = '--help'] = words;
    if (!isHelpOption(option)) throw new UsageError(`no command is given, only ${option}`);
    return { kind: 'group', words: [], commands };
  }
  const group = commands.filter(({ words: [word] }) => word === first);
  if (group.length > 0 && second === undefined) return { kind: 'group', words: [first], commands: group };
  const turned = turnedRound(commands, named);
  if (turned !== undefined) throw new UsageError(`no such command: ${first} ${second}, did you mean ${turned}?`);
  const asked = group.length > 0 ? `${first} ${second}` : first;
  const known = group.length > 0 ? group.map((one) => one.words.join(' ')) : commands.map((one) => one.words[0] ?? '');
  throw new UsageError(`no such command: ${asked}${didYouMean(asked, known)}`);
};

/** @throws UsageError that names what is unknown, missing or too much. */
export const readValues = (command: Command, args: readonly string[]): Values => {
  const options = optionsOf(command);
  const types = Object.entries(options).map(([name, { value }]) => [
    name,
    {
      type: value === undefined ? ('boolean' as const) : ('string' as const),
      ...(name === 'help' && { short: HELP_LETTER }),
    },
  ]);
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(types) as Record<string, { type: 'boolean' | 'string' }>,
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const given = new Map<string, string[]>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind === 'option') take(given, options, token, command.hint);
  }
  if (!given.has('help')) checkPositionals(command, positionals);
  return new Values(given, positionals);
};

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  /** Whether it was given as `--name=value`. */
  readonly inlineValue: boolean | undefined;
}

const take = (
  given: Map<string, string[]>,
  options: Readonly<Record<string, Option>>,
  { name, rawName, value, inlineValue }: OptionToken,
  hint: string | undefined,
): void => {
  const option = Object.hasOwn(options, name) ? options[name] : undefined;
  if (option === undefined) {
    const known = Object.keys(options).map((one) => `--${one}`);
    throw new UsageError(
      `no such option: ${rawName}${didYouMean(rawName, known)}${hint === undefined ? '' : `; ${hint}`}`,
    );
  }
  if (option.value === undefined && value !== undefined) throw new UsageError(`${rawName} takes no value`);
  const isMissing = value === undefined || (inlineValue === false && value.startsWith('--'));
  if (option.value !== undefined && isMissing) throw new UsageError(`${rawName}: expected ${option.value}`);
  const before = given.get(name);
  if (before !== undefined && option.repeatable !== true) throw new UsageError(`${rawName} is given twice`);
  given.set(name, [...(before ?? []), ...(value === undefined ? [] : [value])]);
};

const checkPositionals = ({ positionals: takes }: Command, given: readonly string[]): void => {
  const { usage, min, max } = takes ?? { usage: '', min: 0, max: 0 };
  if (given.length >= min && given.length <= max) return;
  if (max === 0) throw new UsageError(`no arguments are taken, and ${given.join(' ')} was given`);
  throw new UsageError(`expected ${usage}, not ${given.length === 0 ? 'nothing' : given.join(' ')}`);
};
