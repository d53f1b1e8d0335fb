/** Known races, each with its interleaving forced: what is held travels, until it is let go. */
import { describe, expect, it } from '@jest/globals';
import { IdempotencyKeyReused } from '../../src/commands/errors.js';
import { toInstant } from '../../src/domain/job-events.js';
import { rowOf } from '../simulation/jobs-table.js';
import { done, Script, tokenOf } from '../simulation/script.js';

const QUICK = { leaseMs: 1_000, timeoutMs: 0, stallMs: 0, maxLostLeases: 3 } as const;

const play = (name: string, run: (script: Script) => Promise<void>, policy: object = QUICK): void => {
  it(name, () => Script.run(policy, run));
};

const isStale = { kind: 'refused', error: { refusal: { code: 'stale_lease' } } };

describe('two that want the same', () => {
  play('R-01: of two that found one job, one claims it', async (script) => {
    const jobId = await script.queued();
    const release = script.scheduler.hold(/^node2 > store.append/);
    const late = await script.claim('late', 1);
    // Its reservation is lost: it is a hint, no more.
    script.world.database.reservations.rows.clear();
    const early = done((await script.claim('early')).result);
    expect(early.map(({ outcome }) => outcome.jobId)).toEqual([jobId]);
    release();
    await script.scheduler.settle();
    expect(done(late.result)).toEqual([]);
    expect(script.events(jobId)).toEqual(['JobCreated', 'JobQueued', 'JobClaimed', 'JobStarted']);
  });

  play('R-19: creates of one key at two nodes are one job, and another body is refused', async (script) => {
    const release = script.scheduler.hold(/> store.append/);
    const calls = await Promise.all([0, 1, 0, 1].map((node) => script.create({}, node, { key: 'once' })));
    release();
    await script.scheduler.settle();
    const ids = calls.map((call) => done(call.result)[0]!.jobId);
    expect(new Set(ids).size).toBe(1);
    expect(script.world.witness.jobIds).toEqual([ids[0]]);
    const priority = await script.command('priority', ids[0]!, { priority: 5 }, { key: 'p', node: 1 });
    expect(priority.result.kind).toBe('done');
    const other = await script.command('priority', ids[0]!, { priority: 6 }, { key: 'p', body: 'other' });
    expect(other.result).toMatchObject({ kind: 'refused', error: expect.any(IdempotencyKeyReused) });
    expect(script.job(ids[0]!).priority).toBe(5);
  });

  play('R-10: two reapers that saw one lost lease count it once', async (script) => {
    const { jobId } = await script.running();
    await script.scheduler.advance(1_001);
    const release = script.scheduler.hold(/> store.append/);
    const sweeps = [await script.sweep(0), await script.sweep(1)];
    release();
    await script.scheduler.settle();
    expect(sweeps.map(({ result }) => result.requeued).sort()).toEqual([0, 1]);
    expect(script.job(jobId)).toMatchObject({ status: 'queued', lostLeases: 1 });
  });
});

describe('facts', () => {
  play('R-02: of writers at two nodes nothing is lost, and what is sent twice counts once', async (script) => {
    const { jobId, token } = await script.running({ total: 10 });
    const release = script.scheduler.hold(/> store.append/);
    const batches = ['a', 'b', 'a', 'c', 'b'];
    const calls = await Promise.all(
      batches.map((batchId, index) =>
        script.command('progress', jobId, { token, batchId, processed: 2 }, { node: index % 2 }),
      ),
    );
    release();
    await script.scheduler.settle();
    for (const call of calls) expect(call.result.kind).toBe('done');
    expect(script.processed(jobId)).toBe(6);
  });

  play('R-03: what was decided before the end and comes after it is refused, and counts nothing', async (script) => {
    const { jobId, token } = await script.running();
    const release = script.scheduler.hold(/^node1 > store.append/);
    const late = await script.command('progress', jobId, { token, batchId: 'late' });
    await script.command('cancel', jobId, { force: true }, { node: 1 });
    expect(script.job(jobId).status).toBe('cancelled');
    release();
    await script.scheduler.settle();
    expect(late.result).toMatchObject(isStale);
    expect(script.processed(jobId)).toBe(0);
    expect(script.job(jobId).status).toBe('cancelled');
  });

  play('R-16: what was saved when the node died counts once, however often it is sent', async (script) => {
    const { jobId, token } = await script.running();
    const release = script.scheduler.hold(/^node1 < store.append/);
    const unheard = await script.command('progress', jobId, { token, batchId: 'b', processed: 3 });
    script.world.crash(0);
    release();
    await script.scheduler.settle();
    expect(unheard.result.kind).toBe('unknown');
    const repeat = await script.command('progress', jobId, { token, batchId: 'b', processed: 3 }, { node: 1 });
    expect(done(repeat.result).events).toEqual([]);
    expect(script.processed(jobId)).toBe(3);
  });
});

describe('the end of a job', () => {
  play('R-05: a cancelled job is not handed out, and the next one is', async (script) => {
    const [first] = done((await script.create()).result);
    const [second] = done((await script.create()).result);
    const release = script.scheduler.hold(/^node2 > store.append/);
    const claim = await script.claim('worker', 1);
    await script.command('cancel', first!.jobId);
    release();
    await script.scheduler.settle();
    expect(done(claim.result).map(({ outcome }) => outcome.jobId)).toEqual([second!.jobId]);
    expect(script.job(first!.jobId)).toMatchObject({ status: 'cancelled', attempt: 0 });
  });

  play('R-05: rows that still offer twenty cancelled jobs hide none that is fresh', async (script) => {
    const { witness, database } = script.world;
    for (let nth = 0; nth < 20; nth += 1) {
      const jobId = await script.queued();
      const before = witness.fold(jobId).stored!;
      await script.command('cancel', jobId);
      witness.spoil(jobId);
      database.jobs.rows.set(jobId, rowOf(before));
    }
    const [fresh] = done((await script.create()).result);
    const claimed = done((await script.claim('worker', 1)).result);
    expect(claimed.map(({ outcome }) => outcome.jobId)).toEqual([fresh!.jobId]);
  });

  play('R-06: a cancel that meets a completion finds the job ended, and the other way round', async (script) => {
    const first = await script.running();
    const second = await script.running();
    const release = script.scheduler.hold(/^node2 > store.append/);
    const cancel = await script.command('cancel', first.jobId, { force: true }, { node: 1 });
    await script.command('complete', first.jobId, { token: first.token });
    await script.command('cancel', second.jobId, { force: true });
    const complete = await script.command('complete', second.jobId, { token: second.token }, { node: 1 });
    release();
    await script.scheduler.settle();
    expect(cancel.result).toMatchObject({ kind: 'refused', error: { refusal: { code: 'already_terminal' } } });
    expect(script.job(first.jobId).status).toBe('completed');
    expect(complete.result).toMatchObject(isStale);
    expect(script.job(second.jobId).status).toBe('cancelled');
  });

  play('R-07: a completion between the judgement and the reap wins', async (script) => {
    const { jobId, token } = await script.running();
    await script.scheduler.advance(1_001);
    const release = script.scheduler.hold(/^node2 > store.append/);
    const sweep = await script.sweep(1);
    expect((await script.command('complete', jobId, { token })).result.kind).toBe('done');
    release();
    await script.scheduler.settle();
    expect(sweep.result).toMatchObject({ due: 1, raced: 1 });
    expect(script.events(jobId).slice(-2)).toEqual(['JobStarted', 'JobCompleted']);
  });

  play('R-07: a reap between the decision and the completion wins', async (script) => {
    const { jobId, token } = await script.running();
    await script.scheduler.advance(1_001);
    const release = script.scheduler.hold(/^node1 > store.append/);
    const complete = await script.command('complete', jobId, { token });
    expect((await script.sweep(1)).result).toMatchObject({ requeued: 1 });
    release();
    await script.scheduler.settle();
    expect(complete.result).toMatchObject(isStale);
    expect(script.job(jobId).status).toBe('queued');
  });
});

describe('a lease', () => {
  for (const sign of ['beat', 'progress'] as const) {
    play(`R-08: a ${sign} between the judgement and the reap keeps it`, async (script) => {
      const { jobId, token } = await script.running();
      await script.scheduler.advance(1_001);
      const release = script.scheduler.hold(/^node2 > store.append/);
      const sweep = await script.sweep(1);
      const call =
        sign === 'beat'
          ? await script.beat(jobId, token)
          : await script.command('progress', jobId, { token, batchId: 'b' });
      expect(call.result.kind).toBe('done');
      release();
      await script.scheduler.settle();
      expect(sweep.result).toMatchObject({ requeued: 0, skippedLive: 1 });
      expect(script.job(jobId)).toMatchObject({ status: 'running', attempt: 1 });
    });
  }

  play('R-09: of a worker that slept through its reaping nothing is taken', async (script) => {
    const { jobId, token: old } = await script.running();
    await script.scheduler.advance(1_001);
    await script.sweep();
    const [claimed] = done((await script.claim('other', 1)).result);
    const calls = [
      await script.beat(jobId, old),
      await script.command('progress', jobId, { token: old, batchId: 'b' }, { node: 1 }),
      await script.command('complete', jobId, { token: old }),
      await script.command('fail', jobId, { token: old }, { node: 1 }),
    ];
    for (const call of calls) expect(call.result).toMatchObject(isStale);
    await script.command('complete', jobId, { token: tokenOf(claimed!) });
    expect(script.events(jobId).filter((type) => type === 'JobCompleted')).toHaveLength(1);
    expect(script.processed(jobId)).toBe(0);
  });

  play('R-09: that lapsed, and that nobody reaped, may still complete', async (script) => {
    const { jobId, token } = await script.running();
    await script.scheduler.advance(5_000);
    expect((await script.command('complete', jobId, { token }, { node: 1 })).result.kind).toBe('done');
  });

  play('that was renewed when its deadline fires is armed anew, and bounds the job again', async (script) => {
    const { jobId, token } = await script.running();
    await script.scheduler.advance(900);
    await script.beat(jobId, token);
    await script.scheduler.advance(200);
    expect((await script.sweep()).result).toMatchObject({ due: 1, skippedLive: 1 });
    const { expiresAt, deadlineAt } = script.world.database.leases.rows.get(jobId)!;
    expect(deadlineAt).toBe(expiresAt);
    await script.scheduler.advance(801);
    expect((await script.sweep(1)).result).toMatchObject({ requeued: 1 });
  });

  play('of a new attempt is not ended by what was judged on the one before', async (script) => {
    const { jobId, token } = await script.running();
    await script.scheduler.advance(1_001);
    // The sweep has judged; its command has not read the job yet.
    const hold = script.scheduler.hold(/^node2 < jobs.load/);
    const sweep = await script.sweep(1);
    hold();
    const again = script.scheduler.hold(/^node2 > jobs.load/);
    await script.scheduler.settle();
    await script.command('release', jobId, { token });
    await script.claim('other');
    again();
    await script.scheduler.settle();
    expect(sweep.isOver).toBe(true);
    expect(script.job(jobId)).toMatchObject({ status: 'running', attempt: 2, lostLeases: 0 });
  });

  play('of a new attempt keeps its deadline, whatever was judged on the row before', async (script) => {
    const { jobId, token } = await script.running();
    await script.command('throttle', jobId, { token, retryAfterMs: 500 });
    await script.scheduler.advance(500);
    const hold = script.scheduler.hold(/^node2 > jobs.load/);
    await script.sweep(1);
    const [claimed] = done((await script.claim('other')).result);
    hold();
    await script.scheduler.settle();
    expect(claimed?.outcome.jobId).toBe(jobId);
    // Its worker dies without a sign.
    await script.scheduler.advance(1_001);
    expect((await script.sweep()).result).toMatchObject({ requeued: 1 });
  });

  play('whose row was lost is not made again once the attempt has ended', async (script) => {
    const { jobId, token } = await script.running();
    script.world.database.leases.rows.delete(jobId);
    const hold = script.scheduler.hold(/^node2 > leases.seed/);
    await script.keepHouse(1);
    await script.command('complete', jobId, { token });
    hold();
    await script.scheduler.settle();
    expect((await script.beat(jobId, token)).result).toMatchObject(isStale);
    expect(script.world.database.leases.rows.size).toBe(0);
  });

  play('whose row was lost is made again by a beat', async (script) => {
    const { jobId, token } = await script.running();
    script.world.database.leases.rows.delete(jobId);
    expect(done((await script.beat(jobId, token)).result).leaseExpiresAt).toBe(script.scheduler.now + 1_000);
  });

  play('is renewed before a beat with a key is answered, or the beat is refused', async (script) => {
    const { jobId, token } = await script.running();
    await script.scheduler.advance(1_001);
    const hold = script.scheduler.hold(/^node1 > answers.keep|^node1 < answers.keep/);
    const beat = await script.beat(jobId, token, { key: 'beat' });
    await script.sweep(1);
    hold();
    await script.scheduler.settle();
    expect(done(beat.result).leaseExpiresAt).toBe(script.scheduler.now + 1_000);
    expect(script.job(jobId).status).toBe('running');
  });
});

describe('a row of a job that is wrong', () => {
  play('hides no lease that lapsed', async (script) => {
    const { jobId, token } = await script.running();
    const { witness, database } = script.world;
    witness.spoil(jobId);
    database.jobs.rows.set(jobId, rowOf(witness.at(jobId, 2).stored!));
    await script.scheduler.advance(1_001);
    await script.sweep();
    await script.sweep();
    expect(script.job(jobId)).toMatchObject({ status: 'queued', lostLeases: 1 });
    expect((await script.beat(jobId, token)).result).toMatchObject(isStale);
  });

  play(
    'judges no attempt that it does not know of',
    async (script) => {
      const { witness, database } = script.world;
      const jobId = await script.queued({ availableAt: toInstant(script.scheduler.now + 2_000) });
      const scheduled = database.jobs.rows.get(jobId)!;
      await script.scheduler.advance(2_000);
      expect(done((await script.claim('worker')).result)).toHaveLength(1);
      // Both rows are of the time before the claim, when nothing had happened for two seconds.
      database.leases.rows.delete(jobId);
      witness.spoil(jobId);
      database.jobs.rows.set(jobId, scheduled);
      await script.keepHouse();
      await script.sweep();
      expect(script.job(jobId)).toMatchObject({ status: 'running', attempt: 1 });
    },
    { ...QUICK, stallMs: 1_000 },
  );

  play('ends no claim in a circle', async (script) => {
    const { jobId } = await script.running();
    const { witness, database } = script.world;
    witness.spoil(jobId);
    database.jobs.rows.set(jobId, rowOf(witness.at(jobId, 2).stored!));
    database.reservations.rows.clear();
    expect(done((await script.claim('other', 1)).result)).toEqual([]);
    witness.compareRow(jobId);
    expect(witness.tainted.size).toBe(0);
  });

  for (const first of ['job', 'work'] as const) {
    play(`is not repaired from a ${first} stream that was read before the other one moved`, async (script) => {
      const { jobId, token } = await script.running();
      const { witness, database } = script.world;
      witness.spoil(jobId);
      database.jobs.rows.delete(jobId);
      const others = script.scheduler.hold(
        new RegExp(`^node2 > store.readStream ${first === 'job' ? 'work' : 'job'}-`),
      );
      await script.begin(() => script.world.nodes[1]!.verification.repair(jobId));
      await script.command('progress', jobId, { token, batchId: 'a' });
      await script.command('release', jobId, { token });
      const [claimed] = done((await script.claim('other')).result);
      await script.command('progress', jobId, { token: tokenOf(claimed!), batchId: 'b', processed: 2 });
      database.jobs.rows.delete(jobId);
      others();
      await script.scheduler.settle();
      expect(database.jobs.rows.get(jobId)?.progress?.processed ?? 2).toBe(2);
      await script.begin(() => script.world.nodes[1]!.verification.repair(jobId));
      witness.compareRow(jobId);
      expect(witness.tainted.size).toBe(0);
    });
  }
});

describe('what a node that died had promised', () => {
  play('R-14: a throttled job waits in the log, and another node hands it out when it is due', async (script) => {
    const { jobId, token } = await script.running();
    expect((await script.command('throttle', jobId, { token })).result.kind).toBe('done');
    script.world.crash(0);
    expect(script.job(jobId).status).toBe('scheduled');
    expect(done((await script.claim('early', 1)).result)).toEqual([]);
    await script.scheduler.advance(1_000);
    expect(done((await script.claim('other', 1)).result).map(({ outcome }) => outcome.jobId)).toEqual([jobId]);
  });

  play('R-15: a created job is claimable, and its key has its answer, whoever lives', async (script) => {
    const release = script.scheduler.hold(/^node1 < store.append/);
    const unheard = await script.create({}, 0, { key: 'job' });
    script.world.crash(0);
    release();
    await script.scheduler.settle();
    expect(unheard.result.kind).toBe('unknown');
    const [again] = done((await script.create({}, 1, { key: 'job' })).result);
    expect(again?.replayed).toBe(true);
    expect(done((await script.claim('worker', 1)).result)[0]?.outcome.jobId).toBe(again?.jobId);
    expect(script.world.witness.jobIds).toHaveLength(1);
  });
});
