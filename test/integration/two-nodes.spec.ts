/** Two processes on one database: what one of them knows of a job may be old, what it answers may not. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { viewEvent } from '../../src/api/event-view.js';
import { readTimeline, replayJob } from '../../src/projections/jobs/job-history.js';
import type { Outcome } from '../../src/commands/envelope.js';
import type { Service } from '../../src/service.js';
import { call, claim, create, execute, TestLedger, tokenOf } from '../support/ledger.js';

describe('two services on one database', () => {
  let ledger: TestLedger;
  let one: Service;
  let other: Service;
  beforeAll(async () => {
    ledger = await TestLedger.open();
    one = ledger.service;
    other = await ledger.another();
  });
  afterAll(async () => {
    await other.close();
    await ledger.close();
  });

  /** A job that `one` knows as it was claimed. */
  const held = async (queue: string) => {
    const { jobId } = await create(one, { queue });
    const [claimed] = await claim(one, { filter: { queues: [queue] } });
    return { jobId, token: tokenOf(claimed!) };
  };

  it('a verdict counts the facts that the other took, and says so', async () => {
    const { jobId, token } = await held('verdict');
    for (const batchId of ['a', 'b']) await execute(other, jobId, 'progress', { token, batchId, processed: 2 });
    const { position } = await execute(one, jobId, 'complete', { token });
    await expect(execute(other, jobId, 'progress', { token, batchId: 'late' })).rejects.toThrow();
    const timeline = (await readTimeline(one.store, jobId)).map(viewEvent);
    const countedTo = timeline.find(({ type }) => type === 'JobCompleted')?.data['countedTo'];
    const facts = timeline.filter(({ type }) => type === 'ProgressRecorded');
    expect(facts.map((fact) => BigInt(fact.position) <= BigInt(String(countedTo)))).toEqual([true, true]);
    expect((await replayJob(one.store, jobId, String(countedTo))).stored?.progress.processed).toBe(4);
    expect(BigInt(String(countedTo))).toBeLessThanOrEqual(BigInt(position));
  });

  it('the answer to a fact is no older than what the other has answered before it', async () => {
    const { jobId, token } = await held('fact');
    const cancelled = await execute(other, jobId, 'cancel');
    const key = { key: randomBytes(32), fingerprint: randomBytes(32) };
    const first = await execute(one, jobId, 'progress', { token }, { idempotency: key });
    const { status, revision } = cancelled;
    expect(first).toMatchObject({ status, revision, events: ['ProgressRecorded'] });
    const again = await execute(other, jobId, 'progress', { token }, { idempotency: key });
    expect(again).toMatchObject({ status, revision, position: first.position, replayed: true });
  });

  const repeats = [
    ['complete', {}],
    ['fail', {}],
    ['throttle', {}],
    ['wait', {}],
    ['release', {}],
    ['progress', {}],
    ['heartbeat', { state: 'busy' }],
    ['cancel', {}],
  ] as const;
  it.each(repeats)('%s with one key on both at once is done once, and both answer the same', async (name, said) => {
    for (let round = 0; round < 5; round += 1) {
      const { jobId, token } = await held(`key-${name}-${round}`);
      // Both know the job: the loser finds out by its append.
      await execute(other, jobId, 'heartbeat', { token, state: 'warm' });
      const idempotency = { key: randomBytes(32), fingerprint: randomBytes(32) };
      const by = name === 'cancel' ? said : { ...said, token };
      const answers = await Promise.all([one, other].map((at) => execute(at, jobId, name, by, { idempotency })));
      const said_ = ({ status, revision, position, events }: Outcome) => ({ status, revision, position, events });
      expect(said_(answers[0]!)).toEqual(said_(answers[1]!));
      expect(answers.map(({ replayed }) => replayed).sort()).toEqual([false, true]);
    }
  });

  it('log lines with one key on both at once are kept once', async () => {
    const { jobId, token } = await held('key-logs');
    for (let round = 1; round <= 5; round += 1) {
      const idempotency = { key: randomBytes(32), fingerprint: randomBytes(32) };
      const lines = [{ level: 'info', message: `${round}`, fields: null, at: null }];
      const write = (at: Service) => at.ledger.log(jobId, token, lines, call({ idempotency }));
      const answers = await Promise.all([one, other, one, other].map(write));
      expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
      expect(await one.reads.logs.read(jobId, '0', 100)).toHaveLength(round);
    }
  });
});
