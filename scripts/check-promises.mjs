/**
 * Every promised behaviour has a test that was seen to fail, and every test that names a promise names one that is made.
 * `docs/promises.md` holds a table with the promise's id in the first column and, in the third, the rule that was taken
 * out to see its test fail; tests carry ids in brackets in their titles: `[R-05]`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

const ID = String.raw`[A-Z]{1,4}-\d{1,3}[a-z]?`;
const ROW = new RegExp(String.raw`^\|\s*(${ID})\s*\|[^|]*(?:\|\s*([^|]*?)\s*\|)?`);
const BRACKETS = new RegExp(String.raw`\[(${ID}(?:, ?${ID})*)\]`, 'g');

const linesOf = (text) => text.split('\n').map((line, index) => ({ line, number: index + 1 }));

/** Ids in the table, each with its line and the rule that was taken out. */
const promisesIn = (text) =>
  linesOf(text).flatMap(({ line, number }) => {
    const [, id, takenOut = ''] = ROW.exec(line) ?? [];
    return id === undefined ? [] : [{ id, number, takenOut }];
  });

/** Ids that tests carry: `[R-05]`, `[R-05, P-01]`. */
const mentionsIn = (file, text) =>
  linesOf(text).flatMap(({ line, number }) =>
    [...line.matchAll(BRACKETS)].flatMap(([, ids]) => ids.split(/, ?/).map((id) => ({ id, at: `${file}:${number}` }))),
  );

/**
 * @param promises the text of docs/promises.md
 * @param tests by file name, the text of each test
 * @returns one line for each thing that is wrong
 */
const compare = (promises, tests) => {
  const made = promisesIn(promises);
  const mentioned = Object.entries(tests).flatMap(([file, text]) => mentionsIn(file, text));
  const madeIds = new Set(made.map(({ id }) => id));
  const testedIds = new Set(mentioned.map(({ id }) => id));
  return [
    ...made
      .filter(({ id }, index) => made.findIndex((other) => other.id === id) !== index)
      .map(({ id, number }) => `docs/promises.md:${number}: ${id} stands there twice`),
    ...made
      .filter(({ id }) => !testedIds.has(id))
      .map(({ id, number }) => `docs/promises.md:${number}: no test carries [${id}]`),
    ...made
      .filter(({ takenOut }) => takenOut === '')
      .map(
        ({ id, number }) =>
          `docs/promises.md:${number}: ${id} does not say which rule was taken out to see its test fail`,
      ),
    ...mentioned.filter(({ id }) => !madeIds.has(id)).map(({ id, at }) => `${at}: [${id}] is no promise`),
  ];
};

const testsBelow = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.spec.ts'))
    .map((entry) => join(entry.parentPath, entry.name));

const project = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
const promises = readFileSync(join(project, 'docs/promises.md'), 'utf8');
const tests = Object.fromEntries(
  testsBelow(join(project, 'test')).map((file) => [relative(project, file), readFileSync(file, 'utf8')]),
);
const wrong = compare(promises, tests);
for (const line of wrong) console.error(line);
if (wrong.length > 0) process.exitCode = 1;
else console.log(`${promisesIn(promises).length} promises, each with a test that was seen to fail`);
