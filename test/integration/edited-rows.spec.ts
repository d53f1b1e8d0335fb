/** Rows of `jobs` that somebody edited or lost: each way of serving a job repairs them or refuses. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JobReader } from '../../src/api/job-reader.js';
import { JobNotFound } from '../../src/commands/errors.js';
import { replayJob } from '../../src/projections/jobs/job-history.js';
import type { JobList } from '../../src/projections/jobs/job-queries.js';
import type { Token } from '../../src/domain/job-commands.js';
import { startApp } from '../support/app.js';
import { claim, create, execute, TestLedger, tokenOf } from '../support/ledger.js';
import { LedgerCaller } from '../support/ledger-caller.js';

const set = (path: string, value: string): string => `doc = jsonb_set(doc::jsonb, '{${path}}', '${value}')::json`;

/** What was done to the row of a completed job. */
const EDITS = {
  'its status': "status = 'queued'",
  'its document': set('status', '"queued"'),
  'both, as if it were to be claimed': `status = 'queued', ready_at = now(), leased = false, ${set('status', '"queued"')}`,
  'its revision': `revision = revision + 5, ${set('revision', '99')}`,
  'its row as it was before': `status = 'running', leased = true, revision = revision - 1, doc = jsonb_set(jsonb_set(
    jsonb_set(doc::jsonb, '{revision}', to_jsonb(revision - 1)), '{status}', '"running"'), '{lease}',
    '{"workerId": "w1", "leaseMs": 1, "claimedAt": "2026-01-01T00:00:00.000Z"}')::json`,
  'its run': `run = 2, ${set('run', '2')}`,
  'its document, which nobody can read any more': `doc = '"lost"'`,
  'its progress': `progress = '{}'`,
  'its progress, which nobody can read any more': `progress = '"lost"'`,
  'a count of its progress': `progress = jsonb_set(progress, '{processed}', '"many"')`,
  'a count of its progress, to one that is none': `progress = jsonb_set(progress, '{processed}', '1.5')`,
  'a stage of its progress': `progress = jsonb_set(progress, '{stages}', '{"a": null}')`,
  'all stages of its progress': `progress = jsonb_set(progress, '{stages}', '[]')`,
  'what was saved of its progress': `saved_progress = '{}'`,
  'what was saved of its progress, which nobody can read any more': `saved_progress = '"lost"'`,
} as const;

describe('the row of a completed job', () => {
  let ledger: TestLedger;
  beforeAll(async () => {
    ledger = await TestLedger.open();
  });
  afterAll(() => ledger.close());

  let queues = 0;
  const spoil = async (edit: string) => {
    const queue = `q${(queues += 1)}`;
    const { jobId } = await create(ledger.service, { queue });
    const [claimed] = await claim(ledger.service, { filter: { queues: [queue] } });
    await execute(ledger.service, jobId, 'complete', { token: tokenOf(claimed!) });
    const { rowCount } = await ledger.service.pool.query(`update jobledger.jobs set ${edit} where id = $1`, [jobId]);
    expect(rowCount).toBe(1);
    return { jobId, queue };
  };
  const list = (queue: string): JobList => ({
    filter: { queue: [queue] },
    order: { by: 'createdAt', descending: true },
    limit: 10,
    after: null,
  });

  describe.each(Object.entries(EDITS))('of which somebody edited %s', (_, edit) => {
    it('is not loaded', async () => {
      const { jobId } = await spoil(edit);
      expect((await ledger.service.rows.load([jobId])).size).toBe(0);
    });

    it('is repaired by a list', async () => {
      const { jobId, queue } = await spoil(edit);
      const { stored } = await replayJob(ledger.service.store, jobId);
      expect(await ledger.service.reads.jobs.list(list(queue))).toEqual([stored]);
      expect((await ledger.service.rows.load([jobId])).get(jobId)).toEqual(stored);
    });

    it('is neither claimed nor commanded by a process that does not know it [A-05]', async () => {
      const { jobId, queue } = await spoil(edit);
      const app = await startApp({ databaseUrl: ledger.url });
      try {
        const other = new LedgerCaller(app.url);
        expect(await other.claims('w', { queues: [queue] })).toEqual([]);
        const { status, body } = await other.post(`/v1/jobs/${jobId}/priority`, { priority: 1 });
        expect([status, body]).toEqual([
          409,
          expect.objectContaining({ code: 'already_terminal', jobStatus: 'completed', run: 1 }),
        ]);
        expect((await other.job(jobId)).status).toBe('completed');
      } finally {
        await app.close();
      }
    });
  });

  describe('of a job that its process goes on with, and of which somebody edited', () => {
    const PROGRESS = Object.entries(EDITS).filter(([, edit]) => /^(saved_)?progress/.test(edit));
    /** What moves progress: a report adds to it, a checkpoint saves it, a claim goes on from what was saved. */
    const CALLS: Readonly<Record<string, (jobId: string, queue: string, token: Token) => Promise<unknown>>> = {
      report: (jobId, _, token) => execute(ledger.service, jobId, 'progress', { token, batchId: 'b2', processed: 2 }),
      checkpoint: (jobId, _, token) =>
        execute(ledger.service, jobId, 'heartbeat', { token, checkpoint: { value: 2, digest: 'two' } }),
      claim: async (_, queue) => expect(await claim(ledger.service, { filter: { queues: [queue] } })).toHaveLength(1),
    };
    const cases = PROGRESS.flatMap(([name, edit]) => Object.keys(CALLS).map((made) => [name, made, edit] as const));

    it.each(cases)('%s, the next %s makes it what the log says', async (_, made, edit) => {
      const queue = `q${(queues += 1)}`;
      const { jobId } = await create(ledger.service, { queue });
      const [claimed] = await claim(ledger.service, { filter: { queues: [queue] } });
      const token = tokenOf(claimed!);
      const { pool } = ledger.service;
      await execute(ledger.service, jobId, 'progress', { token, batchId: 'b1', processed: 3 });
      await execute(ledger.service, jobId, 'heartbeat', { token, checkpoint: { value: 1, digest: 'one' } });
      if (made === 'claim') await execute(ledger.service, jobId, 'release', { token });
      expect((await pool.query(`update jobledger.jobs set ${edit} where id = $1`, [jobId])).rowCount).toBe(1);
      await CALLS[made]!(jobId, queue, token);
      // What a call does not look at, whoever reads the row next repairs.
      const [listed] = await ledger.service.reads.jobs.list(list(queue));
      expect(listed).toEqual((await replayJob(ledger.service.store, jobId)).stored);
      expect(listed?.progress.processed).toBe(made === 'report' ? 5 : 3);
    });
  });

  it('that was deleted is made again, and one that never was is not', async () => {
    const { jobId } = await spoil('priority = 0');
    await ledger.service.pool.query('delete from jobledger.jobs where id = $1', [jobId]);
    const { reads } = ledger.service;
    const reader = new JobReader(reads.store, reads.rows, reads.leases, ledger.service.contexts);
    expect((await reader.one(jobId)).status).toBe('completed');
    expect((await reads.rows.load([jobId])).size).toBe(1);
    await expect(reader.one('01980000-0000-7000-8000-00000000dead')).rejects.toThrow(JobNotFound);
  });
});
