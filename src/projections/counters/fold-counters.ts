/** What a page of events adds to the counters, folded in memory so that each row is written once. */
import { JOB_STATUSES, type JobStatus } from '../../domain/job-chart.js';
import { jobStream } from '../../domain/streams.js';
import type { RecordedEvent } from '../../event-store/event-store.js';
import { metadataOf, toCurrent, UnreadableEvent } from '../jobs/stored-job.js';

/** What never changes of a job, and its counts go by. */
export interface JobKey {
  readonly queue: string;
  readonly type: string;
}

/** Where a job was before the page (null: nowhere) and where it is after it. */
interface Move {
  readonly from: JobStatus | null;
  readonly to: JobStatus;
}

export interface CountersPage {
  /** By job id. */
  readonly born: ReadonlyMap<string, JobKey>;
  /** By job id. */
  readonly moves: ReadonlyMap<string, Move>;
  /** By event type. */
  readonly events: ReadonlyMap<string, number>;
  /** What the reaper did, by rule. */
  readonly reaped: ReadonlyMap<string, number>;
}

/** How the stream of a job's transitions begins. */
const TRANSITIONS = jobStream('');

const statuses: ReadonlySet<unknown> = new Set(JOB_STATUSES);

const isStatus = (value: unknown): value is JobStatus => statuses.has(value);

const add = (counts: Map<string, number>, key: string, n: number): void => {
  counts.set(key, (counts.get(key) ?? 0) + n);
};

/** @throws UnreadableEvent */
const moveOf = (event: RecordedEvent): Move => {
  const { from, to } = metadataOf(event);
  const isBirth = event.type === 'JobCreated';
  if (!isStatus(to) || !(isBirth ? from === null : isStatus(from))) throw new UnreadableEvent(event);
  return { from, to };
};

/** @throws UnreadableEvent */
const keyOf = (event: RecordedEvent): JobKey => {
  const { spec } = event.data as { spec?: { queue?: unknown; type?: unknown } };
  if (typeof spec?.queue !== 'string' || typeof spec.type !== 'string') throw new UnreadableEvent(event);
  return { queue: spec.queue, type: spec.type };
};

/** Few events have it: the others need not be parsed. */
const mayHaveEvidence = ({ dataText }: RecordedEvent): boolean => dataText?.includes('"evidence"') !== false;

/** The rule by which the reaper ended or took back an attempt; undefined when it did not. A job that is due is none. */
const ruleOf = (event: RecordedEvent): string | undefined => {
  const { evidence } = event.data as { evidence?: { rule?: unknown } | null };
  return typeof evidence?.rule === 'string' ? evidence.rule : undefined;
};

/** @throws UnreadableEvent when an event is of a type or version that is not known, or does not say what it must, or does not follow. */
export const foldCounters = (events: readonly RecordedEvent[]): CountersPage => {
  const born = new Map<string, JobKey>();
  const moves = new Map<string, Move>();
  const counted = new Map<string, number>();
  const reaped = new Map<string, number>();
  for (const stored of events) {
    const event = toCurrent(stored);
    add(counted, event.type, 1);
    if (!event.stream.startsWith(TRANSITIONS)) continue;
    const jobId = event.stream.slice(TRANSITIONS.length);
    const { from, to } = moveOf(event);
    const before = moves.get(jobId);
    if (before !== undefined && before.to !== from) throw new UnreadableEvent(event);
    moves.set(jobId, { from: before === undefined ? from : before.from, to });
    if (from === null) born.set(jobId, keyOf(event));
    // The text is that of the event as it was stored.
    const rule = event !== stored || mayHaveEvidence(stored) ? ruleOf(event) : undefined;
    if (rule !== undefined) add(reaped, rule, 1);
  }
  return { born, moves, events: counted, reaped };
};

/** A change of the number of jobs of one queue and type in one status. */
export interface StatusDelta extends JobKey {
  readonly status: JobStatus;
  readonly n: number;
}

/** @param keys of every job of the moves */
export const statusDeltas = (
  moves: ReadonlyMap<string, Move>,
  keys: ReadonlyMap<string, JobKey>,
): readonly StatusDelta[] => {
  const deltas = new Map<string, StatusDelta>();
  const count = (key: JobKey, status: JobStatus, n: number): void => {
    // No name holds a line feed.
    const place = `${key.queue}\n${key.type}\n${status}`;
    deltas.set(place, { ...key, status, n: (deltas.get(place)?.n ?? 0) + n });
  };
  for (const [jobId, { from, to }] of moves) {
    const key = keys.get(jobId);
    if (key === undefined) throw new Error(`job ${jobId} has no first event before its others`);
    if (from === to) continue;
    if (from !== null) count(key, from, -1);
    count(key, to, 1);
  }
  return [...deltas.values()].filter(({ n }) => n !== 0);
};
