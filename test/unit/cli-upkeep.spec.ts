/** `jobledger verify`: what it verifies when nothing is named, and what cannot be; what it and `jobledger rebuild` say of parked streams. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JobledgerClient, ProblemError } from '../../src/client/client.js';
import type { Call } from '../../src/cli/command.js';
import { readValues } from '../../src/cli/command-line.js';
import { rebuild, verify } from '../../src/cli/commands/upkeep.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { answer, problem, ScriptedLedger } from '../support/scripted-ledger.js';

let ledger: ScriptedLedger;
beforeEach(async () => {
  ledger = await ScriptedLedger.start();
});
afterEach(() => ledger.close());

const runOf = async (command: typeof verify, ...args: readonly string[]) => {
  const lines: string[] = [];
  const notes: string[] = [];
  const terminal: Partial<Terminal> = {
    ...{ width: null, style: (_, text) => text, note: (text) => notes.push(text), status: () => undefined },
    line: (text) => Promise.resolve(void lines.push(text)),
  };
  const client = new JobledgerClient({ baseUrl: ledger.url, retry: { deadlineMs: 0 } });
  const code = await command.run({ values: readValues(command, args), terminal, ledger: client } as Call);
  return { code, lines, notes };
};

const run = (...args: readonly string[]) => runOf(verify, ...args);

const AT = '2026-01-31T12:00:00.000Z';
const counters = (over: object = {}) =>
  answer({
    ...{ id: 'u', kind: 'verify', projection: 'counters', state: 'done', startedAt: AT, finishedAt: AT, events: 7 },
    ...{ position: '9', ok: true, parked: 0, differing: 0, differences: [], repaired: false, truncated: false },
    ...{ firstBad: null, reason: null },
    ...over,
  });

/** A log elsewhere: its rows of jobs and its chain of hashes cannot be verified. */
const besideLogElsewhere = (found = counters()) =>
  ledger
    .script('GET /v1/admin/projections', answer({ items: [{ name: 'job_rows' }, { name: 'counters' }] }))
    .script('POST /v1/admin/projections/job_rows/verify', problem(501, 'not_implemented'))
    .script('POST /v1/admin/projections/counters/verify', found)
    .script('POST /v1/admin/log/verify', problem(501, 'not_implemented'));

describe('verify without a name', () => {
  it('passes over what cannot be verified, says so, and verifies all else', async () => {
    besideLogElsewhere();
    const { code, lines, notes } = await run();
    expect(notes).toEqual([
      'job_rows is not verified: says not_implemented',
      'log is not verified: says not_implemented',
    ]);
    expect([code, lines.at(-1)]).toEqual([0, expect.stringMatching(/^counters +yes /)]);
  });

  it('tells of differences in what can be verified', async () => {
    besideLogElsewhere(counters({ ok: false, differing: 1 }));
    expect((await run()).code).toBe(4);
  });

  it('fails of any other refusal', async () => {
    besideLogElsewhere(problem(403, 'forbidden'));
    await expect(run()).rejects.toThrow(ProblemError);
  });
});

describe('verify of what cannot be verified', () => {
  it.each([[['job_rows']], [['log']], [['--head', `1:${'0'.repeat(64)}`]]])('is refused by name: %j', async (args) => {
    besideLogElsewhere();
    await expect(run(...args)).rejects.toThrow('not_implemented');
  });
});

describe('a log that is not what was written', () => {
  const bad = { projection: null, kind: 'verify-log', ok: false, firstBad: '13', reason: 'it is not what was written' };

  it.each([
    ['45', '10', 'first bad position 13, it is not what was written; 14 to 45 not checked'],
    ['14', '10', 'first bad position 13, it is not what was written; 14 not checked'],
    ['12', '12', 'first bad position 13, it is not what was written'],
  ])('is told with what was not checked: up to %s', async (head, position, found) => {
    ledger.script('POST /v1/admin/log/verify', counters({ ...bad, head, position, differing: null }));
    const { code, lines } = await run('log');
    expect(code).toBe(4);
    expect(lines[0]).toMatch(/ RIGHT TO /);
    expect(lines[1]).toMatch(new RegExp(`^log +NO +7 +${position} .* ${found}$`));
  });
});

describe('a stream that is parked', () => {
  const WHERE = (count: string) =>
    `counters skips ${count} with an event that cannot be read: GET /v1/admin/projections/counters says why`;

  it('is a finding of a verification, as a row that differs is', async () => {
    ledger.script('POST /v1/admin/projections/counters/verify', counters({ parked: 1 }));
    const { code, lines } = await run('counters');
    expect(code).toBe(4);
    expect(lines[1]).toMatch(/^counters +NO .* 1 stream parked$/);
    expect(lines.at(-1)).toBe(WHERE('1 stream'));
  });

  it('is named beside rows that were put right, which it was not', async () => {
    const found = { ok: false, differing: 1, repaired: true, parked: 2 };
    ledger.script('POST /v1/admin/projections/counters/verify', counters(found));
    const { code, lines } = await run('counters', '--repair');
    expect(code).toBe(4);
    expect(lines[1]).toMatch(/ 1 row differs, repaired, 2 streams parked$/);
    expect(lines.at(-1)).toBe(WHERE('2 streams'));
  });

  it.each([
    [1, 4, /^counters +NO .* 1 stream parked$/],
    [0, 0, /^counters +yes .* as it should be$/],
    // Of a service of the release before.
    [null, 0, /^counters +yes .* as it should be$/],
  ])('is told of by the rebuild that parks it: %s', async (parked, expected, line) => {
    ledger.script(
      'POST /v1/admin/projections/counters/rebuild',
      counters({ kind: 'rebuild', differing: null, parked }),
    );
    const { code, lines } = await runOf(rebuild, 'counters');
    expect(code).toBe(expected);
    expect(lines[1]).toMatch(line);
  });
});
