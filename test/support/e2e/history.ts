/** What a run left behind: the calls that clients made, and what the ledger says afterwards; with its look-ups. */
import type { Counters, Job, JobStatus, LedgerEvent } from '../../../src/api/contract.js';
import type { RecordedEvent } from '../../../src/event-store/event-store.js';
import { foldEvent, NO_JOB, type JobFold, type StoredJob } from '../../../src/projections/jobs/stored-job.js';
import type { RecordedCall } from './recorder.js';

/** Where the log is. In the database its positions are dense, and its times never fall. */
export type LogPlace = 'database' | 'eventstoredb';

/** Where a part of a history begins: what was before is judged, at rest, and left alone since. */
export interface Beginning {
  readonly position: string;
  readonly counters: Counters;
}

export interface History {
  readonly log: LogPlace;
  /** Absent: the start of the log. Jobs of a part are those that were created in it. */
  readonly since?: Beginning;
  readonly calls: readonly RecordedCall[];
  /** The whole log since then, in the order it was read. */
  readonly events: readonly LedgerEvent[];
  /** Every job at rest, once for each process that was asked. */
  readonly jobs: readonly Job[];
  /** At rest, once for each process that was asked. */
  readonly counters: readonly Counters[];
}

/** One line that names what is wrong, with the job, positions and calls it concerns. */
export type Violation = string;

/** A call that was answered. */
export type AnsweredCall = RecordedCall & {
  readonly returnedAt: number;
  readonly outcome: Extract<RecordedCall['outcome'], { kind: 'answered' }>;
};

export const isAnswered = (call: RecordedCall): call is AnsweredCall => call.outcome?.kind === 'answered';
export const isSuccess = (call: AnsweredCall): boolean => call.outcome.status >= 200 && call.outcome.status < 300;
/** The ledger said no: nothing happened. A 5xx says nothing. */
export const isRefusal = (call: AnsweredCall): boolean => call.outcome.status >= 400 && call.outcome.status < 500;
export const isReplayed = (call: AnsweredCall): boolean => call.outcome.headers['idempotent-replayed'] === 'true';

export const show = (call: RecordedCall): string => {
  const outcome = call.outcome === null ? 'in flight' : isAnswered(call) ? call.outcome.status : call.outcome.kind;
  return `call #${call.id} (${call.lane} at ${call.node}: ${call.method} ${call.path}, key ${call.key ?? 'none'}, ${outcome})`;
};

/** The lease that a claim handed out. */
export interface Grant {
  readonly call: AnsweredCall;
  readonly jobId: string;
  readonly run: number;
  readonly attempt: number;
  readonly leaseExpiresAt: string;
}

export const CLAIMS = '/v1/claims';
const JOB_PATH = /^\/v1\/jobs\/([0-9a-f-]{36})(?:\/([a-z]+))?$/;

/** The job and command that a path names: `{ jobId, name: 'complete' }`; null for other paths. */
export const jobCallOf = (call: RecordedCall): { readonly jobId: string; readonly name: string | null } | null => {
  const match = JOB_PATH.exec(call.path.split('?')[0]!);
  return match === null ? null : { jobId: match[1]!, name: match[2] ?? null };
};

/** What a job was after one of its events. */
export interface Moment {
  readonly event: LedgerEvent;
  readonly stored: StoredJob;
}

export interface JobHistory {
  readonly id: string;
  /** By position; refusals apart. */
  readonly events: readonly LedgerEvent[];
  /** Up to the first event that cannot follow. */
  readonly moments: readonly Moment[];
  readonly broken: string | null;
  /** After the last event of its own stream at that revision. */
  readonly atRevision: ReadonlyMap<number, StoredJob>;
  readonly atPosition: ReadonlyMap<string, StoredJob>;
}

export const isFact = (event: LedgerEvent): boolean => event.stream.startsWith('work-');
export const isRefusalEvent = (event: LedgerEvent): boolean => event.type === 'CommandRefused';
const isTransition = (event: LedgerEvent): boolean => event.stream.startsWith('job-');

/** The event as the log of the service has it: what the wire leaves out has no part in these judgements. */
const recorded = (event: LedgerEvent): RecordedEvent => {
  const { position, stream, revision, id, type, version, at, data, ...metadata } = event;
  return { position, stream, revision, id, type, version, at, data, metadata } as unknown as RecordedEvent;
};

const replayHistory = (id: string, events: readonly LedgerEvent[]): JobHistory => {
  const moments: Moment[] = [];
  let fold: JobFold = NO_JOB;
  let broken: string | null = null;
  for (const event of events) {
    try {
      fold = foldEvent(fold, recorded(event));
    } catch (error) {
      broken = `position ${event.position}: ${(error as Error).message}`;
      break;
    }
    if (fold.stored !== null) moments.push({ event, stored: fold.stored });
  }
  return {
    ...{ id, events, moments, broken },
    atRevision: new Map(
      moments.filter(({ event }) => isTransition(event)).map(({ event, stored }) => [event.revision, stored]),
    ),
    atPosition: new Map(moments.map(({ event, stored }) => [event.position, stored])),
  };
};

export interface Attempt {
  readonly claimedAt: LedgerEvent;
  /** The event that took the lease from it; undefined while it is held. */
  readonly endedAt: LedgerEvent | undefined;
}

/** The attempts of a job by their claims, judged by what each event says of itself, not by a fold. */
export const attemptsOf = ({ events }: Pick<JobHistory, 'events'>): readonly Attempt[] => {
  const moves = events.filter((event) => !isFact(event));
  return moves.flatMap((event, index) => {
    if (event.type !== 'JobClaimed') return [];
    const endedAt = moves.slice(index + 1).find(({ to }) => to !== null && !HELD.has(to));
    return [{ claimedAt: event, endedAt }];
  });
};

/** Where a fact stands to the attempt that it names, by position. */
export const placeOfFact = (attempts: readonly Attempt[], fact: LedgerEvent): 'held' | 'late' | 'never held' => {
  const own = attempts.find(({ claimedAt: { run, attempt } }) => run === fact.run && attempt === fact.attempt);
  const position = BigInt(fact.position);
  if (own === undefined || position < BigInt(own.claimedAt.position)) return 'never held';
  return own.endedAt === undefined || position < BigInt(own.endedAt.position) ? 'held' : 'late';
};

const groupBy = <Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key | null): Map<Key, Item[]> => {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    if (key === null) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
};

interface ClaimBody {
  readonly jobs: readonly {
    readonly job: Job;
    readonly attempt: number;
    readonly leaseToken: string;
    readonly leaseExpiresAt: string;
  }[];
}

/** A history with what the checks look up. */
export class IndexedHistory {
  readonly answered: readonly AnsweredCall[];
  /** Calls of clients by idempotency key, in the order of invocation. */
  readonly byKey: ReadonlyMap<string, readonly RecordedCall[]>;
  readonly eventAt: ReadonlyMap<string, LedgerEvent>;
  /** Events of each stream, by revision. */
  readonly streams: ReadonlyMap<string, readonly LedgerEvent[]>;
  /** Events without refusals by the key of the call that caused them. */
  readonly eventsOfKey: ReadonlyMap<string, readonly LedgerEvent[]>;
  readonly jobs: ReadonlyMap<string, JobHistory>;
  readonly grants: ReadonlyMap<string, Grant>;

  constructor(readonly history: History) {
    const { calls, events } = history;
    this.answered = calls.filter(isAnswered);
    this.byKey = groupBy(calls, (call) => call.key);
    this.eventAt = new Map(events.map((event) => [event.position, event]));
    this.streams = groupBy(events, (event) => event.stream);
    const effective = events.filter((event) => !isRefusalEvent(event));
    this.eventsOfKey = groupBy(effective, (event) => event.commandId);
    this.jobs = new Map(
      [...groupBy(effective, (event) => event.jobId)].map(([id, own]) => [id, replayHistory(id, own)]),
    );
    this.grants = new Map(this.answered.flatMap(grantsOf));
  }

  /** Whose token a worker call carries; undefined when no claim of this history handed it out. */
  grantOf(call: RecordedCall): Grant | undefined {
    const token = (call.body as { leaseToken?: unknown } | null)?.leaseToken;
    return typeof token === 'string' ? this.grants.get(token) : undefined;
  }
}

const grantsOf = (call: AnsweredCall): readonly (readonly [string, Grant])[] => {
  if (call.path !== CLAIMS || !isSuccess(call)) return [];
  return (call.outcome.body as ClaimBody).jobs.map(({ job, attempt, leaseToken, leaseExpiresAt }) => [
    leaseToken,
    { call, jobId: job.id, run: job.run, attempt, leaseExpiresAt },
  ]);
};

/** Every lease of every claim answer, repeated answers too. */
export const allGrants = (history: IndexedHistory): readonly Grant[] =>
  history.answered.flatMap(grantsOf).map(([, grant]) => grant);

export const TERMINAL_EVENTS: ReadonlySet<string> = new Set([
  'JobCompleted',
  'JobFailed',
  'JobTimedOut',
  'JobCancelled',
]);

/** States in which somebody holds a lease. */
export const HELD: ReadonlySet<JobStatus> = new Set<JobStatus>(['claimed', 'running', 'cancelling']);
