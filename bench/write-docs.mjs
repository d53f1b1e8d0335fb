/** Writes what `all` has found so far into docs/: a table for people, the same as JSON, a chart. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chartOf } from './chart.mjs';
import { machine, tableOf } from './table.mjs';

const docs = (file) => join(import.meta.dirname, '../docs', file);

const START = '<!-- benches: start -->';
const END = '<!-- benches: end -->';

/** As the project formats its files, so that a run leaves none that the checks complain about. */
const formatted = async (file, text) => {
  const prettier = await import('prettier');
  return prettier.format(text, { ...(await prettier.resolveConfig(file)), filepath: file });
};

/** What stands outside the markers is written by hand. */
const between = (text, table) => {
  const [before, rest] = text.split(START);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`docs/performance.md has no ${START} … ${END}`);
  return `${before}${START}\n\n${table}\n${END}${after}`;
};

/** @param results of the benches, in their order */
export const writeDocs = async ({ command, results }) => {
  const at = new Date().toISOString();
  const [markdown, json] = [docs('performance.md'), docs('performance.json')];
  const page = existsSync(markdown) ? readFileSync(markdown, 'utf8') : `# Performance\n\n${START}\n${END}\n`;
  writeFileSync(markdown, await formatted(markdown, between(page, tableOf({ command, at, results }))));
  writeFileSync(json, await formatted(json, JSON.stringify({ command, at, machine: machine(), results })));
  writeFileSync(docs('performance.svg'), chartOf(results));
};
