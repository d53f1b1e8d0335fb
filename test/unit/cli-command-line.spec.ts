/** The command line: what is asked for is found, what is wrong is said with what was probably meant. */
import { describe, expect, it } from '@jest/globals';
import { type Command, command } from '../../src/cli/command.js';
import { findCommand, optionsOf, readValues } from '../../src/cli/command-line.js';
import { readConnection } from '../../src/cli/connection.js';
import { commandHelp, groupHelp } from '../../src/cli/help.js';
import { UsageError } from '../../src/cli/usage-error.js';
import { ConfigError } from '../../src/config.js';

const spec = (words: string[], over: Partial<Command> = {}): Command =>
  command({
    ...{ words, summary: `does ${words.join(' ')}`, examples: [`jobledger ${words.join(' ')}`], asksService: true },
    options: {
      queue: { value: 'QUEUE', repeatable: true, help: 'of this queue' },
      limit: { value: 'N', help: 'at most' },
      json: { help: 'JSON' },
    },
    run: () => Promise.resolve(0),
    ...over,
  });

const list = spec(['jobs', 'list']);
const show = spec(['jobs', 'show'], { positionals: { usage: 'JOB', min: 1, max: 1 } });
const COMMANDS = [list, show, spec(['verify'], { positionals: { usage: 'NAME', min: 0, max: 9 } })];

const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error('it was accepted');
};

describe('finding a command', () => {
  it('takes the words, and leaves the rest', () => {
    expect(findCommand(COMMANDS, ['jobs', 'show', 'x', '--json'])).toEqual({
      ...{ kind: 'command', command: show, rest: ['x', '--json'] },
    });
  });

  it('takes options that stand before it', () => {
    expect(findCommand(COMMANDS, ['--url', 'http://a', 'jobs', 'list'])).toMatchObject({
      ...{ command: list, rest: ['--url', 'http://a'] },
    });
  });

  it('tells of a group, or of all, when no command is named', () => {
    expect(findCommand(COMMANDS, ['jobs', '--help'])).toMatchObject({ kind: 'group', commands: [list, show] });
    expect(findCommand(COMMANDS, [])).toMatchObject({ kind: 'group', commands: COMMANDS });
  });

  it.each([
    [['jobs', 'lst'], 'no such command: jobs lst, did you mean jobs list?'],
    [['verfy'], 'no such command: verfy, did you mean verify?'],
    [['log', 'verify'], 'no such command: log verify, did you mean verify log?'],
    [['jobs', 'verify', '--json'], 'no such command: jobs verify, did you mean verify jobs?'],
    [['list', 'jobs'], 'no such command: list jobs, did you mean jobs list?'],
    [['frobnicate', 'job'], 'no such command: frobnicate'],
    [['frobnicate'], 'no such command: frobnicate'],
    [['--json'], 'no command is given, only --json'],
  ])('%j is refused: %s', (args, message) => {
    expect(refusal(() => findCommand(COMMANDS, args))).toBe(message);
  });
});

describe('reading values', () => {
  it('reads flags, values with and without =, repeats, and what stands behind --', () => {
    const values = readValues(show, ['--queue', 'a', '--queue=b', '--limit=5', '--json', '--', '--x']);
    expect(values.texts('queue')).toEqual(['a', 'b']);
    expect([values.whole('limit', 1, 9), values.flag('json'), values.positionals]).toEqual([5, true, ['--x']]);
    expect(values.text('url')).toBeUndefined();
  });

  it('takes a value that begins with a dash, as a sort has it', () => {
    expect(readValues(list, ['--limit', '-createdAt']).text('limit')).toBe('-createdAt');
  });

  it.each([
    [list, ['--statsu', 'x'], 'no such option: --statsu'],
    [list, ['--jsno'], 'no such option: --jsno, did you mean --json?'],
    [list, ['-q'], 'no such option: -q'],
    [list, ['--queue'], '--queue: expected QUEUE'],
    [list, ['--queue', '--json'], '--queue: expected QUEUE'],
    [list, ['--json=1'], '--json takes no value'],
    [list, ['--limit', '1', '--limit', '2'], '--limit is given twice'],
    [list, ['x'], 'no arguments are taken, and x was given'],
    [show, [], 'expected JOB, not nothing'],
    [show, ['a', 'b'], 'expected JOB, not a b'],
    [list, ['--toString'], 'no such option: --toString'],
  ])('of %# %j is refused: %s', (one, args, message) => {
    expect(refusal(() => readValues(one, args))).toBe(message);
  });

  it('refuses a number that is none, or out of range', () => {
    expect(refusal(() => readValues(list, ['--limit', '1e3']).whole('limit', 1, 10))).toBe(
      '--limit: expected a whole number from 1 to 10, not "1e3"',
    );
    expect(refusal(() => readValues(list, ['--limit', '11']).whole('limit', 1, 10))).toContain('from 1 to 10');
  });

  it('asks for nothing more when help is wanted', () => {
    expect(readValues(show, ['--help']).flag('help')).toBe(true);
  });
});

describe('the connection', () => {
  const connection = (args: readonly string[], env: NodeJS.ProcessEnv) => readConnection(readValues(list, args), env);

  it('is that of the option, else of the variable', () => {
    const env = { JOBLEDGER_URL: 'http://env:1', JOBLEDGER_API_KEY: 'k' };
    expect(connection(['--url', 'http://option:1', '--key', 'o'], env)).toEqual({
      url: 'http://option:1',
      apiKey: 'o',
      timeoutMs: null,
    });
    expect(connection(['--timeout', '3'], env)).toEqual({ url: 'http://env:1', apiKey: 'k', timeoutMs: 3_000 });
    expect(connection([], {})).toEqual({ url: null, apiKey: null, timeoutMs: null });
  });

  it.each(['JOBLEDGER_URL', 'JOBLEDGER_API_KEY'])('takes no empty or blank %s for none', (name) => {
    for (const text of ['', ' ']) {
      expect(() => connection([], { [name]: text })).toThrow(
        new ConfigError(`${name}: is empty: give it a value, or unset it`),
      );
    }
    expect(connection(['--url', 'http://option:1', '--key', 'o'], { [name]: '' }).apiKey).toBe('o');
  });

  it('takes no empty key', () => {
    expect(refusal(() => connection(['--key', ''], {}))).toContain('--key is empty: ');
  });

  it('waits for a whole number of seconds', () => {
    expect(refusal(() => connection(['--timeout', '0'], {}))).toContain('--timeout: expected a whole number from 1');
  });

  it.each(['localhost:8080', 'ftp://x', 'x'])('is refused as %s', (url) => {
    expect(refusal(() => connection(['--url', url], {}))).toContain('expected the URL of a service');
  });
});

describe('help', () => {
  it('names every option, examples, and what exit codes mean', () => {
    const help = commandHelp(show);
    for (const name of Object.keys(optionsOf(show))) expect(help).toContain(`--${name}`);
    expect(help).toMatch(/^jobledger jobs show JOB \[options\]\n/);
    expect(help).toContain('Examples:\n  jobledger jobs show');
    expect(help).toMatch(/^ {2}3 .*no service answers/m);
  });

  it('of a group names its commands', () => {
    expect(groupHelp(['jobs'], [list, show])).toMatch(
      / {2}jobs list +does jobs list\n {2}jobs show JOB +does jobs show/,
    );
  });
});
