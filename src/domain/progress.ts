/**
 * What facts add up to. A fact counts only while its attempt is the current one at its position, and once by its
 * `batchId`. Facts of one attempt commute: a set of them is folded into one delta, and a delta is applied to
 * whatever is there, so fifty writers lose nothing.
 */
import type { RecordedJobEvent, RecordedJobFact } from './job-events.js';

export interface Counts {
  readonly processed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface StageProgress extends Counts {
  readonly total: number | null;
}

export interface Progress extends StageProgress {
  readonly message: string | null;
  readonly stages: Readonly<Record<string, StageProgress>>;
}

/** The counts that stood when a checkpoint was saved: the claim that hands it out goes on from them. */
export type SavedProgress = Counts & { readonly stages: Readonly<Record<string, Counts>> };

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const hasCounts = (value: unknown): value is Readonly<Record<string, unknown>> =>
  isObject(value) && [value['processed'], value['failed'], value['skipped']].every(isCount);

const hasTotal = ({ total }: Readonly<Record<string, unknown>>): boolean => total === null || isCount(total);

/** Whether a value that was kept has the shape of progress. */
export const isProgress = (value: unknown): value is Progress => {
  if (!hasCounts(value) || !hasTotal(value) || !isObject(value['stages'])) return false;
  const isMessage = value['message'] === null || typeof value['message'] === 'string';
  return isMessage && Object.values(value['stages']).every((stage) => hasCounts(stage) && hasTotal(stage));
};

/** As `isProgress`, of what was saved of it. */
export const isSavedProgress = (value: unknown): value is SavedProgress =>
  hasCounts(value) && isObject(value['stages']) && Object.values(value['stages']).every(hasCounts);

const ZERO: Counts = { processed: 0, failed: 0, skipped: 0 };

export const initialProgress = (total: number | null): Progress => ({
  processed: 0,
  failed: 0,
  skipped: 0,
  total,
  message: null,
  stages: {},
});

/**
 * How facts change one line of counts: `processed := max(processed + add, floor)`, at most `MAX_COUNT`. Such changes
 * compose, so the increments and absolute values of a batch become one.
 */
export interface CountsDelta {
  readonly add: number;
  readonly floor: number;
  readonly failed: number;
  readonly skipped: number;
  readonly total: number | null;
}

export interface ProgressDelta {
  /** By stage; `''` is the job's own line. */
  readonly lines: Readonly<Record<string, CountsDelta>>;
  readonly message: string | null;
}

export const JOB_LINE = '';

/**
 * Stages that a run may have: each costs whoever reads the job or moves it. It binds what is accepted, where the row is
 * written (src/projections/migrations/000133-bounded-stages.sql): a log that has more is folded as it is.
 */
export const MAX_STAGES = 100;

type ProgressFact = RecordedJobFact['data'];

const NO_CHANGE: CountsDelta = { add: 0, floor: 0, failed: 0, skipped: 0, total: null };

/** Counts stop here, so that they stay exact numbers; a sum beyond it is a mistake of the reporter's. */
const MAX_COUNT = Number.MAX_SAFE_INTEGER;

const sum = (a: number, b: number): number => Math.min(a + b, MAX_COUNT);

const larger = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.max(a, b);

/** A stage may be called `constructor`: only what stands there itself is a line. */
const lineNamed = <Line>(lines: Readonly<Record<string, Line>>, name: string): Line | undefined =>
  Object.hasOwn(lines, name) ? lines[name] : undefined;

const composeLine = (first: CountsDelta, then: CountsDelta): CountsDelta => ({
  add: sum(first.add, then.add),
  floor: Math.max(sum(first.floor, then.add), then.floor),
  failed: sum(first.failed, then.failed),
  skipped: sum(first.skipped, then.skipped),
  total: larger(first.total, then.total),
});

const lineOf = (fact: ProgressFact): CountsDelta => ({
  add: fact.processed,
  floor: Math.max(fact.current ?? 0, 0),
  failed: fact.failed,
  skipped: fact.skipped,
  total: fact.total,
});

export const NO_DELTA: ProgressDelta = { lines: {}, message: null };

export const addToDelta = (delta: ProgressDelta, fact: ProgressFact): ProgressDelta => {
  const key = fact.stage ?? JOB_LINE;
  return {
    lines: { ...delta.lines, [key]: composeLine(lineNamed(delta.lines, key) ?? NO_CHANGE, lineOf(fact)) },
    message: fact.message ?? delta.message,
  };
};

const applyLine = <Line extends StageProgress>(line: Line, delta: CountsDelta): Line => ({
  ...line,
  processed: Math.max(sum(line.processed, delta.add), delta.floor),
  failed: sum(line.failed, delta.failed),
  skipped: sum(line.skipped, delta.skipped),
  total: larger(line.total, delta.total),
});

/** The stages that a fold has made and nobody else has seen: it may change them in place. */
export interface OwnStages {
  stages: Record<string, StageProgress> | null;
}

const own = (stages: Progress['stages'], mine: OwnStages): Record<string, StageProgress> => {
  if (mine.stages === null || mine.stages !== stages) mine.stages = { ...stages };
  return mine.stages;
};

export const applyDelta = (progress: Progress, delta: ProgressDelta, mine: OwnStages = { stages: null }): Progress => {
  let moved = progress;
  let { stages } = progress;
  for (const [name, line] of Object.entries(delta.lines)) {
    if (name === JOB_LINE) moved = applyLine(moved, line);
    else {
      const value = applyLine(lineNamed(stages, name) ?? { ...ZERO, total: null }, line);
      stages = own(stages, mine);
      // Not assigned: a stage may be called `__proto__`.
      Object.defineProperty(stages, name, { value, configurable: true, enumerable: true, writable: true });
    }
  }
  return { ...moved, message: delta.message ?? progress.message, stages };
};

const countsOf = (line: Counts): Counts => ({
  processed: line.processed,
  failed: line.failed,
  skipped: line.skipped,
});

export const saveProgress = (progress: Progress): SavedProgress => ({
  ...countsOf(progress),
  stages: Object.fromEntries(Object.entries(progress.stages).map(([name, line]) => [name, countsOf(line)])),
});

/** Where an attempt starts: the counts of the checkpoint it is handed, else zero. Totals stay. */
export const restoreProgress = (progress: Progress, saved: SavedProgress | null): Progress => {
  const { processed, failed, skipped } = saved ?? ZERO;
  return { processed, failed, skipped, total: progress.total, message: null, stages: restoreStages(progress, saved) };
};

const restoreStages = ({ stages }: Progress, saved: SavedProgress | null): Progress['stages'] => {
  const names = Object.keys(stages);
  if (names.length === 0) return stages;
  return Object.fromEntries(
    names.map((name) => [
      name,
      { ...((saved && lineNamed(saved.stages, name)) ?? ZERO), total: lineNamed(stages, name)?.total ?? null },
    ]),
  );
};

/**
 * Keys of the facts that counted. Adding one leaves the set as it was, and costs nothing where it is the newest of its
 * line: copying a set a fact would cost the square of their number.
 */
export class FactKeys {
  private constructor(
    /** Of this set and of those that were made from it, in the order in which they came. */
    private readonly places: Map<string, number>,
    private readonly count: number,
  ) {}

  static none(): FactKeys {
    return new FactKeys(new Map(), 0);
  }

  has(key: string): boolean {
    const place = this.places.get(key);
    return place !== undefined && place < this.count;
  }

  /** @param key one that it does not have */
  add(key: string): FactKeys {
    const isNewest = this.places.size === this.count;
    const places = isNewest ? this.places : new Map(this.all().map((known, place) => [known, place]));
    places.set(key, this.count);
    return new FactKeys(places, this.count + 1);
  }

  all(): readonly string[] {
    return [...this.places.keys()].slice(0, this.count);
  }
}

/** The progress fold of one job over transitions and facts in the order of their positions. */
export interface ProgressFold {
  readonly progress: Progress;
  readonly saved: SavedProgress | null;
  /** `total` of the creator: what a new run starts with. */
  readonly specTotal: number | null;
  /** The attempt whose facts count, while its lease is open. */
  readonly open: { readonly run: number; readonly attempt: number } | null;
  readonly seen: FactKeys;
  /** Absent: each fact leaves the fold before it as it was, for a copy of the stages. */
  readonly mine?: OwnStages;
}

/**
 * The fold, for a walk over many facts that keeps none of the folds on its way: what they hold may change. Copying the
 * stages for each fact would cost the square of their number.
 */
export const walked = (fold: ProgressFold): ProgressFold => ({ ...fold, mine: { stages: null } });

export const NO_PROGRESS: ProgressFold = {
  progress: initialProgress(null),
  saved: null,
  specTotal: null,
  open: null,
  seen: FactKeys.none(),
};

/** How a transition moves progress. `after` is the job's run and attempt once it was applied. */
export const foldTransition = (
  fold: ProgressFold,
  event: RecordedJobEvent,
  after: { readonly run: number; readonly attempt: number; readonly lease: unknown },
): ProgressFold => {
  const open = after.lease === null ? null : { run: after.run, attempt: after.attempt };
  switch (event.type) {
    case 'JobCreated': {
      const specTotal = event.data.spec.total;
      return { ...fold, specTotal, progress: initialProgress(specTotal) };
    }
    case 'JobClaimed':
      return { ...fold, open, seen: FactKeys.none(), progress: restoreProgress(fold.progress, fold.saved) };
    case 'CheckpointSaved':
      return { ...fold, open, saved: saveProgress(fold.progress) };
    case 'JobRetried':
      return { ...fold, open: null, saved: null, progress: initialProgress(fold.specTotal) };
    default:
      return { ...fold, open };
  }
};

/** Whether the fact is of the attempt that is open at this place of the fold. */
export const isOpen = ({ open }: ProgressFold, fact: RecordedJobFact): boolean =>
  open !== null && fact.run === open.run && fact.attempt === open.attempt;

/** Whether the fact counts at this place of the fold. */
export const counts = (fold: ProgressFold, fact: RecordedJobFact): boolean =>
  isOpen(fold, fact) && !fold.seen.has(fact.data.batchId);

export const foldFact = (fold: ProgressFold, fact: RecordedJobFact): ProgressFold =>
  counts(fold, fact)
    ? {
        ...fold,
        seen: fold.seen.add(fact.data.batchId),
        progress: applyDelta(fold.progress, addToDelta(NO_DELTA, fact.data), fold.mine),
      }
    : fold;

/** What is not done never reads as 100. */
const twoDecimals = (ratio: number): number => (ratio >= 1 ? 100 : Math.min(Math.round(ratio * 10_000) / 100, 99.99));
const ratio = (line: StageProgress): number | null =>
  line.total === null ? null : line.total === 0 ? 1 : line.processed / line.total;

/** Of the job's own total, else the mean over stages with one, else null; two decimals, at most 100. */
export const percentOf = (progress: Progress): number | null => {
  const own = ratio(progress);
  if (own !== null) return twoDecimals(own);
  const stages = Object.values(progress.stages).flatMap((line) => {
    const value = ratio(line);
    return value === null ? [] : [Math.min(value, 1)];
  });
  return stages.length === 0 ? null : twoDecimals(stages.reduce((sum, value) => sum + value, 0) / stages.length);
};
