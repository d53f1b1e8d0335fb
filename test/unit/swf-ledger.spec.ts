/** What a replay finds when the ledger is not what the log says, and when its clock says that something is due. */
import { describe, expect, it } from '@jest/globals';
import { LedgerReader, type LedgerTotals } from '../../src/cli/swf/ledger-totals.js';
import { ReplayClock } from '../../src/cli/swf/replay-clock.js';
import { compareTotals } from '../../src/cli/swf/replay-report.js';
import { type Ending, type LoggedJob, totalsOf } from '../../src/cli/swf/workload.js';
import type { Job, StatusCounts } from '../../src/client/client.js';

const logged = (line: number, ending: Ending, run: number): LoggedJob => ({
  line,
  job: line,
  submit: 0,
  wait: 0,
  run,
  ending,
});

const LOG = [logged(1, 'completed', 10), logged(2, 'failed', 20), logged(3, 'cancelled', 30), logged(4, 'unknown', 40)];

const onLedger = (line: number, over: object = {}): Job => {
  const job = { id: `job-${line}`, status: 'completed', attempt: 1, lostLeases: 0, error: null, result: null };
  return { ...job, payload: { line }, progress: { processed: 0 }, ...over } as unknown as Job;
};

const JOBS = [
  onLedger(1, { result: { runSeconds: 10 } }),
  onLedger(2, { status: 'failed', error: { code: 'FailedInLog', message: 'm', detail: { runSeconds: 20 } } }),
  onLedger(3, { status: 'cancelled', progress: { processed: 30 } }),
  onLedger(4, { result: { runSeconds: 40 } }),
];
const COUNTERS = { completed: 2, failed: 1, cancelled: 1 };

const read = (jobs: readonly Job[], counters: StatusCounts = COUNTERS): LedgerTotals => {
  const reader = new LedgerReader(LOG);
  for (const job of jobs) reader.push(job);
  return reader.end(counters);
};
const unequal = (ledger: LedgerTotals): string[] =>
  compareTotals(totalsOf(LOG), ledger)
    .filter(({ isEqual }) => !isEqual)
    .map(({ what }) => what);

describe('a ledger that is what the log says', () => {
  it('is equal in every number', () => {
    const ledger = read(JOBS);
    expect([ledger.runSeconds, ledger.differences.count, unequal(ledger)]).toEqual([100n, 0, []]);
  });
});

describe('a ledger that is not', () => {
  it('differs by a job that was lost, named by its line', () => {
    const ledger = read(JOBS.slice(1));
    expect(unequal(ledger)).toEqual(['jobs', 'completed', 'run seconds']);
    expect(ledger.differences.first).toEqual(['line 1: is not on the ledger']);
  });

  it('differs by a job that is there twice', () => {
    const ledger = read([...JOBS, onLedger(1, { id: 'other', result: { runSeconds: 10 } })]);
    expect(unequal(ledger)).toEqual(['jobs', 'completed', 'run seconds']);
    expect(ledger.differences.first).toEqual(['line 1: is on the ledger twice, as job-1 and other']);
  });

  it('differs when one was lost and another is there twice, though the numbers are the same', () => {
    const ledger = read([JOBS[0]!, { ...JOBS[0]!, id: 'other', result: { runSeconds: 40 } }, JOBS[1]!, JOBS[2]!]);
    expect(unequal(ledger)).toEqual([]);
    expect(ledger.differences.first).toEqual([
      'line 1: is on the ledger twice, as job-1 and other',
      'line 4: is not on the ledger',
    ]);
  });

  it('differs by an end, a run time, a stranger', () => {
    const strange = onLedger(1, { id: 'stranger', payload: null });
    const ledger = read([
      onLedger(1, { status: 'cancelled' }),
      JOBS[1]!,
      JOBS[2]!,
      onLedger(4, { result: { runSeconds: 41 } }),
      strange,
    ]);
    expect(ledger.differences.first).toEqual([
      'line 1: job job-1 is cancelled on the ledger, completed in the log',
      'line 4: job job-4 ran 41 s on the ledger, 40 s in the log',
      'job stranger is of no line of the log',
    ]);
  });

  it('differs by counters alone, also by a status that no job should have', () => {
    expect(unequal(read(JOBS, { ...COUNTERS, completed: 1 }))).toEqual(['jobs', 'completed']);
    expect(unequal(read(JOBS, { ...COUNTERS, queued: 1 }))).toEqual(['jobs', 'queued']);
  });
});

describe('the clock of a replay', () => {
  it('makes an hour of the log a second', () => {
    let now = 0;
    const clock = new ReplayClock(1_000, 3_600, () => now);
    clock.start();
    expect([clock.msUntil(1_000), clock.msUntil(4_600), clock.msOf(7_200)]).toEqual([0, 1_000, 2_000]);
    now = 1_500;
    expect(clock.msUntil(4_600)).toBe(-500);
  });

  it('has everything due at once when there is none', () => {
    const clock = new ReplayClock(0, null, () => 0);
    expect([clock.msUntil(1e9), clock.msOf(1e9)]).toEqual([0, 0]);
  });
});
