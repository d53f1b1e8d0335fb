/** What people see: no line is wider than their terminal, whatever is in it. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type StreamColumn, streamRow } from '../../src/cli/commands/stream-rows.js';
import { type Column, renderFields, renderTable } from '../../src/cli/table.js';
import { cut, formatDuration, printable, widthOf } from '../../src/cli/text.js';

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
  it('leave out what is not there, and are cut at the end of the terminal', () => {
    const fields = [
      ['id', 'x'],
      ['long name', 'abcdefghij'],
      ['none', null],
      ['empty', ''],
    ] as const;
    expect(renderFields(fields, { width: 16, style: plain })).toEqual(['id         x', 'long name  abcd…']);
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
    expect(printable('a\u001b[2Jb\nc\u202e')).toBe('a�[2Jb�c�');
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
