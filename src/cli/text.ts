/** Numbers, widths and columns for people. */

export const formatCount = (value: number | bigint): string => value.toLocaleString('en-US');

export const formatSeconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

export const formatBytes = (bytes: number): string =>
  bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
];

/** A duration in its two largest units: `3d 4h`, `12s`. @param ms may be negative. */
export const formatDuration = (ms: number): string => {
  const sign = ms < 0 ? '-' : '';
  let rest = Math.abs(ms);
  const at = UNITS.findIndex(([, size]) => rest >= size);
  if (at < 0) return `${sign}${Math.round(rest)}ms`;
  const parts: string[] = [];
  for (const [unit, size] of UNITS.slice(at, at + 2)) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * size;
  }
  return sign + parts.join(' ');
};

/** Said by commands with such a column. */
export const ATTEMPT_HELP =
  'ATTEMPT 2 is the second of the first run, 3.2 the second of the third run: each retry by hand begins a run.';

/** As recorded, without what every line would repeat: `2026-01-31 12:00:00.000` is in UTC. */
export const formatInstant = (at: string | null): string => at?.replace('T', ' ').replace('Z', '') ?? '';

/** An attempt of the first run by its number alone, of a later one behind the run's. */
export const formatAttempt = (run: number, attempt: number | null): string =>
  run === 1 ? `${attempt}` : `${run}.${attempt}`;

/** @param ratio 0–1. */
export const bar = (ratio: number, width: number): string => {
  const filled = Math.round(Math.min(1, Math.max(0, ratio)) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
};

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const WIDE =
  /\p{Emoji_Presentation}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|[\uff01-\uff60\u3000-\u303f]|\ufe0f/u;
const widthOfGrapheme = (grapheme: string): number => (WIDE.test(grapheme) ? 2 : 1);
const NARROW_ONLY = /^[\u0020-\u02ff\u2010-\u259f]*$/;

/** Columns of a terminal that it takes. */
export const widthOf = (text: string): number => {
  if (NARROW_ONLY.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += widthOfGrapheme(segment);
  return width;
};

const beginning = (text: string, width: number): string => {
  let kept = '';
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    used += widthOfGrapheme(segment);
    if (used > width) break;
    kept += segment;
  }
  return kept;
};

/** At most `width` columns, the beginning kept. */
export const cut = (text: string, width: number): string => {
  if (widthOf(text) <= width) return text;
  return width <= 0 ? '' : `${beginning(text, width - 1)}…`;
};

/** In lines of at most `width` columns, between words where there are any; the last of `most` lines is cut. */
export const wrap = (text: string, width: number, most: number): readonly string[] => {
  const lines: string[] = [];
  let rest = text;
  while (lines.length < most - 1 && widthOf(rest) > width) {
    const whole = beginning(rest, width);
    const space = rest[whole.length] === ' ' ? whole.length : whole.lastIndexOf(' ');
    const line = space > 0 ? rest.slice(0, space) : whole;
    lines.push(line);
    rest = rest.slice(line.length).trimStart();
  }
  return [...lines, cut(rest, width)];
};

/** At most `width` characters, the end kept: of a path that is the part that tells. */
export const fit = (text: string, width: number): string =>
  text.length <= width ? text : `…${text.slice(text.length - width + 1)}`;

/** Names and messages are anybody's: none may move the cursor, or turn the text around. Lines stand one behind the other. */
export const printable = (text: string): string =>
  text
    .replaceAll(/\r\n|[\n\r\u2028\u2029]/g, '↵')
    .replaceAll('\t', ' ')
    .replaceAll(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '�');

/** At most `most` UTF-16 units and no half of a character, the beginning kept; for what may be very long. */
export const clip = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`;

/** A row is looked through, not read. */
const CELL_LENGTH = 400;

/** What stands in a row of a table, whatever it was. */
export const cell = (text: string): string => printable(clip(text, CELL_LENGTH));

/** Rows as columns; the first to the left, the others to the right. */
export const columns = (rows: readonly (readonly string[])[]): string[] => {
  const widths: number[] = [];
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  return rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
};
