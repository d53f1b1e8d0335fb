/** Writes what `all` has found so far: docs/ gets a table for people, the same as JSON, a chart; README what has a goal. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chartOf } from './chart.mjs';
import { machine, summaryOf, tableOf } from './table.mjs';

const project = (file) => join(import.meta.dirname, '..', file);
const docs = (file) => project(join('docs', file));

const START = '<!-- benches: start -->';
const END = '<!-- benches: end -->';

/** As the project formats its files, so that a run leaves none that the checks complain about. */
const formatted = async (file, text) => {
  const prettier = await import('prettier');
  return prettier.format(text, { ...(await prettier.resolveConfig(file)), filepath: file });
};

/** What stands outside the markers is written by hand. */
const between = (file, table) => {
  const [before, rest] = readFileSync(file, 'utf8').split(START);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${file} has no ${START} … ${END}`);
  return `${before}${START}\n\n${table}\n${END}${after}`;
};

const writePage = async (file, table) => writeFileSync(file, await formatted(file, between(file, table)));

/** @param results of the benches, in their order */
export const writeDocs = async ({ command, results }) => {
  const at = new Date().toISOString();
  const json = docs('performance.json');
  writeFileSync(json, await formatted(json, JSON.stringify({ command, at, machine: machine(), results })));
  writeFileSync(docs('performance.svg'), chartOf(results));
  await writePage(docs('performance.md'), tableOf({ command, at, results }));
  await writePage(project('README.md'), summaryOf({ command, at, results }));
};
