/** Numbers and columns for people. */

export const formatCount = (value: number): string => value.toLocaleString('en-US');

export const formatSeconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

export const formatBytes = (bytes: number): string =>
  bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;

/** @param ratio 0–1. */
export const bar = (ratio: number, width: number): string => {
  const filled = Math.round(Math.min(1, Math.max(0, ratio)) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
};

/** At most `width` characters, the end kept: of a path that is the part that tells. */
export const fit = (text: string, width: number): string =>
  text.length <= width ? text : `…${text.slice(text.length - width + 1)}`;

/** Names of files are any bytes: none may move the cursor. */
export const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, '�');

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
