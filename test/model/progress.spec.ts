/** Facts of one attempt commute, repeat harmlessly, and compose. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RecordedJobFact } from '../../src/domain/job-events.js';
import {
  addToDelta,
  applyDelta,
  foldFact,
  initialProgress,
  NO_DELTA,
  NO_PROGRESS,
  percentOf,
  restoreProgress,
  saveProgress,
  type Progress,
  type ProgressFold,
} from '../../src/domain/progress.js';
import { at } from '../support/given.js';

type Said = RecordedJobFact['data'];

const stage = fc.constantFrom<(string | null)[]>(null, null, 'a', 'b', 'constructor', '__proto__');

const increments: fc.Arbitrary<Said> = fc
  .record({
    stage,
    failed: fc.nat(3),
    skipped: fc.nat(3),
    more: fc.nat(9),
    message: fc.option(fc.constantFrom('m', 'n')),
  })
  .map(({ more, failed, skipped, ...said }) => ({
    batchId: '',
    processed: failed + skipped + more,
    failed,
    skipped,
    current: null,
    total: null,
    ...said,
  }));

const total = fc.option(fc.nat(40));
const any: fc.Arbitrary<Said> = fc.oneof(
  fc.record({ said: increments, total }).map(({ said, total: to }) => ({ ...said, total: to })),
  fc.record({ stage, current: fc.nat(40), total }).map((said) => ({
    batchId: '',
    processed: 0,
    failed: 0,
    skipped: 0,
    message: null,
    ...said,
  })),
);

const sayings = fc.array(any, { maxLength: 30 });

const open: ProgressFold = { ...NO_PROGRESS, open: { run: 1, attempt: 1 } };
const factOf = (data: Said): RecordedJobFact => ({ type: 'ProgressRecorded', at: at(0), run: 1, attempt: 1, data });
const fold = (said: readonly Said[]): Progress => said.map(factOf).reduce(foldFact, open).progress;

const oneByOne = (progress: Progress, said: readonly Said[]): Progress =>
  said.reduce((current, fact) => applyDelta(current, addToDelta(NO_DELTA, fact)), progress);

/** The order of stages' keys is no part of their value. */
const counts = ({ message: _message, ...progress }: Progress): unknown => ({
  ...progress,
  stages: new Map(Object.entries(progress.stages)),
});

describe('increments of one attempt', () => {
  it('add up to the same in any order, each sent once or more', () => {
    const shuffled = fc.array(increments, { minLength: 1, maxLength: 30 }).chain((said) => {
      const numbered = said.map((fact, index) => ({ ...fact, batchId: `b-${index}` }));
      const sent = fc.array(fc.constantFrom(...numbered), { maxLength: 60 }).chain((repeats) =>
        fc.shuffledSubarray([...numbered, ...repeats], {
          minLength: numbered.length + repeats.length,
          maxLength: numbered.length + repeats.length,
        }),
      );
      return fc.record({ numbered: fc.constant(numbered), sent });
    });
    fc.assert(
      fc.property(shuffled, ({ numbered, sent }) => {
        expect(counts(fold(sent))).toEqual(counts(fold(numbered)));
      }),
      { numRuns: 500 },
    );
  });

  it('of two writers add up to the same however they are interleaved, with totals too', () => {
    const growing = fc.record({ said: increments, total }).map(({ said, total: to }) => ({ ...said, total: to }));
    fc.assert(
      fc.property(fc.array(growing), fc.array(growing), (one, other) => {
        const start = initialProgress(null);
        expect(counts(oneByOne(oneByOne(start, one), other))).toEqual(counts(oneByOne(oneByOne(start, other), one)));
      }),
      { numRuns: 500 },
    );
  });
});

describe('a delta', () => {
  it('composed of many facts does what they do one by one, absolute values too', () => {
    fc.assert(
      fc.property(sayings, sayings, fc.nat(5), (before, said, size) => {
        const start = oneByOne(initialProgress(null), before);
        const chunks = [said.slice(0, size), said.slice(size)];
        const composed = chunks.reduce(
          (progress, chunk) => applyDelta(progress, chunk.reduce(addToDelta, NO_DELTA)),
          start,
        );
        expect(composed).toEqual(oneByOne(start, said));
      }),
      { numRuns: 1_000 },
    );
  });

  it('of nothing changes nothing', () => {
    fc.assert(
      fc.property(sayings, (said) => {
        const progress = oneByOne(initialProgress(7), said);
        expect(applyDelta(progress, NO_DELTA)).toEqual(progress);
      }),
    );
  });

  it('survives JSON', () => {
    fc.assert(
      fc.property(sayings, (said) => {
        const delta = said.reduce(addToDelta, NO_DELTA);
        const start = initialProgress(3);
        expect(applyDelta(start, JSON.parse(JSON.stringify(delta)) as typeof delta)).toEqual(applyDelta(start, delta));
      }),
    );
  });
});

describe('progress', () => {
  const lines = (progress: Progress) => [['', progress] as const, ...Object.entries(progress.stages)];

  it('never falls, and counts failed and skipped within processed', () => {
    fc.assert(
      fc.property(sayings, (said) => {
        said.reduce<Progress>((before, fact) => {
          const after = oneByOne(before, [fact]);
          const now = new Map(lines(after));
          for (const [name, line] of lines(before)) {
            expect(now.get(name)?.processed).toBeGreaterThanOrEqual(line.processed);
            expect(now.get(name)?.total ?? -1).toBeGreaterThanOrEqual(line.total ?? -1);
          }
          for (const line of now.values()) expect(line.processed).toBeGreaterThanOrEqual(line.failed + line.skipped);
          return after;
        }, initialProgress(null));
      }),
      { numRuns: 500 },
    );
  });

  it('moves the line that a fact names, and no other', () => {
    fc.assert(
      fc.property(sayings, any, (said, fact) => {
        const before = oneByOne(initialProgress(5), said);
        const after = new Map(lines(oneByOne(before, [fact])));
        for (const [name, line] of lines(before)) {
          if (name === (fact.stage ?? '')) continue;
          const { processed, failed, skipped, total: of } = line;
          expect(after.get(name)).toMatchObject({ processed, failed, skipped, total: of });
        }
      }),
      { numRuns: 500 },
    );
  });

  it('has a percent from 0 to 100 with two decimals, that falls only where a total grows or a stage gets one', () => {
    fc.assert(
      fc.property(sayings, (said) => {
        said.reduce<Progress>((before, fact) => {
          const after = oneByOne(before, [fact]);
          const [was, is] = [percentOf(before), percentOf(after)];
          if (is !== null) {
            expect(is).toBeGreaterThanOrEqual(0);
            expect(is).toBeLessThanOrEqual(100);
            expect(Number(is.toFixed(2))).toBe(is);
          }
          const totals = (progress: Progress) =>
            JSON.stringify(
              lines(progress)
                .map(([, line]) => line.total)
                .filter((of) => of !== null),
            );
          if (totals(before) === totals(after)) expect(is ?? -1).toBeGreaterThanOrEqual(was ?? -1);
          expect(is === null).toBe(lines(after).every(([, line]) => line.total === null));
          return after;
        }, initialProgress(null));
      }),
      { numRuns: 500 },
    );
  });

  it('is restored to the counts that were saved, with the totals of now', () => {
    fc.assert(
      fc.property(sayings, sayings, (said, later) => {
        const saved = oneByOne(initialProgress(5), said);
        const now = oneByOne(saved, later);
        const restored = restoreProgress(now, saveProgress(saved));
        const then = new Map<string, { processed: number; failed: number; skipped: number }>(lines(saved));
        for (const [name, line] of lines(restored)) {
          const { processed, failed, skipped } = then.get(name) ?? { processed: 0, failed: 0, skipped: 0 };
          expect(line).toMatchObject({ processed, failed, skipped });
        }
        expect(lines(restored).map(([name, { total: of }]) => [name, of])).toEqual(
          lines(now).map(([name, { total: of }]) => [name, of]),
        );
        expect(restoreProgress(now, null)).toMatchObject({ processed: 0, failed: 0, skipped: 0, message: null });
      }),
      { numRuns: 300 },
    );
  });
});
