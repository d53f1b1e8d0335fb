/**
 * Rows that come one by one: a table cannot know how wide they will be, so each column has the width that its values
 * usually have, and on a terminal no line is wider than it.
 */
import type { Column } from '../table.js';
import type { Terminal } from '../terminal.js';
import { cell, cut, widthOf } from '../text.js';

export interface StreamColumn<Row> extends Pick<Column<Row>, 'value' | 'style'> {
  readonly width: number;
}

export const streamRow = <Row>(
  columns: readonly StreamColumn<Row>[],
  row: Row,
  { width: limit, style }: Pick<Terminal, 'width' | 'style'>,
): string => {
  let left = limit ?? Infinity;
  const cells: string[] = [];
  for (const [at, column] of columns.entries()) {
    if (left <= 0) break;
    const text = cut(cell(column.value(row)), left);
    const padded = at === columns.length - 1 ? '' : ' '.repeat(Math.max(0, column.width - widthOf(text)));
    const styled = column.style?.(row) ?? null;
    cells.push((styled === null ? text : style(styled, text)) + (left > widthOf(text) ? padded : ''));
    left -= Math.max(column.width, widthOf(text)) + 2;
  }
  return cells.join('  ').trimEnd();
};
