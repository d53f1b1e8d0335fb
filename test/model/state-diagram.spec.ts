/** The README's diagram is the chart's. `UPDATE=1 npm run jest -- test/model/state-diagram.spec.ts` draws it anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { JOB_STATUSES } from '../../src/domain/job-chart.js';
import { stateDiagram } from '../support/state-diagram.js';

const README = new URL('../../README.md', import.meta.url);
const START = '<!-- state diagram: start -->';
const END = '<!-- state diagram: end -->';

/** @throws Error when the README has no place for the diagram. */
const blockOf = (readme: string): string => {
  const [start, end] = [readme.indexOf(START), readme.indexOf(END)];
  if (start === -1 || end < start) throw new Error(`README.md needs ${START} and, after it, ${END}`);
  return readme.slice(start, end + END.length);
};

const drawn = [START, '', '```mermaid', stateDiagram(), '```', '', END].join('\n');

describe('the state diagram', () => {
  it('in the README is the one of the chart', () => {
    const readme = readFileSync(README, 'utf8');
    if (process.env.UPDATE === '1')
      writeFileSync(
        README,
        readme.replace(blockOf(readme), () => drawn),
      );
    expect(blockOf(readFileSync(README, 'utf8'))).toBe(drawn);
  });

  it('shows every state, with a way in and who moves a job out', () => {
    const diagram = stateDiagram();
    for (const status of JOB_STATUSES) {
      expect(diagram).toMatch(new RegExp(`--> ${status}\\b`));
      expect(diagram).toMatch(new RegExp(`note right of ${status}\\n(?: {4}from .+\\n)? {4}moved by \\S`));
    }
  });

  it('has labels that mermaid reads: no colon or semicolon in them', () => {
    for (const line of stateDiagram().split('\n')) {
      const [, label] = /^ {2}\S+ --> \S+ : (.+)$/.exec(line) ?? [];
      if (label !== undefined) expect(label).not.toMatch(/[:;]/);
    }
  });
});
