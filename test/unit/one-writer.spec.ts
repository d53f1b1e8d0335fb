/**
 * Streams of jobs have one writer: what commands decided, appended by `commands/batch.ts`, and beside it refusals, into
 * streams of their own. Whoever else appended would move a job without a decision, a fence or a revision.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const SRC = join(import.meta.dirname, '../../src');

/** Appends to a log: any call of a method of that name, on what is called a store or a log. */
const appendsIn = (text: string): readonly string[] => {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const { name, expression } = node.expression;
      if (name.text === 'append' && /(store|log)$/i.test(expression.getText())) found.push(expression.getText());
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('any.ts', text, ts.ScriptTarget.ES2023, true));
  return found;
};

/** SQL that writes the table of events. */
const WRITES_EVENTS = /\b(insert\s+into|update|delete\s+from|copy|truncate(\s+table)?)\s+jobledger\.events\b/i;

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => /\.(ts|sql)$/.test(file))
  .map((file) => ({ file, text: readFileSync(join(SRC, file), 'utf8') }));

describe('the log', () => {
  it('is appended to by commands alone [A-14]', () => {
    const writers = sources.filter(({ file, text }) => file.endsWith('.ts') && appendsIn(text).length > 0);
    expect(writers.map(({ file }) => file).sort()).toEqual(['commands/batch.ts', 'commands/refusals.ts']);
  });

  it('has no rows but those that its own folder writes [A-14]', () => {
    const writers = sources.filter(({ text }) => WRITES_EVENTS.test(text)).map(({ file }) => file);
    expect(writers.length).toBeGreaterThan(0);
    expect(writers.filter((file) => !file.startsWith('event-store/postgres/'))).toEqual([]);
  });

  it('is searched for as it is written', () => {
    expect(appendsIn('this.on.store.append([]); log.append(x); params.append(1)')).toEqual(['this.on.store', 'log']);
    expect(WRITES_EVENTS.test('insert into jobledger.events (id) select 1')).toBe(true);
  });
});
