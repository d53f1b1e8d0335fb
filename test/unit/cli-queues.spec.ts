/** `jobledger queues`: which types wait, who comes for them, and how old the counts are. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type Claimer, JobledgerClient, type Queue } from '../../src/client/client.js';
import type { Call, Command } from '../../src/cli/command.js';
import { readValues } from '../../src/cli/command-line.js';
import { counters } from '../../src/cli/commands/numbers.js';
import { queues } from '../../src/cli/commands/queues.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { answer, loseAnswer, problem, ScriptedLedger } from '../support/scripted-ledger.js';

const NOW = Date.parse('2026-01-31T12:00:00.000Z');

let ledger: ScriptedLedger;
beforeEach(async () => {
  ledger = await ScriptedLedger.start();
  jest.spyOn(Date, 'now').mockReturnValue(NOW);
});
afterEach(() => {
  jest.restoreAllMocks();
  return ledger.close();
});

const page = (...items: readonly object[]) => answer({ items, nextCursor: null });
const projection = (over: object = {}) => ({
  ...{ name: 'counters', position: '5', lagMs: 0, lagEvents: 0, lastError: null },
  ...over,
});

const claimer = (workerId: string, types: readonly string[] | null, agoMs: number): Claimer => ({
  ...{ workerId, types, lastAskedAt: new Date(NOW - agoMs).toISOString() },
});
const queue = (depthByType: Record<string, number>, ...claimers: readonly Claimer[]): Queue => ({
  ...{ name: 'q', paused: false, depth: 3, oldestJobId: null, oldestAgeMs: 60_000, byStatus: { queued: 3 } },
  ...{ depthByType, claimers, limits: { maxRunning: null, maxRunningPerKey: null, rate: null } },
});

/** What the command prints, and says beside it. */
const run = async (command: Command, ...args: readonly string[]) => {
  const lines: string[] = [];
  const notes: string[] = [];
  const terminal: Partial<Terminal> = {
    ...{ width: null, style: (_, text) => text, note: (text) => notes.push(text) },
    line: (text) => Promise.resolve(void lines.push(text)),
  };
  const retry = { deadlineMs: 0 };
  const client = new JobledgerClient({ baseUrl: ledger.url, retry });
  await command.run({ values: readValues(command, args), terminal, ledger: client } as Call);
  return { lines, notes };
};

const shown = async (found: Queue): Promise<string> => {
  ledger.script('GET /v1/queues', page(found)).script('GET /v1/admin/projections', page(projection()));
  const { lines, notes } = await run(queues);
  expect(notes).toEqual([]);
  return lines[1]!;
};

const MIN = 60_000;

describe('a queue', () => {
  it.each<[string, Queue, RegExp]>([
    ['nobody asked for', queue({ Odd: 2 }), / Odd! +nobody asks /],
    ['of one who asks for the type', queue({ t: 1 }, claimer('w-1', ['t'], 3_000)), / t +t \(w-1, 3s ago\) /],
    ['of one who asks for any', queue({ t: 1 }, claimer('w-1', null, 0)), / t +any type \(w-1, now\) /],
    ['of one who waits for a minute', queue({ t: 1 }, claimer('w-1', ['t'], 70_000)), / t +t \(w-1, 1m 10s ago\) /],
    [
      'of many, the last of which counts',
      queue({ t: 1 }, claimer('b', ['t'], 2_000), claimer('b', ['t', 'u'], 9_000), claimer('a', ['t'], 11 * MIN)),
      / t +t \(b, 2s ago\), u \(b, 9s ago\) /,
    ],
    ['of two', queue({}, claimer('b', ['t'], 2_000), claimer('a', ['t'], 9_000)), / t \(2 workers, 2s ago\) /],
    ['of another type', queue({ Odd: 1 }, claimer('w', ['odd'], 2_000)), / Odd! +odd \(w, 2s ago\) /],
  ])('%s', async (_what, found, row) => {
    ledger.script('GET /v1/jobs', page());
    expect(await shown(found)).toMatch(row);
  });

  it('of one who is gone waits in vain', async () => {
    ledger.script('GET /v1/jobs', page());
    expect(await shown(queue({ t: 1 }, claimer('curl', null, 11 * MIN)))).toMatch(/ t! +any type \(nobody for 11m\) /);
  });

  it('of one who is busy does not, however long ago it asked', async () => {
    ledger.script('GET /v1/jobs', page({ lease: { workerId: 'w-1' } }));
    expect(await shown(queue({ t: 1 }, claimer('w-1', ['t'], 11 * MIN)))).toMatch(/ t +t \(w-1 is busy\) /);
    const { query } = await ledger.received('GET /v1/jobs');
    expect([query.getAll('workerId'), query.getAll('status')]).toEqual([['w-1'], ['claimed', 'running', 'cancelling']]);
  });

  it('asks for nobody who asks', async () => {
    await shown(queue({ t: 1 }, claimer('w-1', ['t'], 0)));
    expect(ledger.calls).not.toContain('GET /v1/jobs');
  });

  it('has types marked first, and not for sure when more may ask than are told', async () => {
    const others = Array.from({ length: 20 }, (_, n) => claimer(`w-${n}`, ['a', 'b', 'c'], 0));
    const waiting = { a: 4, b: 3, c: 2, odd: 1 };
    expect(await shown(queue(waiting, ...others.slice(1)))).toMatch(/ odd!, a, b … /);
    expect(await shown(queue(waiting, ...others))).toMatch(/ odd\?, a, b … /);
  });

  it('has those who ask for what waits first', async () => {
    const others = claimer('w', ['a', 'b', 'c'], 0);
    expect(await shown(queue({ t: 1 }, others, claimer('v', ['d', 't'], 2_000)))).toMatch(
      / t \(v, 2s ago\), a \(w, now\), b \(w, now\) … /,
    );
    expect(await shown(queue({ t: 1 }, others, claimer('v', null, 2_000)))).toMatch(/ any type \(v, 2s ago\), a /);
    expect(await shown(queue({}, others, claimer('v', null, 2_000)))).toMatch(/ a .*, c \(w, now\) … /);
  });
});

describe('queues in an outage of the log, in which jobs cannot be listed', () => {
  const away = problem(503, 'unavailable');

  it('are shown; who is busy, and how old the counts are, is said not to be known', async () => {
    const found = queue({ t: 1, u: 1, v: 1 }, claimer('w-1', ['t'], 11 * MIN), claimer('w-2', ['u'], 0));
    ledger.script('GET /v1/queues', page(found)).script('GET /v1/jobs', away).script('GET /v1/admin/projections', away);
    const { lines, notes } = await run(queues);
    expect(lines.at(-1)).toMatch(/ t\?, v!, u +t \(w-1, 11m ago\), u \(w-2, now\) /);
    expect(notes).toEqual([
      'which of those who have not asked for 75 s are busy is not known: says unavailable',
      'how far these counts are behind the log is not known: says unavailable',
    ]);
  });

  it('are shown also where the rest is not answered at all', async () => {
    ledger.script('GET /v1/queues', page(queue({ t: 1 }, claimer('w-1', ['t'], 11 * MIN))));
    ledger.script('GET /v1/jobs', loseAnswer).script('GET /v1/admin/projections', loseAnswer);
    const { lines, notes } = await run(queues);
    expect([lines.at(-1), notes.length]).toEqual([expect.stringMatching(/ t\? +t \(w-1, 11m ago\) /), 2]);
  });
});

describe.each([
  ['queues', queues, 'GET /v1/queues', page()],
  ['counters', counters, 'GET /v1/counters', answer({ position: '5', byStatus: {}, events: 5 })],
])('how old the counts of %s are', (_name, command, call, found) => {
  const said = async (): Promise<string> => {
    ledger.script(call, found);
    const { notes } = await run(command, '--json');
    expect(notes.length).toBeLessThanOrEqual(command === queues ? 2 : 1);
    return notes.at(-1) ?? '';
  };

  it('is said when it is worth it', async () => {
    const behind = { lagMs: 62_000, lagEvents: 3 };
    ledger.script('GET /v1/admin/projections', page(projection(behind)), page(projection({ lagMs: 1_999 })));
    expect(await said()).toBe('these counts are 1m 2s behind the log, 3 events: does a process run projections?');
    expect(await said()).toBe('');
    ledger.script('GET /v1/admin/projections', page(projection({ ...behind, lastError: 'no table' })));
    expect(await said()).toMatch(/ behind the log, 3 events: no table$/);
  });

  it('is said where nothing was ever counted', async () => {
    ledger.script('GET /v1/admin/projections', page(projection({ name: 'jobs' })));
    expect(await said()).toBe('nothing was counted yet: no process has run projections');
  });

  it('is what readiness says for whoever may not ask for more, and nothing where nobody can tell', async () => {
    ledger.script('GET /v1/admin/projections', problem(403, 'forbidden'));
    const checks = { projections: { status: 'unavailable', detail: 'counters is 62000 ms behind' } };
    ledger.script('GET /health/ready', answer({ status: 'unavailable', checks }, 503));
    expect(await said()).toBe('counters is 62000 ms behind');
    ledger.script(
      'GET /health/ready',
      answer({ status: 'ok', checks: { projections: { status: 'ok', detail: null } } }),
    );
    expect(await said()).toBe('');
    ledger.script('GET /v1/admin/projections', problem(501, 'not_implemented'));
    expect(await said()).toBe('');
  });
});
