/** What commands say of themselves. */
import { optionsOf } from './command-line.js';
import type { Command, Option } from './command.js';
import { EXIT_MEANINGS } from './exit-codes.js';

const TWO_COLUMNS_MAX = 24;

const twoColumns = (rows: readonly (readonly [string, string])[]): string[] => {
  const width = Math.min(TWO_COLUMNS_MAX, Math.max(...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd());
};

const optionRow = ([name, { value, help, repeatable }]: [string, Option]): [string, string] => [
  `--${name}${value === undefined ? '' : ` ${value}`}`,
  repeatable === true ? `${help}; repeatable` : help,
];

const exitCodes = (): string =>
  `Exit codes:\n${twoColumns(EXIT_MEANINGS.map(([code, meaning]) => [`${code}`, meaning])).join('\n')}`;

export const commandHelp = (command: Command): string => {
  const { words, summary, about, positionals, examples } = command;
  const usage = ['jobledger', ...words, positionals?.usage, '[options]'].filter((part) => part !== undefined);
  return [
    `${usage.join(' ')}\n\n${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
    ...(about === undefined ? [] : [about]),
    `Options:\n${twoColumns(Object.entries(optionsOf(command)).map(optionRow)).join('\n')}`,
    ...(examples.length === 0 ? [] : [`Examples:\n${examples.map((example) => `  ${example}`).join('\n')}`]),
    exitCodes(),
  ].join('\n\n');
};

/** @param words of the group; none for all commands. */
export const groupHelp = (words: readonly string[], commands: readonly Command[]): string => {
  const rows = commands.map(({ words: own, positionals, summary }): [string, string] => [
    [...own, positionals?.usage].filter((part) => part !== undefined).join(' '),
    summary,
  ]);
  return [
    `jobledger ${[...words, '<command>'].join(' ')} [options]`,
    twoColumns(rows).join('\n'),
    'Each command says with --help what it takes. Tables are for people; --json is for programs, one document a line\nwhere it streams. The service is at --url, JOBLEDGER_URL or http://127.0.0.1:8080; the key of who asks is --key or\nJOBLEDGER_API_KEY.',
    exitCodes(),
  ].join('\n\n');
};
