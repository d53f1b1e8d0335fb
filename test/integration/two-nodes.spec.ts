/** Two processes on one database: what one of them knows of a job may be old, what it answers may not. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { viewEvent } from '../../src/api/event-view.js';
import { readTimeline, replayJob } from '../../src/projections/jobs/job-history.js';
import type { Service } from '../../src/service.js';
import { type Answer, startApp, type TestApp } from '../support/app.js';
import { claim, create, execute, tokenOf } from '../support/ledger.js';
import { LedgerCaller } from '../support/ledger-caller.js';

describe('two services on one database', () => {
  let apps: readonly [TestApp, TestApp];
  let one: Service;
  let other: Service;
  let callers: readonly [LedgerCaller, LedgerCaller];
  beforeAll(async () => {
    const first = await startApp();
    const second = await startApp({ databaseUrl: first.databaseUrl });
    apps = [second, first];
    [one, other] = [first.service, second.service];
    callers = [new LedgerCaller(first.url), new LedgerCaller(second.url)];
  });
  afterAll(async () => {
    for (const app of apps) await app.close();
  });
  const replays = (answers: readonly Answer[]): number =>
    answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true').length;

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
    ['fail', { code: 'E', message: 'm' }],
    ['throttle', { retryAfterMs: 1_000 }],
    ['wait', { reason: 'approval' }],
    ['release', { reason: 'shutdown' }],
    ['progress', { batchId: 'b' }],
    ['heartbeat', { state: 'busy' }],
    ['cancel', {}],
  ] as const;
  it.each(repeats)(
    '%s with one key on both at once is done once, and both answer the same [R-16]',
    async (name, said) => {
      for (let round = 0; round < 5; round += 1) {
        const claimed = await callers[0].hold();
        // Both know the job: the loser finds out by its append.
        await callers[1].must(claimed, 'heartbeat', { state: 'warm' });
        const headers = { 'idempotency-key': `${name}-${round}` };
        const path = `/v1/jobs/${claimed.job.id}/${name}`;
        const body = name === 'cancel' ? said : { ...said, leaseToken: claimed.leaseToken };
        const answers = await Promise.all(callers.map((caller) => caller.post(path, body, { headers })));
        expect(answers.map(({ status }) => status)).toEqual([200, 200]);
        expect(answers[0]?.body).toEqual(answers[1]?.body);
        expect(replays(answers)).toBe(1);
      }
    },
  );

  it('log lines with one key on both at once are kept once [R-16]', async () => {
    const { job, leaseToken } = await callers[0].hold();
    for (let round = 1; round <= 5; round += 1) {
      const headers = { 'idempotency-key': `logs-${round}` };
      const body = { leaseToken, lines: [{ level: 'info', message: `${round}` }] };
      const write = (caller: LedgerCaller) => caller.post(`/v1/jobs/${job.id}/logs`, body, { headers });
      const answers = await Promise.all([...callers, ...callers].map(write));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      expect(replays(answers)).toBe(3);
      expect((await callers[1].get(`/v1/jobs/${job.id}/logs`)).body.items).toHaveLength(round);
    }
  });
});
