/** `jobledger verify`: what it verifies when nothing is named, and what cannot be. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JobledgerClient, ProblemError } from '../../src/client/client.js';
import type { Call } from '../../src/cli/command.js';
import { readValues } from '../../src/cli/command-line.js';
import { verify } from '../../src/cli/commands/upkeep.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { answer, problem, ScriptedLedger } from '../support/scripted-ledger.js';

let ledger: ScriptedLedger;
beforeEach(async () => {
  ledger = await ScriptedLedger.start();
});
afterEach(() => ledger.close());

const run = async (...args: readonly string[]) => {
  const lines: string[] = [];
  const notes: string[] = [];
  const terminal: Partial<Terminal> = {
    ...{ width: null, style: (_, text) => text, note: (text) => notes.push(text), status: () => undefined },
    line: (text) => Promise.resolve(void lines.push(text)),
  };
  const client = new JobledgerClient({ baseUrl: ledger.url, retry: { deadlineMs: 0 } });
  const code = await verify.run({ values: readValues(verify, args), terminal, ledger: client } as Call);
  return { code, lines, notes };
};

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
