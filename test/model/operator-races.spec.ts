/**
 * What an operator does by hand, against what the worker and the reaper do at the same moment on another node: in any
 * order of their steps a run has one end, and each caller is told what is so.
 */
import { describe, expect, it } from '@jest/globals';
import { isTerminal } from '../../src/domain/job-chart.js';
import { Random } from '../simulation/random.js';
import { atRandom, inOrder } from '../simulation/scheduler.js';
import { Script } from '../simulation/script.js';
import { FIXED_SEED } from '../support/seeds.js';

const POLICY = { leaseMs: 1_000, timeoutMs: 0, stallMs: 0, maxLostLeases: 0 } as const;
const TERMINAL = ['JobCompleted', 'JobFailed', 'JobTimedOut', 'JobCancelled'];
const INTERLEAVINGS = 250;

const refusedAs = (result: unknown): unknown =>
  (result as { error?: { refusal?: { code?: string } } }).error?.refusal?.code ?? null;

/** All at once: nothing runs before everybody has asked; then whatever the seed chooses. */
const race = async (script: Script, seed: number, calls: readonly (() => Promise<unknown>)[]): Promise<void> => {
  const release = script.scheduler.hold(/.*/);
  await Promise.all(calls.map((call) => call()));
  script.scheduler.chooser = atRandom(new Random(seed), { stepMs: 0, late: 0.2, lateMs: 20 });
  release();
  await script.scheduler.advance(200);
  script.scheduler.chooser = inOrder;
};

const OPERATORS = ['force-fail', 'emergency-stop', 'requeue', 'cancel'] as const;

describe.each(OPERATORS)('%s', (name) => {
  it(`against the worker's end and a second operator, in ${INTERLEAVINGS} interleavings: one end a run`, async () => {
    const seen = new Set<string>();
    for (let seed = FIXED_SEED; seed < FIXED_SEED + INTERLEAVINGS; seed += 1) {
      await Script.run(POLICY, async (script) => {
        const { jobId, token } = await script.running();
        const force = name === 'cancel' ? { force: true } : {};
        let worker: Awaited<ReturnType<Script['command']>> | undefined;
        let operator: typeof worker;
        let second: typeof worker;
        await race(script, seed, [
          async () => (worker = await script.command('complete', jobId, { token })),
          async () => (operator = await script.command(name, jobId, force, { node: 1, key: 'by hand' })),
          async () => (second = await script.command('emergency-stop', jobId)),
        ]);
        const ends = script.events(jobId).filter((type) => TERMINAL.includes(type));
        expect([seed, ends.length]).toEqual([seed, 1]);
        const { status, error } = script.job(jobId);
        expect(isTerminal(status)).toBe(true);
        expect([null, 'stale_lease']).toContain(refusedAs(worker!.result));
        expect(worker!.result.kind === 'done').toBe(ends[0] === 'JobCompleted');
        expect([null, 'already_terminal', 'illegal_transition']).toContain(refusedAs(operator!.result));
        // It does nothing to what has ended, and is never refused.
        expect(second!.result.kind).toBe('done');
        seen.add(`${status} ${error?.code ?? ''}`);
        // The same call again, anywhere: its first answer, and nothing more in the log.
        const before = script.events(jobId);
        if (operator!.result.kind !== 'done') return;
        const again = await script.command(name, jobId, force, { node: 0, key: 'by hand' });
        expect(again.result).toMatchObject({ kind: 'done', value: { replayed: true } });
        expect(script.events(jobId)).toEqual(before);
      });
    }
    // Each of them was first at some time.
    expect(seen.size).toBeGreaterThanOrEqual(name === 'emergency-stop' || name === 'requeue' ? 2 : 3);
  });
});

describe('a stop by hand', () => {
  const play = (title: string, run: (script: Script) => Promise<void>): void => {
    it(title, () => Script.run(POLICY, run));
  };

  play('that read a running job, and comes after its completion, changes nothing and says so: R-20', async (script) => {
    const { jobId, token } = await script.running();
    const release = script.scheduler.hold(/^node2 > store.append/);
    const stop = await script.command('emergency-stop', jobId, {}, { node: 1 });
    await script.command('complete', jobId, { token });
    release();
    await script.scheduler.settle();
    expect(stop.result).toMatchObject({ kind: 'done', value: { events: [], status: 'completed' } });
    expect(script.events(jobId)).toEqual(['JobCreated', 'JobQueued', 'JobClaimed', 'JobStarted', 'JobCompleted']);
  });

  play(
    'by force-fail that comes after the completion is refused, and no event of it stands alone: D-09',
    async (script) => {
      const { jobId, token } = await script.running();
      const release = script.scheduler.hold(/^node2 > store.append/);
      const fail = await script.command('force-fail', jobId, {}, { node: 1 });
      await script.command('complete', jobId, { token });
      release();
      await script.scheduler.settle();
      expect(refusedAs(fail.result)).toBe('already_terminal');
      expect(script.job(jobId)).toMatchObject({ status: 'completed', error: null, failures: [] });
      expect(script.events(jobId).filter((type) => TERMINAL.includes(type))).toEqual(['JobCompleted']);
    },
  );

  play('and a requeue that was decided before it: the job is not raised from the dead', async (script) => {
    const { jobId } = await script.running();
    const release = script.scheduler.hold(/^node2 > store.append/);
    const requeue = await script.command('requeue', jobId, {}, { node: 1 });
    await script.command('force-fail', jobId);
    release();
    await script.scheduler.settle();
    expect(refusedAs(requeue.result)).toBe('already_terminal');
    expect(script.job(jobId).status).toBe('failed');
  });
});

describe('a requeue', () => {
  it('of a job whose worker lives and beats: the worker is fenced, nobody works on it twice: R-21', () =>
    Script.run(POLICY, async (script) => {
      const { jobId, token } = await script.running();
      const release = script.scheduler.hold(/^node2 > store.append/);
      const late = await script.command('complete', jobId, { token }, { node: 1 });
      await script.command('requeue', jobId);
      const claim = await script.claim('next');
      expect(claim.result).toMatchObject({ kind: 'done', value: [{ outcome: { jobId, attempt: 2 } }] });
      release();
      await script.scheduler.settle();
      expect(refusedAs(late.result)).toBe('stale_lease');
      expect((await script.beat(jobId, token)).result.kind).toBe('refused');
      expect(script.job(jobId)).toMatchObject({ status: 'running', attempt: 2 });
    }));

  it('and a sweep that judged its lapsed lease before: one of them, and one lost lease at most', async () => {
    for (let seed = FIXED_SEED; seed < FIXED_SEED + INTERLEAVINGS; seed += 1) {
      await Script.run({ ...POLICY, maxLostLeases: 3 }, async (script) => {
        const { jobId } = await script.running();
        await script.scheduler.advance(1_001);
        await race(script, seed, [() => script.command('requeue', jobId, {}, { node: 1 }), () => script.sweep(0)]);
        const types = script.events(jobId);
        const taken = types.filter((type) => type === 'JobReleased' || type === 'LeaseExpired');
        expect([seed, taken.length, script.job(jobId).status]).toEqual([seed, 1, 'queued']);
        expect(script.job(jobId).lostLeases).toBe(taken[0] === 'LeaseExpired' ? 1 : 0);
      });
    }
  });
});
