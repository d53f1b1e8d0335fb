import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'jobledger-promises-'));
  for (const folder of ['docs', 'test/unit']) mkdirSync(join(project, folder), { recursive: true });
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

const table = (...rows: string[]): void =>
  writeFileSync(
    join(project, 'docs/promises.md'),
    ['| id | promise | taken out |', '| -- | -- | -- |', ...rows].join('\n'),
  );
const promise = (...ids: string[]): void => table(...ids.map((id) => `| ${id} | something | a rule |`));
// Put together here: in one piece they would be ids that this test carries.
const bracketed = (ids: string): string => `[${ids}]`;
const test = (name: string, ...ids: string[]): void =>
  writeFileSync(join(project, 'test/unit', name), ids.map((id) => `it('does it ${bracketed(id)}');`).join('\n'));

const check = (): { status: number | null; lines: string[] } => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/check-promises.mjs', project], { encoding: 'utf8' });
  return { status, lines: stderr.split('\n').filter((line) => line !== '') };
};

describe('promises and tests', () => {
  it('agree when every promise has a test and every id a promise', () => {
    promise('P-01', 'ACC-1', 'R-05');
    test('a.spec.ts', 'P-01', 'ACC-1, R-05', 'something', 'a-z');
    expect(check()).toEqual({ status: 0, lines: [] });
  });

  it('disagree when a promise has no test', () => {
    promise('P-01', 'R-05');
    test('a.spec.ts', 'P-01');
    expect(check()).toEqual({ status: 1, lines: [`docs/promises.md:4: no test carries ${bracketed('R-05')}`] });
  });

  it('disagree when a test names no promise', () => {
    promise('P-01');
    test('a.spec.ts', 'P-01');
    test('b.spec.ts', 'P-01', 'P-01, B-25');
    expect(check()).toEqual({ status: 1, lines: [`test/unit/b.spec.ts:2: ${bracketed('B-25')} is no promise`] });
  });

  it.each(['| P-01 | something |  |', '| P-01 | something | |', '| P-01 | something |'])(
    'disagree when a promise does not say how its test was seen to fail: %s',
    (row) => {
      table('| R-05 | something | a rule |', row);
      test('a.spec.ts', 'P-01', 'R-05');
      expect(check()).toEqual({
        status: 1,
        lines: ['docs/promises.md:4: P-01 does not say which rule was taken out to see its test fail'],
      });
    },
  );

  it('disagree when a promise stands there twice', () => {
    promise('P-01', 'P-01');
    test('a.spec.ts', 'P-01');
    expect(check()).toEqual({ status: 1, lines: ['docs/promises.md:4: P-01 stands there twice'] });
  });
});
