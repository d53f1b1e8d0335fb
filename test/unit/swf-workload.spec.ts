/** Logs in the Standard Workload Format, as they are found: what is counted, what is named, what is refused. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { mostAtOnce } from '../../src/cli/swf/most-at-once.js';
import { LineSplitter, LONGEST_LINE } from '../../src/cli/swf/text-lines.js';
import { readWorkload, type Workload, WorkloadReader } from '../../src/cli/swf/workload.js';

interface Fields {
  readonly job: number;
  readonly submit: number;
  readonly wait: number;
  readonly run: number;
  readonly status: number;
}

const fieldsOf = ({ job, submit, wait, run, status }: Fields): string[] =>
  [job, submit, wait, run, 4, 1.5, -1, 4, 7200, -1, status, 4, 168, -1, -1, 10, -1, -1].map(String);

const lineOf = (over: Partial<Fields> = {}): string =>
  fieldsOf({ job: 1, submit: 100, wait: 5, run: 60, status: 1, ...over }).join(' ');

const readLines = (lines: readonly string[], limit?: number): Workload => {
  const reader = new WorkloadReader(limit);
  for (const line of lines) reader.push(line);
  return reader.end();
};

const malformed = (line: string): string | undefined => readLines([line]).malformed.first[0]?.reason;

describe('a line', () => {
  it('is a job with its times and its end', () => {
    expect(readLines([lineOf({ job: 7, status: 0 })]).jobs).toEqual([
      { line: 1, job: 7, submit: 100, wait: 5, run: 60, ending: 'failed' },
    ]);
  });

  it.each([
    ['', undefined],
    ['  \t ', undefined],
    ['; MaxJobs: 3', undefined],
    ['  ; a comment', undefined],
    ['1 2 3', '18 fields expected, not 3'],
    [`${lineOf()} 19`, '18 fields expected, not 19'],
    [lineOf().replace('7200', '2h'), 'field 9 (requested time): expected a number, not "2h"'],
    [lineOf({ run: -2 }), 'field 4 (run time): expected a whole number from 0 to 1000000000000, or -1, not "-2"'],
    [lineOf({ run: 1.5 }), 'field 4 (run time): expected a whole number from 0 to 1000000000000, or -1, not "1.5"'],
    [
      lineOf({ submit: 1e13 }),
      'field 2 (submit time): expected a whole number from 0 to 1000000000000, or -1, not "10000000000000"',
    ],
    [lineOf({ job: -1 }), 'field 1 (job number): expected a whole number, not "-1"'],
    [lineOf({ status: 6 }), 'field 11 (status): expected one of -1, 0, 1, 2, 3, 4, 5, not "6"'],
    ['1 '.repeat(LONGEST_LINE), 'longer than 10000 characters'],
  ])('%j is malformed: %s', (line, reason) => {
    expect(malformed(line)).toBe(reason);
  });

  it('is shown in a message without what would move the cursor or fill the screen', () => {
    expect(malformed(lineOf().replace('7200', `\u001b[2J${'x'.repeat(500)}`))).toBe(
      `field 9 (requested time): expected a number, not "\\u001b[2J${'x'.repeat(26)}…"`,
    );
  });
});

describe('a job', () => {
  const parts = [2, 2, 4].map((status, at) => lineOf({ submit: at === 0 ? 100 : -1, run: 10 + at, status }));

  it('is counted once when its parts follow the line of the whole', () => {
    const { jobs, parts: count } = readLines([lineOf({ run: 33, status: 0 }), ...parts, lineOf({ job: 2 })]);
    expect(jobs.map(({ job, run, ending }) => [job, run, ending])).toEqual([
      [1, 33, 'failed'],
      [2, 60, 'completed'],
    ]);
    expect(count).toBe(3);
  });

  it('is put together from its parts when there is no other line of it', () => {
    const { jobs, parts: count } = readLines([...parts, lineOf({ job: 2, status: 3, run: 5 })]);
    expect(jobs.map(({ job, run, ending }) => [job, run, ending])).toEqual([
      [1, 33, 'failed'],
      [2, 5, 'completed'],
    ]);
    expect(count).toBe(4);
  });

  it('whose last part is missing has an end that is not known', () => {
    expect(readLines(parts.slice(0, 2)).totals.byEnding).toEqual({ completed: 0, failed: 0, cancelled: 0, unknown: 1 });
  });

  it('may repeat a number: it is another', () => {
    expect(readLines([lineOf(), lineOf()]).totals.jobs).toBe(2);
  });

  it('without times counts as 0, submitted with the one above', () => {
    const { jobs, unknown } = readLines([
      lineOf({ submit: 50 }),
      lineOf({ job: 2, submit: -1, wait: -1, run: -1, status: -1 }),
    ]);
    expect(jobs[1]).toEqual({ line: 2, job: 2, submit: 50, wait: 0, run: 0, ending: 'unknown' });
    expect(unknown).toEqual({ submit: 1, wait: 1, run: 1 });
  });
});

describe('a log', () => {
  it('keeps the first jobs when not all are asked for, and says so', () => {
    const lines = [1, 2, 3].map((job) => lineOf({ job }));
    expect(readLines(lines, 2)).toMatchObject({ isCut: true, totals: { jobs: 2 } });
    expect(readLines(lines, 3)).toMatchObject({ isCut: false, totals: { jobs: 3 } });
  });

  it('that is empty has no jobs', () => {
    expect(readLines([])).toMatchObject({ jobs: [], malformed: { count: 0 }, totals: { jobs: 0, runSeconds: 0n } });
  });

  it('names the first hundred malformed lines, and counts all', () => {
    const { malformed: found } = readLines(Array.from({ length: 150 }, () => 'x'));
    expect([found.count, found.first.length]).toEqual([150, 100]);
  });
});

const fields: fc.Arbitrary<Fields> = fc.record({
  job: fc.nat(50),
  submit: fc.integer({ min: -1, max: 1_000 }),
  wait: fc.integer({ min: -1, max: 100 }),
  run: fc.integer({ min: -1, max: 1_000_000 }),
  status: fc.constantFrom(-1, 0, 1, 5),
});
const blanks = fc.constantFrom(' ', '  ', '\t', ' \t ');
const noise = fc.constantFrom('', '; Note: x', '   ', 'x', '1 2', lineOf({ status: 9 }));

/** A line with odd blanks, and lines around it that are no job. */
const written = fc.tuple(fields, blanks, fc.boolean(), fc.array(noise, { maxLength: 2 }));

describe('the file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jobledger-swf-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const log = fc.record({
    jobs: fc.array(written, { maxLength: 30 }),
    end: fc.constantFrom('\n', '\r\n', '\r'),
    isZipped: fc.boolean(),
    hasMark: fc.boolean(),
    endsOpen: fc.boolean(),
  });

  it('has the same totals however it is written', async () => {
    await fc.assert(
      fc.asyncProperty(log, async ({ jobs, end, isZipped, hasMark, endsOpen }) => {
        const lines = jobs.flatMap(([job, blank, isIndented, around]) => [
          ...around,
          `${isIndented ? blank : ''}${fieldsOf(job).join(blank)}${isIndented ? blank : ''}`,
        ]);
        const text = `${hasMark ? '\ufeff' : ''}${lines.join(end)}${endsOpen ? '' : end}`;
        const path = join(folder, 'log');
        writeFileSync(path, isZipped ? gzipSync(text) : text);
        const read = await readWorkload(path);

        const entries = jobs.map(([job]) => job);
        const wrong = lines.flatMap((line, at) =>
          /^(x|1 2)$/.test(line) || line === lineOf({ status: 9 }) ? [at + 1] : [],
        );
        const known = entries.map(({ run }) => Math.max(0, run));
        expect(read.totals).toEqual({
          jobs: entries.length,
          byEnding: {
            completed: entries.filter(({ status }) => status === 1).length,
            failed: entries.filter(({ status }) => status === 0).length,
            cancelled: entries.filter(({ status }) => status === 5).length,
            unknown: entries.filter(({ status }) => status === -1).length,
          },
          runSeconds: BigInt(known.reduce((sum, run) => sum + run, 0)),
        });
        expect(read.malformed.first.map(({ line }) => line)).toEqual(wrong);
        expect(read.jobs.map(({ submit }) => submit)).toEqual(
          read.jobs.map(({ submit }) => submit).sort((a, b) => a - b),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('that is cut off where it is compressed is refused by name', async () => {
    const path = join(folder, 'log.gz');
    writeFileSync(path, gzipSync(Array.from({ length: 100 }, (_, job) => lineOf({ job })).join('\n')).subarray(0, 100));
    await expect(readWorkload(path)).rejects.toThrow(`${path}: unexpected end of file`);
  });

  it('that is a folder is refused by name', async () => {
    await expect(readWorkload(folder)).rejects.toThrow(`${folder}: EISDIR`);
  });

  it('that is not there is refused', async () => {
    await expect(readWorkload(join(folder, 'none'))).rejects.toThrow(/^ENOENT.*none'$/);
  });
});

describe('lines', () => {
  it('are the same however the text comes', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '\n', '\r'), maxLength: 30 });
    fc.assert(
      fc.property(text, fc.array(fc.nat(30), { maxLength: 5 }), (whole, cuts) => {
        const splitter = new LineSplitter();
        const places = [0, ...cuts.sort((a, b) => a - b), whole.length];
        const found = places.flatMap((to, at) => splitter.push(whole.slice(places[at - 1] ?? 0, to)));
        const expected = whole.split(/\r\n|\r|\n/);
        // Behind the last line end nothing is no line.
        if (expected.at(-1) === '') expected.pop();
        expect([...found, ...splitter.end()]).toEqual(expected);
      }),
    );
  });
});

describe('the most that ran at once', () => {
  it('is what counting every second finds', () => {
    const times = fc.record({ submit: fc.nat(20), wait: fc.nat(5), run: fc.nat(10) });
    fc.assert(
      fc.property(fc.array(times, { maxLength: 12 }), (all) => {
        const jobs = all.map((one, line) => ({ ...one, line, job: line, ending: 'completed' as const }));
        const seconds = Array.from({ length: 40 }, (_, second) => second);
        const isRunning =
          (second: number) =>
          ({ submit, wait, run }: (typeof jobs)[number]) =>
            submit + wait <= second && second < submit + wait + run;
        expect(mostAtOnce(jobs)).toBe(Math.max(...seconds.map((second) => jobs.filter(isRunning(second)).length)));
      }),
    );
  });
});
