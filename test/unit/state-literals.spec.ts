/**
 * The chart is the only list of states: whoever needs some asks it by tag, and SQL gets them as parameters. So no state
 * of a job stands as a literal outside the domain and the wire contract.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';
import { JOB_STATUSES } from '../../src/domain/job-chart.js';

const SRC = join(import.meta.dirname, '../../src');

/** Where states are defined, or part of the wire that clients read. */
const MAY_NAME_STATES = ['domain/', 'client/', 'api/contract.ts'];

/** Words that are spelt like a state and are none. Each says of what else it is the name. */
const OTHER_WORDS: readonly { readonly file: string; readonly word: string; readonly is: string }[] = [
  { file: 'api/answers/operations.ts', word: 'failed', is: 'a verdict of a sweep' },
  { file: 'api/answers/operations.ts', word: 'cancelled', is: 'a verdict of a sweep' },
  { file: 'api/requests/worker-calls.ts', word: 'failed', is: 'a count of progress' },
  { file: 'cli/commands/event-columns.ts', word: 'failed', is: 'a count of progress' },
  { file: 'cli/commands/reaper.ts', word: 'cancelled', is: 'a verdict of a sweep' },
  ...['completed', 'failed', 'cancelled'].flatMap((word) => [
    { file: 'cli/swf/workload.ts', word, is: 'how a job of a log ended' },
    { file: 'cli/swf/replayed-job.ts', word, is: 'where a job of a log is to end, which is compared' },
  ]),
  { file: 'projections/migrations/000003-jobs.sql', word: 'failed', is: 'a count of progress' },
  { file: 'projections/migrations/000013-exact-progress.sql', word: 'failed', is: 'a count of progress' },
  { file: 'projections/migrations/000150-sound-progress.sql', word: 'failed', is: 'a count of progress' },
  { file: 'api/answers/upkeep.ts', word: 'failed', is: 'a state of a run of upkeep' },
  { file: 'api/answers/upkeep.ts', word: 'running', is: 'a state of a run of upkeep' },
  { file: 'api/controllers/upkeep.controller.ts', word: 'running', is: 'a state of a run of upkeep' },
  { file: 'api/upkeep-view.ts', word: 'running', is: 'a state of a run of upkeep' },
  { file: 'projections/migrations/000017-upkeep.sql', word: 'failed', is: 'a state of a run of upkeep' },
  { file: 'projections/migrations/000017-upkeep.sql', word: 'running', is: 'a state of a run of upkeep' },
  { file: 'projections/migrations/000017-upkeep.sql', word: 'waiting', is: 'a step of a run of upkeep' },
  { file: 'projections/upkeep/upkeep-runs.ts', word: 'failed', is: 'a state of a run of upkeep' },
  { file: 'projections/upkeep/upkeep-runs.ts', word: 'running', is: 'a state of a run of upkeep' },
  { file: 'projections/upkeep/upkeep-runs.ts', word: 'waiting', is: 'a step of a run of upkeep' },
  { file: 'projections/upkeep/upkeep.ts', word: 'running', is: 'a state of a run of upkeep' },
  { file: 'projections/upkeep/upkeep.ts', word: 'waiting', is: 'a state of a run of upkeep' },
  { file: 'reaper/sweep.ts', word: 'failed', is: 'a verdict of a sweep' },
  { file: 'reaper/sweep.ts', word: 'cancelled', is: 'a verdict of a sweep' },
];

const statuses: ReadonlySet<string> = new Set(JOB_STATUSES);
/** As SQL quotes it. */
const quoted = new RegExp(`'(${JOB_STATUSES.join('|')})'`, 'g');

const quotedIn = (text: string): readonly string[] => [...text.matchAll(quoted)].map(([, word]) => word ?? '');

const inSql = (text: string): readonly string[] =>
  quotedIn(text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/--.*$/gm, ''));

/** `hasTag(status, 'waiting')` asks the chart: a tag may be spelt like a state. */
const asksChart = (node: ts.Node): boolean =>
  ts.isCallExpression(node) &&
  ts.isIdentifier(node.expression) &&
  ['hasTag', 'statusesTagged'].includes(node.expression.text);

/** Literals that are a state, and SQL in literals that quotes one. Comments may name states as they like. */
const inTypeScript = (text: string): readonly string[] => {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) {
      if (statuses.has(node.text)) found.push(node.text);
      else found.push(...inSql(node.text));
    } else if (ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node)) {
      found.push(...inSql(node.text));
    }
    ts.forEachChild(node, (child) => {
      if (!(asksChart(node) && ts.isStringLiteral(child))) visit(child);
    });
  };
  visit(ts.createSourceFile('any.ts', text, ts.ScriptTarget.ES2023));
  return found;
};

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => /\.(ts|sql)$/.test(file) && !MAY_NAME_STATES.some((place) => file.startsWith(place)))
  .sort();

const literalsOf = (file: string): readonly string[] => {
  const text = readFileSync(join(SRC, file), 'utf8');
  return file.endsWith('.sql') ? inSql(text) : inTypeScript(text);
};

const isOtherWord = (file: string, word: string): boolean =>
  OTHER_WORDS.some((other) => other.file === file && other.word === word);

describe('a state of a job', () => {
  it('stands as a literal nowhere outside the domain and the contract', () => {
    const found = files.flatMap((file) =>
      literalsOf(file)
        .filter((word) => !isOtherWord(file, word))
        .map((word) => `src/${file}: '${word}'`),
    );
    expect(found).toEqual([]);
  });

  it('is told apart from words that are spelt like one, each of which is still there', () => {
    const stale = OTHER_WORDS.filter(({ file, word }) => !files.includes(file) || !literalsOf(file).includes(word));
    expect(stale).toEqual([]);
  });
});

describe('the search', () => {
  it('finds literals, types, templates and SQL in them, and leaves comments and other words', () => {
    expect(inTypeScript('const a = \'queued\'; type B = "failed"; const c = `running`;')).toEqual([
      'queued',
      'failed',
      'running',
    ]);
    expect(inTypeScript("sql`select ${x} where status in ('claimed', 'waiting')`; q(\"status = 'created'\")")).toEqual([
      'claimed',
      'waiting',
      'created',
    ]);
    expect(
      inTypeScript("// 'queued'\n/* 'failed' */ const a = 'released' + `queued-at`; const b = { running: 1 };"),
    ).toEqual([]);
    expect(inTypeScript("hasTag(status, 'waiting') && statusesTagged('waiting').includes('waiting')")).toEqual([
      'waiting',
    ]);
    expect(inSql("-- 'queued'\nselect 1 where status = 'blocked' /* 'failed' */;")).toEqual(['blocked']);
  });

  it('has files to look at', () => {
    expect(files.some((file) => file.startsWith('event-store/'))).toBe(true);
  });
});
