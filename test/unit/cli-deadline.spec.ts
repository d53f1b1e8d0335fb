/** `jobledger jobs show`: the deadline of a job, and why nothing came of one that is over. */
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { type Job, JobledgerClient } from '../../src/client/client.js';
import type { Call } from '../../src/cli/command.js';
import { readValues } from '../../src/cli/command-line.js';
import { deadlineOf } from '../../src/cli/commands/deadline.js';
import { jobsShow } from '../../src/cli/commands/jobs-show.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { answer, problem, ScriptedLedger } from '../support/scripted-ledger.js';

const AT = Date.parse('2026-01-31T12:00:00.000Z');
const DEADLINE = 'lease_expired at 2026-01-31 12:00:00.000';

let ledger: ScriptedLedger;
beforeEach(async () => (ledger = await ScriptedLedger.start()));
afterEach(() => {
  jest.restoreAllMocks();
  return ledger.close();
});

const JOB = '0198c0de-0000-7000-8000-000000000000';

/** @param lateMs since the deadline */
const said = (lateMs: number): Promise<string | null> => {
  const client = new JobledgerClient({ baseUrl: ledger.url, retry: { deadlineMs: 0 } });
  const deadline = { at: new Date(AT).toISOString(), rule: 'lease_expired' };
  return deadlineOf(client, { deadline } as Job, AT + lateMs);
};
const led = (leader: string | null) => ledger.script('GET /v1/reaper', answer({ leader, alive: leader !== null }));

it('is told alone while a reaper may yet come: nobody is asked', async () => {
  expect([await said(-60_000), await said(5_000)]).toEqual([DEADLINE, DEADLINE]);
  expect(ledger.calls).toEqual([]);
  expect(await deadlineOf(new JobledgerClient({ baseUrl: ledger.url }), { deadline: null } as Job, AT)).toBeNull();
});

it('is over and nobody is there to see it', async () => {
  led(null);
  expect(await said(23_000)).toBe(`${DEADLINE} is over by 23s: no reaper leads (\`jobledger reaper status\`)`);
});

it('is over and the reaper that leads has done nothing', async () => {
  led('ledger-1');
  expect(await said(5_001)).toBe(
    `${DEADLINE} is over by 5s: the reaper has not handled it yet, \`jobledger reaper sweep\` says why`,
  );
});

it.each([
  [403, 'forbidden'],
  [503, 'unavailable'],
] as const)('is over, and that much is said where nothing is told of the reaper: %d', async (status, code) => {
  ledger.script('GET /v1/reaper', problem(status, code));
  expect(await said(23_000)).toBe(`${DEADLINE} is over by 23s`);
});

it('is shown with the job, and not with one as it was', async () => {
  jest.spyOn(Date, 'now').mockReturnValue(AT + 23_000);
  led(null);
  const job = (deadline: Job['deadline']) =>
    answer({
      ...{
        id: JOB,
        status: 'running',
        tags: [],
        waiting: null,
        lease: null,
        directive: null,
        error: null,
        failures: [],
      },
      ...{ progress: { processed: 0, total: null, message: null }, payload: null, result: null, deadline },
    });
  const shown = async (...args: readonly string[]): Promise<string> => {
    const lines: string[] = [];
    const terminal: Partial<Terminal> = {
      ...{ width: null, style: (_, text) => text, line: (text) => Promise.resolve(void lines.push(text)) },
    };
    const client = new JobledgerClient({ baseUrl: ledger.url, retry: { deadlineMs: 0 } });
    await jobsShow.run({ values: readValues(jobsShow, [JOB, ...args]), terminal, ledger: client } as Call);
    return lines.join('\n');
  };
  const events = answer({ items: [], nextCursor: null });
  ledger.script(`GET /v1/jobs/${JOB}`, job({ at: new Date(AT).toISOString(), rule: 'lease_expired' }), job(null));
  ledger.script(`GET /v1/jobs/${JOB}/events`, events);
  expect(await shown()).toMatch(new RegExp(`^deadline +${DEADLINE} is over by 23s: no reaper leads `, 'm'));
  expect(await shown('--as-of', '5')).not.toContain('deadline');
});
