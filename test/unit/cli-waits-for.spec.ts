/** `jobledger jobs show`: what a job waits for, and who brings it. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Job, JobledgerClient } from '../../src/client/client.js';
import { jobColumns } from '../../src/cli/commands/job-columns.js';
import { whatItWaitedFor, whatItWaitsFor } from '../../src/cli/commands/waits-for.js';
import { answer, problem, ScriptedLedger } from '../support/scripted-ledger.js';

const NOW = Date.parse('2026-01-31T12:00:00.000Z');
const before = (ms: number): string => new Date(NOW - ms).toISOString();
const MIN = 60_000;

let ledger: ScriptedLedger;
beforeEach(async () => (ledger = await ScriptedLedger.start()));
afterEach(() => ledger.close());

const claimer = (workerId: string, types: readonly string[] | null, agoMs: number) => ({
  ...{ workerId, types, lastAskedAt: before(agoMs) },
});
/** @param busy who has jobs, as often as it has */
const queue = (claimers: readonly object[], busy: readonly string[] = [], paused = false): void => {
  ledger.script('GET /v1/queues/q', answer({ name: 'q', paused, claimers }));
  const items = busy.map((workerId) => ({ lease: { workerId } }));
  ledger.script('GET /v1/jobs', answer({ items, nextCursor: null }));
};

const job = (over: Partial<Job>): Job => ({ type: 'Odd', queue: 'q', status: 'queued', waiting: null, ...over }) as Job;
const wait = (over: Partial<NonNullable<Job['waiting']>>): Job['waiting'] => ({
  ...{ reason: 'paused', detail: null, since: before(MIN), until: null },
  ...over,
});
const why = (over: Partial<Job> = {}): Promise<string | null> =>
  whatItWaitsFor(new JobledgerClient({ baseUrl: ledger.url, retry: { deadlineMs: 0 } }), job(over), NOW);

const WORKER = 'a worker that asks for `Odd` in `q`';

describe('a queued job', () => {
  it.each<[string, readonly object[], readonly string[], string]>([
    ['nobody asks for', [], [], 'none has within a day'],
    [
      'is spelt otherwise by whoever asks',
      [claimer('w', ['a', 'b', 'c', 'odd'], 0)],
      [],
      'none has within a day; there they ask for odd, a, b …',
    ],
    ['has a worker that is gone', [claimer('w', null, 11 * MIN)], [], 'none is there, the last one asked 11m ago: w'],
    ['has a worker that asks', [claimer('w', ['Odd'], 3_000)], [], 'w asked 3s ago'],
    ['has one that asks and is busy', [claimer('w', ['Odd'], 0)], ['w', 'w'], 'w asked now and is busy with 2 jobs'],
    ['has one that is busy', [claimer('w', ['Odd'], 11 * MIN)], ['w'], 'w asked 11m ago and is busy with 1 job'],
    [
      'has one with room behind one that is busy',
      [claimer('full', null, 0), claimer('free', null, 5_000)],
      ['full'],
      'free asked 5s ago',
    ],
    [
      'has one that is busy behind one that is gone',
      [claimer('gone', null, 5 * MIN), claimer('busy', null, 6 * MIN)],
      ['busy'],
      'busy asked 6m ago and is busy with 1 job',
    ],
  ])('%s', async (_what, claimers, busy, said) => {
    queue(claimers, busy);
    expect(await why()).toBe(`${WORKER}: ${said}`);
  });

  it('says no more than the service tells: of many who ask it names the last 20', async () => {
    queue(Array.from({ length: 20 }, (_, n) => claimer(`w-${n}`, ['odd'], 0)));
    expect(await why()).toBe(`${WORKER}: none of the last 20 has; there they ask for odd`);
    for (const [status, code] of [
      [403, 'forbidden'],
      [404, 'not_found'],
    ] as const) {
      ledger.script('GET /v1/queues/q', problem(status, code));
      expect(await why()).toBe(WORKER);
    }
    ledger.script('GET /v1/queues/q', problem(503, 'unavailable'));
    await expect(why()).rejects.toThrow('unavailable');
  });

  it('of a queue that is paused waits for that', async () => {
    queue([claimer('w', null, 0)], [], true);
    expect(await why()).toBe('its queue `q`, which is paused');
  });
});

describe('a job', () => {
  it('that is a draft is started by somebody', async () => {
    expect(await why({ status: 'created' })).toContain('`jobledger jobs start`');
  });

  it('that waits says for what, and what moves it on', async () => {
    const since = 'since 2026-01-31 11:59:00.000';
    const waits = (over: object) => why({ status: 'waiting', waiting: wait(over) });
    expect(await waits({ detail: 'audit' })).toBe(`paused: audit, ${since}; \`jobledger jobs resume\` moves it on`);
    expect(await waits({ reason: 'approval', detail: { by: 'Ann' }, until: before(-MIN) })).toBe(
      `approval: {"by":"Ann"}, ${since}, until 2026-01-31 12:01:00.000; \`jobledger jobs resume\` moves it on`,
    );
    expect(whatItWaitedFor(job({ waiting: wait({ detail: 'audit' }) }))).toBe(`paused: audit, ${since}`);
  });

  it('that is scheduled says in how long; one that is due waits for a worker', async () => {
    queue([]);
    const retry = (until: string) => why({ status: 'scheduled', waiting: wait({ reason: 'retry', until }) });
    expect(await retry(before(-5 * MIN))).toMatch(/^retry, since .*, until .*, which is in 5m$/);
    expect(await retry(before(5_000))).toMatch(/^retry, .*, which is over; then a worker .*: none has within a day$/);
  });

  it('that moves waits for nothing', async () => {
    expect([await why({ status: 'running' }), whatItWaitedFor(job({}))]).toEqual([null, null]);
  });

  it('says in a list for what it waits', () => {
    const note = (waiting: Job['waiting']) =>
      jobColumns(NOW)
        .at(-1)!
        .value({ lease: null, waiting, error: null } as Job);
    expect(note(wait({ detail: 'audit' }))).toBe('paused: audit');
    expect(note(wait({ reason: 'retry', until: before(0) }))).toBe('retry until 2026-01-31 12:00:00.000');
  });
});
