/** SQL over a table of a projection by its key, for whoever walks it in pages. */
import type { ProjectionTable } from './projection.js';

export const keyList = ({ key }: ProjectionTable): string => Object.keys(key).join(', ');

/** A row's key as texts, which its own type takes back. */
export const keyTexts = ({ key }: ProjectionTable): string =>
  `array[${Object.keys(key)
    .map((column) => `${column}::text`)
    .join(', ')}]`;

/** Parameters for a key, from the number on. */
export const keyParameters = ({ key }: ProjectionTable, first: number): string =>
  Object.values(key)
    .map((type, index) => `$${first + index}::${type}`)
    .join(', ');
