/** What facts add up to: increments, absolute values, stages, percent, and what an attempt starts with. */
import { describe, expect, it } from '@jest/globals';
import type { JobEvent, JobFactData, RecordedJobEvent } from '../../src/domain/job-events.js';
import { evolve, type Job } from '../../src/domain/job.js';
import {
  FactKeys,
  foldFact,
  foldTransition,
  NO_PROGRESS,
  percentOf,
  type ProgressFold,
  walked,
} from '../../src/domain/progress.js';
import { at, JOB_ID, spec } from '../support/given.js';

type Said = Partial<JobFactData['ProgressRecorded']> & { readonly run?: number; readonly attempt?: number };

let batches = 0;

/** A job and what its facts add up to, over transitions and facts in the order of their positions. */
class Ledger {
  private job: Job | null = null;
  fold: ProgressFold = NO_PROGRESS;

  constructor(total: number | null = null) {
    this.event({ type: 'JobCreated', data: { spec: spec({ total }), reason: null } });
    this.event({ type: 'JobQueued', data: { reason: 'created' } });
  }

  event(event: JobEvent): this {
    const recorded: RecordedJobEvent = { ...event, at: at(0), command: 'any' };
    this.job = evolve(JOB_ID, this.job, recorded);
    this.fold = foldTransition(this.fold, recorded, this.job);
    return this;
  }

  claim(): this {
    return this.event({ type: 'JobClaimed', data: { workerId: 'w-1', leaseMs: 1_000, leaseExpiresAt: at(1_000) } });
  }

  release(): this {
    this.event({ type: 'JobReleased', data: { reason: 'any' } });
    return this.event({ type: 'JobQueued', data: { reason: 'released' } });
  }

  save(digest: string): this {
    return this.event({ type: 'CheckpointSaved', data: { checkpoint: digest, digest } });
  }

  /** Said by the current attempt, unless it names another; each under a batch id of its own, unless it names one. */
  says({ run, attempt, ...data }: Said): this {
    this.fold = foldFact(this.fold, {
      type: 'ProgressRecorded',
      at: at(0),
      run: run ?? this.job?.run ?? 0,
      attempt: attempt ?? this.job?.attempt ?? 0,
      data: {
        batchId: `batch-${++batches}`,
        processed: 0,
        failed: 0,
        skipped: 0,
        stage: null,
        current: null,
        total: null,
        message: null,
        ...data,
      },
    });
    return this;
  }

  get progress() {
    return this.fold.progress;
  }

  get percent() {
    return percentOf(this.fold.progress);
  }
}

const claimed = (total: number | null = null): Ledger => new Ledger(total).claim();

describe('increments', () => {
  it('add up', () => {
    const { progress } = claimed().says({ processed: 5, failed: 1 }).says({ processed: 3, skipped: 2 });
    expect(progress).toEqual({ processed: 8, failed: 1, skipped: 2, total: null, message: null, stages: {} });
  });

  it('count once by batch id', () => {
    const { progress } = claimed().says({ batchId: 'b', processed: 5 }).says({ batchId: 'b', processed: 7 });
    expect(progress.processed).toBe(5);
  });

  it('of the same batch id count again in another attempt', () => {
    const { progress } = claimed()
      .says({ batchId: 'b', processed: 5 })
      .release()
      .claim()
      .says({ batchId: 'b', processed: 7 });
    expect(progress.processed).toBe(7);
  });
});

describe('absolute values', () => {
  it('raise processed to at least `current`, never back', () => {
    expect(claimed().says({ current: 10 }).says({ current: 7 }).progress.processed).toBe(10);
    expect(claimed().says({ processed: 4 }).says({ current: 3 }).says({ processed: 1 }).progress.processed).toBe(5);
    expect(claimed().says({ current: 3 }).says({ processed: 2 }).progress.processed).toBe(5);
  });

  it('never take a total back', () => {
    expect(claimed(100).says({ total: 50 }).progress.total).toBe(100);
    expect(claimed(100).says({ total: 150 }).progress.total).toBe(150);
    expect(claimed().says({ total: 0 }).progress.total).toBe(0);
  });

  it('may leave processed beyond the total', () => {
    const ledger = claimed(2).says({ processed: 3 });
    expect(ledger.progress.processed).toBe(3);
    expect(ledger.percent).toBe(100);
  });
});

describe('a message', () => {
  it('is the last one said', () => {
    const ledger = claimed().says({ message: 'loading' }).says({ processed: 1 });
    expect(ledger.progress.message).toBe('loading');
    expect(ledger.says({ message: 'writing', stage: 'out' }).progress.message).toBe('writing');
  });
});

describe('a stage', () => {
  it('moves alone, total in it too', () => {
    const { progress } = claimed(10).says({ stage: 'detect', processed: 3, failed: 1, total: 4 });
    expect(progress).toMatchObject({ processed: 0, failed: 0, total: 10 });
    expect(progress.stages).toEqual({ detect: { processed: 3, failed: 1, skipped: 0, total: 4 } });
  });

  it('keeps its counts beside the others', () => {
    const { progress } = claimed()
      .says({ stage: 'a', processed: 1 })
      .says({ stage: 'b', current: 5 })
      .says({ stage: 'a', processed: 1, total: 9 });
    expect(progress.stages).toMatchObject({ a: { processed: 2, total: 9 }, b: { processed: 5, total: null } });
  });

  it.each(['constructor', 'toString', 'valueOf', '__proto__', 'hasOwnProperty'])(
    'counts whatever it is called: %s',
    (stage) => {
      const ledger = claimed().says({ stage, processed: 2, total: 4 }).says({ stage, processed: 1 });
      const line = { processed: 3, failed: 0, skipped: 0, total: 4 };
      expect(Object.entries(ledger.progress.stages)).toEqual([[stage, line]]);
      expect(ledger.percent).toBe(75);
      const again = ledger.release().claim();
      expect(Object.entries(again.progress.stages)).toEqual([[stage, { ...line, processed: 0 }]]);
      const saved = claimed().save('1').says({ stage, processed: 1 }).release().claim();
      expect(Object.entries(saved.progress.stages)).toEqual([[stage, { ...line, processed: 0, total: null }]]);
    },
  );
});

describe('percent', () => {
  it('is null without any total', () => {
    expect(claimed().says({ processed: 5 }).says({ stage: 'a', processed: 1 }).percent).toBeNull();
  });

  it('is of the job’s own total, with two decimals, at most 100', () => {
    expect(claimed(3).says({ processed: 1 }).percent).toBe(33.33);
    expect(claimed(3).says({ processed: 2 }).percent).toBe(66.67);
    expect(claimed(8).says({ processed: 1 }).percent).toBe(12.5);
    expect(claimed(3).says({ processed: 9 }).percent).toBe(100);
    expect(claimed(3).says({ processed: 1 }).says({ stage: 'a', processed: 1, total: 1 }).percent).toBe(33.33);
  });

  it('is the mean over the stages with a total where the job has none', () => {
    const ledger = claimed()
      .says({ stage: 'a', processed: 9, total: 3 })
      .says({ stage: 'b', processed: 1, total: 4 })
      .says({ stage: 'c', processed: 7 });
    expect(ledger.percent).toBe(62.5);
  });

  it('is whole where there is nothing to do', () => {
    expect(claimed(0).percent).toBe(100);
  });
});

describe('an attempt', () => {
  it('starts at zero without a checkpoint; totals stay', () => {
    const ledger = claimed(10)
      .says({ processed: 4, total: 20, message: 'm' })
      .says({ stage: 'a', processed: 2, total: 5 });
    expect(ledger.release().progress.processed).toBe(4);
    expect(ledger.claim().progress).toEqual({
      processed: 0,
      failed: 0,
      skipped: 0,
      total: 20,
      message: null,
      stages: { a: { processed: 0, failed: 0, skipped: 0, total: 5 } },
    });
  });

  it('starts where the checkpoint that it is handed was saved', () => {
    const ledger = claimed(10)
      .says({ processed: 3, failed: 1 })
      .says({ stage: 'a', processed: 2 })
      .save('3')
      .says({ processed: 4, skipped: 1 })
      .says({ stage: 'a', processed: 5 })
      .says({ stage: 'b', processed: 5 });
    const { progress } = ledger.release().claim();
    expect(progress).toMatchObject({ processed: 3, failed: 1, skipped: 0, total: 10 });
    expect(progress.stages).toMatchObject({ a: { processed: 2 }, b: { processed: 0 } });
  });

  it('starts from the last checkpoint of the run, whoever saved it', () => {
    const ledger = claimed()
      .says({ processed: 3 })
      .save('3')
      .release()
      .claim()
      .says({ processed: 1 })
      .release()
      .claim();
    expect(ledger.progress.processed).toBe(3);
    ledger.says({ processed: 6 }).save('9').release().claim();
    expect(ledger.progress.processed).toBe(9);
  });

  it('takes no fact of another: an earlier one, a later one, another run', () => {
    const ledger = claimed().release().claim().says({ processed: 1 });
    ledger.says({ processed: 9, attempt: 1 }).says({ processed: 9, attempt: 3 }).says({ processed: 9, run: 2 });
    expect(ledger.progress.processed).toBe(1);
  });

  it('takes no fact once its lease has ended, before the next claim', () => {
    expect(claimed().release().says({ processed: 9 }).progress.processed).toBe(0);
  });

  it('takes facts while it is cancelling, and none after its end', () => {
    const ledger = claimed()
      .event({ type: 'CancelRequested', data: { reason: null } })
      .says({ processed: 2 });
    expect(ledger.progress.processed).toBe(2);
    ledger.event({
      type: 'JobCancelled',
      data: { reason: null, forced: false, rule: null, evidence: null, outcome: null },
    });
    expect(ledger.says({ processed: 9 }).progress.processed).toBe(2);
  });
});

describe('a new run', () => {
  it('starts as the creator said, without checkpoint, counts, stages or grown totals', () => {
    const ledger = claimed(10).says({ processed: 4, total: 20 }).says({ stage: 'a', processed: 1 }).save('4');
    ledger
      .event({ type: 'JobCancelled', data: { reason: null, forced: true, rule: null, evidence: null, outcome: null } })
      .event({ type: 'JobRetried', data: { run: 2, reason: null } })
      .event({ type: 'JobQueued', data: { reason: 'retried' } });
    const fresh = { processed: 0, failed: 0, skipped: 0, total: 10, message: null, stages: {} };
    expect(ledger.progress).toEqual(fresh);
    expect(ledger.claim().progress).toEqual(fresh);
    expect(ledger.says({ processed: 2, run: 1, attempt: 1 }).progress.processed).toBe(0);
  });
});

describe('a walk over facts', () => {
  const stages = ['a', '__proto__', 'constructor', '7', 'a'];

  it('comes to what a fold comes to that can be looked back on, and copies no stages', () => {
    const [kept, once] = [claimed(), claimed()];
    once.fold = walked(once.fold);
    const seen = new Set<object>();
    for (const stage of stages) {
      const before = kept.progress;
      const copy = structuredClone(before);
      kept.says({ stage, processed: 1, total: 3 });
      once.says({ stage, processed: 1, total: 3 });
      expect(before).toEqual(copy);
      seen.add(once.progress.stages);
    }
    expect(Object.entries(once.progress.stages)).toEqual(Object.entries(kept.progress.stages));
    expect(seen.size).toBe(1);
  });

  it('leaves the fold that it began with as it was', () => {
    const ledger = claimed().says({ stage: 'a', processed: 1 });
    const before = ledger.progress;
    ledger.fold = walked(ledger.fold);
    ledger.says({ stage: 'a', processed: 1 }).says({ stage: 'b', processed: 1 });
    expect(before.stages).toEqual({ a: { processed: 1, failed: 0, skipped: 0, total: null } });
  });
});

describe('the keys of facts', () => {
  it('leave each set as it was when another is made from it, also two from one', () => {
    const one = FactKeys.none().add('a');
    const [left, right] = [one.add('b').add('c'), one.add('d')];
    expect([one.all(), left.all(), right.all()]).toEqual([['a'], ['a', 'b', 'c'], ['a', 'd']]);
    expect([one.has('b'), left.has('d'), right.has('b'), right.has('a')]).toEqual([false, false, false, true]);
  });
});
