import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of a peer as it is installed. */
export const versionOf = (name) =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../node_modules', name, 'package.json'), 'utf8')).version;
