/** Of the program, as its package.json says it; from `src` as from `dist`. */
import { readFileSync } from 'node:fs';

export const readVersion = (): string => {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
};
