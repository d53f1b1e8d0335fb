import { describe, expect, it } from '@jest/globals';
import { BYTES_STAGE } from '../../src/cli/demo/attempt-tally.js';
import { outcomeOf, type Outcome } from '../../src/cli/demo/outcome.js';
import { compare, comparisonTable, remarks, runTable } from '../../src/cli/demo/report.js';
import { addTallies, EMPTY_TALLY, fileTally, skippedTally, unreadableTally } from '../../src/cli/demo/tally.js';
import type { Job, LedgerEvent } from '../../src/client/client.js';

const file = (path: string, bytes: number) => fileTally(path, bytes, `sha256 of ${path}`);
const sum = (...tallies: (typeof EMPTY_TALLY)[]) => tallies.reduce(addTallies, EMPTY_TALLY);

const a = sum(file('a/1', 10), file('a/2', 20), skippedTally('a/link'));
const b = sum(file('b/1', 5), unreadableTally('b/secret'));
const fileSystem = sum(b, a);

const job = (folder: string, tally: typeof EMPTY_TALLY, more: Partial<Job> = {}): Job =>
  ({
    ...{ id: folder, status: 'completed', attempt: 1, lostLeases: 0, payload: { folder }, error: null },
    result: { ...tally, compressedBytes: 3, unreadablePaths: tally.unreadable > 0 ? [`${folder}/secret`] : [] },
    progress: {
      processed: tally.files + tally.unreadable + tally.skipped,
      failed: tally.unreadable,
      skipped: tally.skipped,
      stages: { [BYTES_STAGE]: { total: null, processed: tally.bytes, failed: 0 } },
    },
    ...more,
  }) as unknown as Job;

const event = (type: string, command?: string): LedgerEvent => ({ type, data: { command } }) as unknown as LedgerEvent;

const jobs = [job('a', a, { attempt: 2, lostLeases: 1 }), job('b', b)];
const events = [event('JobCreated'), event('CommandRefused', 'progress'), event('CommandRefused', 'heartbeat')];
const outcome = outcomeOf(jobs, events);

const different = (of: Outcome, fileSystemTally = fileSystem): string[] =>
  compare(of, fileSystemTally)
    .filter(({ isEqual }) => !isEqual)
    .map(({ what }) => what);

describe('totals', () => {
  it('do not depend on order and grouping', () => {
    const parts = [
      file('a/1', 10),
      file('a/2', 20),
      skippedTally('a/link'),
      file('b/1', 5),
      unreadableTally('b/secret'),
    ];
    expect(sum(...parts.reverse())).toEqual(sum(a, b));
    expect(fileSystem.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it('differ in their digest by the name, the content and the kind of any entry, and by one that is counted twice', () => {
    const digests = [
      file('a', 1),
      file('b', 1),
      fileTally('a', 1, 'other content'),
      skippedTally('a'),
      unreadableTally('a'),
      sum(file('a', 1), file('a', 1)),
    ].map(({ digest }) => digest);
    expect(new Set(digests).size).toBe(digests.length);
  });
});

describe('an outcome', () => {
  it('adds up jobs and events', () => {
    expect(outcome).toMatchObject({ jobs: 2, attempts: 3, lostLeases: 1, events: 1, compressedBytes: 6, failures: [] });
    expect(outcome.refusals).toEqual(new Map([['progress', 1], ['heartbeat', 1]])); // prettier-ignore
    expect(outcome.results).toEqual(fileSystem);
  });

  it('has no totals of jobs that are not completed, and names them', () => {
    const error = { code: 'LeaseExpired', message: 'too often', detail: null };
    const lacking = outcomeOf([job('a', a), job('b', b, { status: 'failed', result: null, error })], events);
    expect(lacking.results).toEqual(a);
    expect(remarks(lacking)).toEqual(['  not completed: b: failed, LeaseExpired: too often']);
    expect(different(lacking)).toEqual(['files', 'bytes', 'unreadable', 'digest']);
  });
});

describe('the comparison', () => {
  it('is equal when results, progress and file system agree', () => {
    expect(different(outcome)).toEqual([]);
    expect(comparisonTable(compare(outcome, fileSystem)).slice(1, 3)).toEqual([
      '  files                      3                 3                 3  equal',
      '  bytes                     35                35                35  equal',
    ]);
  });

  it.each([
    ['one file more', sum(fileSystem, file('c', 1)), ['files', 'bytes', 'digest']],
    ['an empty file more', sum(fileSystem, file('c', 0)), ['files', 'digest']],
    ['one more that is unreadable', sum(fileSystem, unreadableTally('c')), ['unreadable', 'digest']],
    ['one link more', sum(fileSystem, skippedTally('c')), ['skipped', 'digest']],
    ['other content of the same size', { ...fileSystem, digest: file('c', 1).digest }, ['digest']],
  ])('tells %s', (_, found, expected) => {
    expect(different(outcome, found)).toEqual(expected);
  });

  it.each(['files', 'bytes', 'unreadable', 'skipped'] as const)('tells a wrong %s of the progress alone', (what) => {
    const progress = { ...outcome.progress, [what]: outcome.progress[what] + 1 };
    expect(different({ ...outcome, progress })).toEqual([what]);
    expect(comparisonTable(compare({ ...outcome, progress }, fileSystem)).join('\n')).toContain('DIFFERENT');
  });

  it('names what was unreadable, and escapes what would move the cursor', () => {
    expect(remarks({ ...outcome, unreadablePaths: ['b/\u001b[2J'] })).toEqual(['  unreadable: b/\uFFFD[2J']);
    const many = { ...outcome, results: { ...outcome.results, unreadable: 7 } };
    expect(remarks(many).at(-1)).toBe('  and 6 more that could not be read');
  });
});

describe('the table', () => {
  it('has a line for each number, and for each fault', () => {
    const faults = [
      { kind: 'kill', recoveredMs: 2_340, story: 'a at file 1 of 2, w1 → w2' },
      { kind: 'freeze', recoveredMs: null, story: 'b at file 1 of 2, w2 → nobody' },
    ] as const;
    expect(runTable({ outcome, workedMs: 500, faults }).map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
      ' jobs 2 completed 2',
      ' attempts 3',
      ' lost leases 1',
      ' zombie calls refused 2 heartbeat 1, progress 1',
      ' events 1',
      ' jobs/s 4.0 in 0.5 s',
      ' compressed 0.0 kB of 0.0 kB',
      ' recovery from the kill 2.3 s a at file 1 of 2, w1 → w2',
      ' recovery from the freeze never b at file 1 of 2, w2 → nobody',
    ]);
  });
});
