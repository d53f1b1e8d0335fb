/**
 * Rows for people. On a terminal no line is wider than it: columns that can be cut give way first, then those that tell
 * least are left out. Where no terminal reads, all columns are there, and a cell has at most 400 characters.
 */
import type { Style, Terminal } from './terminal.js';
import { cell, clip, cut, printable, widthOf, wrap } from './text.js';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly align?: 'left' | 'right';
  /** May be cut down to so many columns. Default: never cut. */
  readonly least?: number;
  /** On a narrow terminal the highest goes first; 0, the default, stays. */
  readonly dispensable?: number;
  readonly style?: (row: Row) => Style | null;
}

const GAP = 2;

interface Laid<Row> {
  readonly column: Column<Row>;
  readonly cells: readonly string[];
  readonly natural: number;
  width: number;
}

const totalOf = (columns: readonly Laid<never>[]): number =>
  columns.reduce((sum, { width }) => sum + width, 0) + GAP * Math.max(0, columns.length - 1);

const leastOf = ({ column: { least }, natural }: Laid<never>): number => Math.min(natural, least ?? natural);

/** Takes what is too much from the widest that may give. */
const shrink = (columns: readonly Laid<never>[], width: number): void => {
  for (let over = totalOf(columns) - width; over > 0; over = totalOf(columns) - width) {
    const [widest, next] = columns.filter((one) => one.width > leastOf(one)).sort((a, b) => b.width - a.width);
    if (widest === undefined) return;
    const floor = Math.max(leastOf(widest), Math.min(next?.width ?? 0, widest.width - 1));
    widest.width = Math.max(floor, widest.width - over);
  }
};

/** Which columns there is room for, and how wide each may be. */
const layOut = <Row>(all: readonly Laid<Row>[], width: number): readonly Laid<Row>[] => {
  let kept = [...all];
  for (;;) {
    const least = kept.reduce((sum, one) => sum + leastOf(one), 0) + GAP * (kept.length - 1);
    const rank = Math.max(...kept.map(({ column }) => column.dispensable ?? 0));
    if (least <= width || rank === 0) break;
    kept = kept.filter(({ column }) => (column.dispensable ?? 0) < rank);
  }
  shrink(kept, width);
  return kept;
};

/** @param width null: as wide as it is. */
export const renderTable = <Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { width, style }: Pick<Terminal, 'width' | 'style'>,
): string[] => {
  const laid = columns.map((column): Laid<Row> => {
    const cells = rows.map((row) => cell(column.value(row)));
    const natural = Math.max(widthOf(column.title), ...cells.map(widthOf));
    return { column, cells, natural, width: natural };
  });
  const kept = width === null ? laid : layOut(laid, width);
  const line = (cellOf: (one: Laid<Row>) => readonly [string, Style | null]): string => {
    const cells = kept.map((one, at) => {
      const [text, styled] = cellOf(one);
      const shown = cut(text, one.width);
      const gap = ' '.repeat(one.width - widthOf(shown));
      const inStyle = styled === null ? shown : style(styled, shown);
      if (one.column.align === 'right') return gap + inStyle;
      return at === kept.length - 1 ? inStyle : inStyle + gap;
    });
    return cells.join(' '.repeat(GAP));
  };
  const lines = [
    line(({ column }) => [column.title, 'dim']),
    ...rows.map((row, at) => line(({ column, cells }) => [cells[at] ?? '', column.style?.(row) ?? null])),
  ];
  // Columns that are never cut may still be too much for a very narrow terminal.
  const isTooWide = width !== null && totalOf(kept) > width;
  return isTooWide ? lines.map((one) => cutStyled(one, width)) : lines.map((one) => one.trimEnd());
};

/** Cuts what has colours in it: without them. */
const cutStyled = (text: string, width: number): string => cut(text.replaceAll(/\u001b\[[0-9;]*m/g, ''), width);

/** Of a field on a terminal; its value is whole where none reads. */
const FIELD_LINES = 4;
/** No more is looked at than these lines may hold: graphemes are counted one by one. */
const FIELD_LENGTH = 10_000;

/** Left out when it has no value. */
export type Field = readonly [name: string, value: string | null, style?: Style | null];

/** `name  value`, in as many lines as it takes, up to four. */
export const renderFields = (
  fields: readonly Field[],
  { width, style }: Pick<Terminal, 'width' | 'style'>,
): string[] => {
  const shown = fields.filter(([, value]) => value !== null && value !== '');
  const left = Math.max(0, ...shown.map(([name]) => name.length)) + GAP;
  return shown.flatMap(([name, value, styled]) => {
    const text = value ?? '';
    const lines =
      width === null
        ? [printable(text)]
        : wrap(printable(clip(text, FIELD_LENGTH)), Math.max(1, width - left), FIELD_LINES);
    return lines.map(
      (line, at) => style('dim', (at === 0 ? name : '').padEnd(left)) + (styled == null ? line : style(styled, line)),
    );
  });
};
