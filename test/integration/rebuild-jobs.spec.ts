/** The rows of jobs, as the real write path leaves them, against the rows that the log says. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { viewPastJob } from '../../src/api/job-view.js';
import type { JobCommand } from '../../src/domain/job-commands.js';
import { Refusal } from '../../src/domain/errors.js';
import { Refused } from '../../src/commands/envelope.js';
import { digest } from '../../src/projections/digest.js';
import { JOBS } from '../../src/projections/jobs/jobs.js';
import { inTransaction } from '../../src/projections/transaction.js';
import type { UpkeepKind, UpkeepRun } from '../../src/projections/upkeep/upkeep-runs.js';
import { ask } from '../support/given.js';
import { call, claim, spec, TestLedger } from '../support/ledger.js';

let ledger: TestLedger;

beforeAll(async () => {
  ledger = await TestLedger.open({ leaseMs: 100, maxLostLeases: 1, timeoutMs: 0, waitLimitMs: 100 });
});
afterAll(() => ledger.close());

const maintain = async (kind: UpkeepKind, options = {}): Promise<UpkeepRun> => {
  const { upkeep } = ledger.service;
  const { id } = await upkeep.ask(kind, 'jobs', options, 'a test');
  const run = await upkeep.waitFor(id, 60_000, new AbortController().signal);
  if (run?.state !== 'done') throw new Error(`${kind} is ${run?.state}: ${run?.error}`);
  return run;
};

const jobsDigest = (): Promise<string> => inTransaction(ledger.service.pool, (tx) => digest(JOBS, tx));

/** What the API shows and a claim hands out, byte for byte. */
const shown = async (ids: readonly string[]): Promise<readonly string[]> => {
  const rows = await ledger.service.rows.load(ids);
  return ids.map((id) => {
    const stored = rows.get(id)!;
    return JSON.stringify([viewPastJob(stored, ledger.service.contexts.policyOf(stored.job.spec)), stored.values]);
  });
};

/** Members in an order that is not the canonical one. */
const value = { z: { b: 1, a: [{ y: 1e21, x: 0.1 }] }, é: 'ü', '10': null, '9': -0 };

const varied: readonly JobCommand[] = [
  { ...ask.report, batchId: 'b-2', processed: 3, failed: 1, message: 'half' },
  { ...ask.report, batchId: 'b-3', processed: 0, current: 7, total: 20 },
  { ...ask.report, batchId: 'b-4', processed: 2, stage: 'a', total: 5 },
  { ...ask.report, batchId: 'b-5', processed: 0 },
  { ...ask.beat, checkpoint: { value, digest: 'd-1' } },
  { ...ask.beat, state: 'loading' },
  { ...ask.wait, detail: value },
  { ...ask.fail, detail: value },
  { ...ask.complete, result: value },
  { ...ask.retry, payload: value },
  { ...ask.reschedule, availableAt: '2026-01-01T00:00:00.000Z' },
];

const { create: _create, draft: _draft, delayed: _delayed, claim: _claim, claimWithoutStart: _other, ...fixed } = ask;
/** Those that the API has no way to give yet are given here all the same: what follows in the log is the same. */
const commands = fc.constantFrom<JobCommand>(
  ...(Object.values(fixed) as JobCommand[]).filter(({ name }) => name !== 'reap'),
  ...varied,
  ...varied,
);

type Act =
  | { readonly name: 'create'; readonly of: number }
  | { readonly name: 'claim' }
  | { readonly name: 'sweep' }
  | JobCommand;

const acts: fc.Arbitrary<readonly Act[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.nat(3).map((of) => ({ name: 'create', of }) as const) },
    { weight: 6, arbitrary: fc.constant({ name: 'claim' } as const) },
    { weight: 1, arbitrary: fc.constant({ name: 'sweep' } as const) },
    { weight: 14, arbitrary: commands },
  ),
  { minLength: 10, maxLength: 80, size: 'max' },
);

const SPECS = [
  spec({ payload: value, total: 10, tags: ['b', 'a'] }),
  spec({ autostart: false, payload: null }),
  spec({ availableAt: '2026-01-01T00:00:00.000Z', priority: 3, policy: { stallMs: 60_000, leaseMs: 100 } }),
  spec({ policy: { retry: { maxMs: 200, initialMs: 100 } }, maxAttempts: 2, preset: 'antenna' }),
];

/** Whatever is refused is refused. */
const live = async (act: Act, ids: string[]): Promise<void> => {
  const { service } = ledger;
  const id = ids.at(-1);
  if (act.name === 'create' && 'of' in act) {
    const [made] = await service.ledger.create([{ spec: SPECS[act.of]!, reason: 'why' }], call());
    ids.push(made!.jobId);
  } else if (act.name === 'claim') {
    for (const claimed of await claim(service, { max: 3 })) {
      ids.splice(ids.indexOf(claimed.outcome.jobId), 1);
      ids.push(claimed.outcome.jobId);
    }
  } else if (act.name === 'sweep') await service.reaper.sweep(false);
  else if (id !== undefined) {
    const row = (await service.rows.load([id])).get(id)!;
    const token = { run: row.job.run, attempt: row.job.attempt };
    const command = 'token' in act && act.token !== undefined ? { ...act, token } : act;
    await service.ledger.execute(id, command as JobCommand, call()).catch((error: unknown) => {
      if (!(error instanceof Refused) && !(error instanceof Refusal)) throw error;
    });
  }
};

describe('the rows of jobs', () => {
  it('are the same, byte for byte, when they are made anew from the log, whatever was commanded', async () => {
    const ids: string[] = [];
    await fc.assert(
      fc.asyncProperty(acts, async (sequence) => {
        for (const act of sequence) await live(act, ids);
        const [before, bytes] = [await jobsDigest(), await shown(ids)];
        expect((await maintain('verify')).result).toMatchObject({ differences: [], ok: true });
        await maintain('rebuild');
        expect(await jobsDigest()).toBe(before);
        expect(await shown(ids)).toEqual(bytes);
      }),
      { numRuns: 12, endOnFailure: true },
    );
    expect(ids.length).toBeGreaterThan(20);
  });

  it('are written in several statements a page; one that cannot be read takes none of the others with it', async () => {
    const { ledger: commands, pool, store } = ledger.service;
    const specs = Array.from({ length: 600 }, () => ({ spec: SPECS[0]!, reason: null }));
    const made = await commands.create(specs, call());
    const broken = made[400]!.jobId;
    const event = { id: randomUUID(), type: 'JobTeleported', version: 1, data: {}, metadata: {} };
    await store.append([{ stream: `job-${broken}`, expected: 'any', events: [event] }]);
    const before = await pool.query(`select id, doc::text, position from jobledger.jobs order by id`);
    await maintain('rebuild');
    const { rows } = await pool.query(`select id, doc::text, position from jobledger.jobs order by id`);
    expect(rows).toEqual(before.rows);
    const parked = await pool.query(`select stream from jobledger.parked where projection = 'jobs'`);
    expect(parked.rows).toEqual([{ stream: `job-${broken}` }]);
  });
});
