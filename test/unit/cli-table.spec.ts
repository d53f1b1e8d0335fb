/** What people see: no line is wider than their terminal, whatever is in it. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type StreamColumn, streamRow } from '../../src/cli/commands/stream-rows.js';
import { type Column, renderFields, renderTable } from '../../src/cli/table.js';
import { clip, cut, formatDuration, printable, widthOf, wrap } from '../../src/cli/text.js';

interface Row {
  readonly id: string;
  readonly name: string;
  readonly note: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'NAME', value: ({ name }) => name, least: 6, dispensable: 1 },
  { title: 'NOTE', value: ({ note }) => note, least: 6, style: () => 'red' },
];
const plain = (_: string, text: string): string => text;
const coloured = (_: string, text: string): string => `\u001b[31m${text}\u001b[39m`;
const bare = (line: string): string => line.replaceAll(/\u001b\[\d+m/g, '');

const rows: readonly Row[] = [
  { id: 'a1', name: 'short', note: 'a note that is long enough to be cut' },
  { id: 'b2', name: 'a longer name', note: '' },
];

describe('a table', () => {
  it('is as wide as it is where no terminal reads', () => {
    expect(renderTable(COLUMNS, rows, { width: null, style: plain })).toEqual([
      'ID  NAME           NOTE',
      'a1  short          a note that is long enough to be cut',
      'b2  a longer name',
    ]);
  });

  it('cuts what may be cut, the widest first', () => {
    expect(renderTable(COLUMNS, rows, { width: 36, style: plain })).toEqual([
      'ID  NAME           NOTE',
      'a1  short          a note that is l…',
      'b2  a longer name',
    ]);
  });

  it('has lines, whatever is in a cell: a megabyte, lines of its own, what moves the cursor', () => {
    const notes = ['long '.repeat(400_000), '👍'.repeat(2_000), 'at a\r\nat b\u001b[2J', 'x'];
    const some = notes.map((note) => ({ id: 'a1', name: 'n', note }));
    for (const width of [null, 80]) {
      const lines = renderTable(COLUMNS, some, { width, style: plain });
      expect(lines).toHaveLength(5);
      expect(lines[3]).toBe('a1  n     at a↵at b�[2J');
      for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width ?? 420);
    }
    const stream = COLUMNS.map((column) => ({ ...column, width: 4 }));
    expect(streamRow(stream, some[0]!, { width: null, style: plain }).length).toBeLessThan(420);
  });

  it('leaves out what tells least when there is no room', () => {
    expect(renderTable(COLUMNS, rows, { width: 12, style: plain })).toEqual(['ID  NOTE', 'a1  a note …', 'b2']);
  });

  it('is never wider than the terminal, with or without colours, whatever is in it', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 });
    const row = fc.record({ id: text, name: text, note: text });
    fc.assert(
      fc.property(
        fc.array(row, { maxLength: 5 }),
        fc.integer({ min: 1, max: 60 }),
        fc.boolean(),
        (some, width, hasColours) => {
          const style = hasColours ? coloured : plain;
          for (const line of renderTable(COLUMNS, some, { width, style })) {
            expect(widthOf(bare(line))).toBeLessThanOrEqual(width);
            expect(bare(line)).toBe(printable(bare(line)));
          }
          const stream: StreamColumn<Row>[] = COLUMNS.map((column) => ({ ...column, width: 10 }));
          for (const one of some)
            expect(widthOf(bare(streamRow(stream, one, { width, style })))).toBeLessThanOrEqual(width);
        },
      ),
    );
  });
});

describe('fields', () => {
  const fields = [
    ['id', 'x'],
    ['long name', 'abcdefghij', 'red'],
    ['none', null],
    ['empty', ''],
  ] as const;

  it('leave out what is not there, and go on in the next line at the end of the terminal', () => {
    const lines = ['id         x', 'long name  abcde', '           fghij'];
    expect(renderFields(fields, { width: 16, style: plain })).toEqual(lines);
    expect(renderFields(fields, { width: null, style: plain })).toEqual(['id         x', 'long name  abcdefghij']);
    expect(renderFields(fields.slice(1), { width: 16, style: coloured })[0]).toBe(
      `${coloured('', 'long name  ')}${coloured('', 'abcde')}`,
    );
  });

  it('are cut after four lines, and whole where no terminal reads', () => {
    const long = [['error', `${'word '.repeat(20)}\nend`]] as const;
    const lines = renderFields(long, { width: 18, style: plain });
    expect(lines).toEqual(['error  word word', '       word word', '       word word', '       word word …']);
    expect(renderFields(long, { width: null, style: plain })[0]).toMatch(/ ↵end$/);
  });
});

describe('text', () => {
  it.each([
    ['abc', 3],
    ['é', 1],
    ['e\u0301', 1],
    ['漢字', 4],
    ['👍', 2],
    ['👨‍👩‍👧', 2],
    ['', 0],
  ])('%j takes %d columns', (text, width) => {
    expect(widthOf(text)).toBe(width);
  });

  it('is cut between graphemes', () => {
    expect([cut('漢字漢字', 5), cut('abc', 3), cut('abcd', 3), cut('abcd', 0)]).toEqual(['漢字…', 'abc', 'ab…', '']);
  });

  it('has nothing in it that moves the cursor or turns the line around', () => {
    expect(printable('a\u001b[2Jb\nc\u202e')).toBe('a�[2Jb↵c�');
    expect(printable('one\r\ntwo\u2028three\n\tfour')).toBe('one↵two↵three↵ four');
  });

  it('is wrapped between words, a long one within itself, the last line cut', () => {
    expect(wrap('a bc def', 4, 9)).toEqual(['a bc', 'def']);
    expect(wrap('abcdefg hi', 3, 9)).toEqual(['abc', 'def', 'g', 'hi']);
    expect(wrap('漢字漢', 4, 9)).toEqual(['漢字', '漢']);
    expect([wrap('a b c d', 1, 3), wrap('', 5, 3)]).toEqual([['a', 'b', '…'], ['']]);
  });

  it('is clipped, a character whole or not at all', () => {
    expect([clip('abc', 3), clip('abcd', 3), clip('a👍b', 3)]).toEqual(['abc', 'ab…', 'a…']);
  });

  it.each([
    [0, '0ms'],
    [999, '999ms'],
    [61_000, '1m 1s'],
    [3_600_000, '1h'],
    [90_061_000, '1d 1h'],
    [-5_000, '-5s'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
