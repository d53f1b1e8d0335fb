/**
 * Versions of events. The log keeps an event for ever as it was written, and history shows it so; whoever folds it gets
 * it in the shape of today. `version` is that of `data`: metadata is read by every version, so it may only grow.
 *
 * A type's list holds an upcaster for each version that was left behind: the first makes version 2 of version 1, the
 * next version 3 of that. The version that is written is one more than the list is long: none is raised without saying
 * how those before are read.
 */
import type { JobEventType, JobFact, Value } from './job-events.js';

/** Of all events of a job: transitions, facts and refused commands. */
export type EventType = JobEventType | JobFact['type'] | 'CommandRefused';

type EventData = Readonly<Record<string, Value>>;

/** Makes the data of the next version. It takes what is missing from nowhere else: the same event gives the same for ever. */
export type Upcaster = (data: EventData) => EventData;

export type Upcasters = Readonly<Record<string, readonly Upcaster[]>>;

const UPCASTERS: Readonly<Record<EventType, readonly Upcaster[]>> = {
  JobCreated: [],
  JobScheduled: [],
  JobBlocked: [],
  JobQueued: [],
  JobClaimed: [],
  JobStarted: [],
  CheckpointSaved: [],
  WorkerStateReported: [],
  JobReleased: [],
  LeaseExpired: [],
  JobThrottled: [],
  JobWaiting: [],
  JobResumed: [],
  JobHeld: [],
  JobRescheduled: [],
  PriorityChanged: [],
  AttemptFailed: [],
  JobFinalizing: [],
  JobCompleted: [],
  JobFailed: [],
  JobTimedOut: [],
  CancelRequested: [],
  JobCancelled: [(data) => ({ ...data, outcome: null })],
  JobDeadLettered: [],
  JobRetried: [],
  ProgressRecorded: [],
  CommandRefused: [],
};

export const EVENT_TYPES = Object.keys(UPCASTERS) as readonly EventType[];

/** The version that this program writes, and the newest that it reads; 0 of a type that it does not know. */
export const versionOf = (type: string, upcasters: Upcasters = UPCASTERS): number =>
  Object.hasOwn(upcasters, type) ? upcasters[type]!.length + 1 : 0;

/** How many shapes of events a table knows. Types and versions are only added, so of two releases the newer has more. */
export const formatOf = (upcasters: Upcasters): number =>
  Object.keys(upcasters).reduce((sum, type) => sum + versionOf(type, upcasters), 0);

/** The format of the log that this program writes. */
export const FORMAT = formatOf(UPCASTERS);

interface Versioned {
  readonly type: string;
  readonly version: number;
  readonly data: unknown;
}

/** An event in the shape of today; undefined when this program does not know its type or version. */
export const upcast = <E extends Versioned>(event: E, upcasters: Upcasters = UPCASTERS): E | undefined => {
  const { type, version } = event;
  const current = versionOf(type, upcasters);
  if (version === current && current > 0) return event;
  if (!Number.isInteger(version) || version < 1 || version > current) return undefined;
  const newer = upcasters[type]!.slice(version - 1);
  const data = newer.reduce((older, next) => next(older), event.data as EventData);
  return { ...event, version: current, data };
};
