/**
 * A job as its read model has it: the folded state, the values that may be large, what facts add up to, and when
 * something last happened. The same fold serves the inline row, a rebuild, `asOf`, and the answer of a claim.
 */
import { comparePositions, DamagedEvent, type Position, type RecordedEvent } from '../../event-store/event-store.js';
import { BrokenHistory } from '../../domain/errors.js';
import { isTerminal } from '../../domain/job-chart.js';
import type { Instant, RecordedJobEvent, RecordedJobFact } from '../../domain/job-events.js';
import { evolve, NO_VALUES, valuesSetBy, type Job, type JobValues } from '../../domain/job.js';
import {
  FactKeys,
  foldFact,
  foldTransition,
  initialProgress,
  isOpen,
  NO_PROGRESS,
  type Progress,
  type ProgressFold,
  type SavedProgress,
  walked,
} from '../../domain/progress.js';
import { type EventMetadata, isJobStream, isWorkStream, jobIdOf } from '../../domain/streams.js';
import { upcast, versionOf } from '../../domain/upcast.js';

export interface StoredJob {
  readonly job: Job;
  readonly values: JobValues;
  readonly progress: Progress;
  readonly saved: SavedProgress | null;
  /** Of the last event of the job or its facts, refusals apart. */
  readonly position: Position;
  readonly lastEventAt: Instant;
  readonly lastActivityAt: Instant | null;
  readonly lastActivityPosition: Position | null;
}

const CURE = 'upgrade this process, or send the call to one that is newer';

/** Thrown when an event cannot be understood by this version: its job is not decided on until it can. */
export class UnreadableEvent extends Error {
  constructor(
    readonly event: Pick<RecordedEvent, 'stream' | 'position' | 'type' | 'version'>,
    cause?: unknown,
  ) {
    super(`event ${event.position} of ${event.stream} (${event.type} v${event.version}) cannot be read`, { cause });
  }

  /** What a newer jobledger wrote, in words for a caller; undefined when no newer version would read it. */
  get newer(): string | undefined {
    const { position, type, version } = this.event;
    const known = versionOf(type);
    const place = `event ${position} of the job is ${type} of version ${version}`;
    if (known === 0)
      return `${place}, a type that this process does not know: when a newer jobledger wrote it, ${CURE}`;
    return version > known
      ? `${place}, this process knows it up to version ${known}: a newer jobledger wrote it: ${CURE}`
      : undefined;
  }
}

/** Thrown when a job cannot be decided on for what its history holds; the cause says what. */
export class DamagedHistory extends Error {
  constructor(
    readonly jobId: string,
    cause: Error,
  ) {
    super(cause.message, { cause });
  }
}

/** An event of the job cannot be read, or cannot follow the ones before: somebody has to look. */
export const isDamage = (error: unknown): boolean =>
  error instanceof UnreadableEvent ||
  error instanceof DamagedEvent ||
  error instanceof BrokenHistory ||
  error instanceof DamagedHistory;

const ACTIVITY: ReadonlySet<string> = new Set(['JobClaimed', 'JobStarted', 'CheckpointSaved', 'WorkerStateReported']);

/** Whether a transition is a sign of work. */
export const isActivity = (type: string): boolean => ACTIVITY.has(type);

/** @throws DamagedEvent */
export const metadataOf = (event: RecordedEvent): EventMetadata => event.metadata as unknown as EventMetadata;

/** Whether the run of the job ends with this transition: what follows in the same append (a dead letter) does not move it. */
export const endsRun = (event: RecordedEvent): boolean => {
  if (event.damage !== undefined) return false;
  const { to } = metadataOf(event);
  return to !== null && isTerminal(to);
};

/**
 * A stored event in the shape of today, as everything that folds events has it.
 * @throws DamagedEvent; UnreadableEvent when this program does not know its type or version
 */
export const toCurrent = (stored: RecordedEvent): RecordedEvent => {
  if (stored.damage !== undefined) throw stored.damage;
  const event = upcast(stored);
  if (event === undefined) throw new UnreadableEvent(stored);
  // What a store makes only when it is asked for is not copied with the rest.
  return event === stored ? stored : { ...event, id: stored.id, metadata: stored.metadata };
};

/** What few transitions are asked for is looked up when it is: a log that is walked parses its metadata then. */
class Transition {
  readonly type: string;
  readonly at: Instant;

  constructor(private readonly event: RecordedEvent) {
    this.type = event.type;
    this.at = event.at;
  }

  get data(): unknown {
    return this.event.data;
  }

  get command(): string {
    return metadataOf(this.event).command;
  }
}

/** The transition that a recorded event of `job-<id>` is. */
export const toTransition = (stored: RecordedEvent): RecordedJobEvent =>
  new Transition(toCurrent(stored)) as unknown as RecordedJobEvent;

/** The fact that a recorded event of `work-<id>` is. */
export const toFact = (stored: RecordedEvent): RecordedJobFact => {
  const event = toCurrent(stored);
  if (event.type !== 'ProgressRecorded') throw new UnreadableEvent(stored);
  const { run, attempt } = metadataOf(event);
  return { type: event.type, data: event.data, at: event.at, run, attempt } as unknown as RecordedJobFact;
};

/** Everything a fold of one job needs to go on. */
export interface JobFold {
  readonly stored: StoredJob | null;
  readonly facts: ProgressFold;
}

export const NO_JOB: JobFold = { stored: null, facts: NO_PROGRESS };

const foldTransitionEvent = (fold: JobFold, recorded: RecordedEvent, id: string): JobFold => {
  const event = toTransition(recorded);
  const before = fold.stored;
  const job = evolve(id, before?.job ?? null, event);
  const facts = foldTransition(fold.facts, event, job);
  const active = isActivity(event.type);
  const values = before?.values ?? NO_VALUES;
  const set = valuesSetBy(event);
  return {
    facts,
    stored: {
      job,
      values: set === undefined ? values : { ...values, ...set },
      progress: facts.progress,
      saved: facts.saved,
      position: recorded.position,
      lastEventAt: event.at,
      lastActivityAt: active ? event.at : (before?.lastActivityAt ?? null),
      lastActivityPosition: active ? recorded.position : (before?.lastActivityPosition ?? null),
    },
  };
};

const foldFactEvent = (fold: JobFold, recorded: RecordedEvent): JobFold => {
  const { stored } = fold;
  if (stored === null) throw new UnreadableEvent(recorded);
  const fact = toFact(recorded);
  const facts = foldFact(fold.facts, fact);
  const counted = facts !== fold.facts;
  return {
    facts,
    stored: {
      ...stored,
      progress: facts.progress,
      position: recorded.position,
      lastEventAt: fact.at,
      lastActivityAt: counted ? fact.at : stored.lastActivityAt,
      lastActivityPosition: counted ? recorded.position : stored.lastActivityPosition,
    },
  };
};

/** A fold is pure: whatever else it throws says that the event's JSON has not the shape of its type. */
export const damageOf = (event: RecordedEvent, error: unknown): unknown =>
  isDamage(error) ? error : new UnreadableEvent(event, error);

/**
 * Applies one event of any of the job's streams; refusals change nothing.
 * @throws DamagedEvent, UnreadableEvent or BrokenHistory
 */
export const foldEvent = (fold: JobFold, event: RecordedEvent): JobFold => {
  try {
    if (isJobStream(event.stream)) return foldTransitionEvent(fold, event, jobIdOf(event.stream) ?? '');
    return isWorkStream(event.stream) ? foldFactEvent(fold, event) : fold;
  } catch (error) {
    throw damageOf(event, error);
  }
};

/** The fold that a walk begins with, which keeps none of those on its way (`walked`). */
export const walkedFrom = (fold: JobFold): JobFold => ({ ...fold, facts: walked(fold.facts) });

/** Revisions of the facts that stand after the end of the attempt that they name. */
export const lateFacts = (before: JobFold, events: readonly RecordedEvent[]): readonly number[] => {
  const late: number[] = [];
  events.reduce((fold, event) => {
    if (isWorkStream(event.stream) && !isOpen(fold.facts, toFact(event))) late.push(event.revision);
    return foldEvent(fold, event);
  }, walkedFrom(before));
  return late;
};

/** Events of several streams in the one order of the log. */
export const inOrder = (events: readonly RecordedEvent[]): readonly RecordedEvent[] =>
  [...events].sort((a, b) => comparePositions(a.position, b.position));

/** Replays a job from the events of its streams, in any order. */
export const replay = (events: readonly RecordedEvent[]): JobFold =>
  inOrder(events).reduce(foldEvent, walkedFrom(NO_JOB));

/** A job as far as its events can be read. */
export interface ReadableFold extends JobFold {
  /** The first event of each stream that could not be read, and why. */
  readonly broken: readonly { readonly event: RecordedEvent; readonly error: unknown }[];
}

/** As `replay`, but a stream ends before its first event that cannot be read. */
export const replayReadable = (events: readonly RecordedEvent[]): ReadableFold => {
  const broken = new Map<string, ReadableFold['broken'][number]>();
  let fold = walkedFrom(NO_JOB);
  for (const event of inOrder(events)) {
    if (broken.has(event.stream)) continue;
    try {
      fold = foldEvent(fold, event);
    } catch (error) {
      broken.set(event.stream, { event, error });
    }
  }
  return { ...fold, broken: [...broken.values()] };
};

/**
 * What there is to show of a job; null: there is no such job.
 * @throws DamagedEvent, UnreadableEvent or BrokenHistory when there is one, and not even its first event can be read
 */
export const shown = ({ stored, broken }: ReadableFold): StoredJob | null => {
  const [first] = broken;
  if (stored === null && first !== undefined) throw first.error;
  return stored;
};

/** A stored job that an append moved on: the appended transitions applied to what was loaded. */
export const applyTransitions = (stored: StoredJob | null, events: readonly RecordedEvent[]): StoredJob => {
  const facts: ProgressFold =
    stored === null
      ? NO_PROGRESS
      : {
          progress: stored.progress,
          saved: stored.saved,
          specTotal: stored.job.spec.total,
          open: null,
          seen: FactKeys.none(),
        };
  const after = events.reduce(foldEvent, { stored, facts }).stored;
  if (after === null) throw new Error('no transition was applied');
  return after;
};

export const progressOf = (progress: Progress | null, job: Job): Progress =>
  progress ?? initialProgress(job.spec.total);
