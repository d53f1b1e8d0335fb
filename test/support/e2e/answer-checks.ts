/** What clients were answered, against what the log says happened. */
import { isDeepStrictEqual } from 'node:util';
import type { CommandAnswer, LedgerEvent } from '../../../src/api/contract.js';
import type { RecordedCall } from './recorder.js';
import {
  allGrants,
  attemptsOf,
  type AnsweredCall,
  CLAIMS,
  type Grant,
  HELD,
  type IndexedHistory,
  isAnswered,
  isFact,
  isRefusal,
  isRefusalEvent,
  isReplayed,
  isSuccess,
  jobCallOf,
  placeOfFact,
  show,
  type Violation,
} from './history.js';

interface Answered {
  readonly call: AnsweredCall;
  readonly answer: CommandAnswer;
}

const isCommandAnswer = (body: unknown): body is CommandAnswer =>
  typeof body === 'object' && body !== null && 'events' in body && 'revision' in body && 'jobId' in body;

/** The command answers of a call: one, or one for each job of a batch. */
const answersOf = (call: AnsweredCall): readonly Answered[] => {
  if (call.method !== 'POST' || !isSuccess(call)) return [];
  const { body } = call.outcome;
  const items = isCommandAnswer(body) ? [body] : ((body as { items?: readonly unknown[] } | null)?.items ?? []);
  return items.filter(isCommandAnswer).map((answer) => ({ call, answer }));
};

/** The events that an answer says are its own: the last one stands at its position, the others right before it. */
const eventsOf = (
  history: IndexedHistory,
  { position, events }: CommandAnswer,
): readonly (LedgerEvent | undefined)[] => {
  const last = history.eventAt.get(position);
  const stream = last === undefined ? [] : (history.streams.get(last.stream) ?? []);
  return events.map((_, index) => stream[(last?.revision ?? 0) - (events.length - 1 - index)]);
};

const checkEvents = (history: IndexedHistory, { call, answer }: Answered): readonly Violation[] =>
  eventsOf(history, answer).flatMap((event, index) => {
    const type = answer.events[index];
    const isThere =
      event?.type === type && event?.jobId === answer.jobId && (call.key === null || event.commandId === call.key);
    return isThere
      ? []
      : [
          `job ${answer.jobId}: ${type} was answered up to position ${answer.position}, where ${event?.type ?? 'nothing'} of ${event?.commandId ?? 'nobody'} stands: ${show(call)}`,
        ];
  });

const checkStanding = (history: IndexedHistory, { call, answer }: Answered): readonly Violation[] => {
  const { jobId, revision, status, run, attempt } = answer;
  const stored = history.jobs.get(jobId)?.atRevision.get(revision);
  const job = stored?.job;
  return job?.status === status && job.run === run && job.attempt === attempt
    ? []
    : [
        `job ${jobId}: answered ${status}, run ${run}, attempt ${attempt} at revision ${revision}, where the log has ${job?.status ?? 'nothing'}, run ${job?.run}, attempt ${job?.attempt}: ${show(call)}`,
      ];
};

/** Every acknowledged command's events are where its answer says, and the job stood as it says. */
export const checkAnswers = (history: IndexedHistory): readonly Violation[] =>
  history.answered
    .flatMap(answersOf)
    .flatMap((answered) => [...checkEvents(history, answered), ...checkStanding(history, answered)]);

/** Every lease that was handed out is one claim of the log, of that worker, and of one call alone. */
export const checkGrants = (history: IndexedHistory): readonly Violation[] => {
  const holders = new Map<string, Grant>();
  return allGrants(history).flatMap((grant) => {
    const { call, jobId, run, attempt } = grant;
    const violations: Violation[] = [];
    const lease = `${jobId} ${run} ${attempt}`;
    const holder = holders.get(lease) ?? grant;
    holders.set(lease, holder);
    if (holder.call.key !== call.key || (call.key === null && holder.call !== call)) {
      violations.push(
        `job ${jobId}: run ${run}, attempt ${attempt} was handed out twice: ${show(holder.call)}, ${show(call)}`,
      );
    }
    const claim = history.jobs
      .get(jobId)
      ?.events.find((event) => event.type === 'JobClaimed' && event.run === run && event.attempt === attempt);
    const { workerId } = call.body as { workerId: string };
    if (claim?.data['workerId'] !== workerId || (call.key !== null && claim.commandId !== call.key)) {
      violations.push(
        `job ${jobId}: run ${run}, attempt ${attempt} was handed to ${workerId}, in the log it is of ${String(claim?.data['workerId'])} by command ${claim?.commandId}: ${show(call)}`,
      );
    }
    return violations;
  });
};

/** Jobs that a call may create or take at most. */
const mostJobs = (call: RecordedCall): number => {
  const body = call.body as {
    jobs?: readonly unknown[];
    grid?: Record<string, readonly unknown[]>;
    max?: number;
  } | null;
  if (call.path === CLAIMS) return body?.max ?? 1;
  if (body?.grid !== undefined) return Object.values(body.grid).reduce((product, { length }) => product * length, 1);
  return call.path === '/v1/jobs/batch' ? (body?.jobs?.length ?? 0) : 1;
};

/**
 * Whether the events of a key were not one append. Those of several jobs stand in streams of their own, which a log in
 * EventStoreDB appends to one by one.
 */
const areApart = (history: IndexedHistory, events: readonly LedgerEvent[]): boolean =>
  history.history.log === 'database'
    ? events.some(({ position }, index) => index > 0 && BigInt(position) !== BigInt(events[index - 1]!.position) + 1n)
    : events.some(({ stream, revision }, index) =>
        events.slice(0, index).some((before) => before.stream === stream && before.revision >= revision),
      );

/** A key had effect at most once, in one append, however often it was sent and whatever was answered. */
export const checkOnce = (history: IndexedHistory): readonly Violation[] =>
  [...history.byKey].flatMap(([key, calls]) => {
    const events = history.eventsOfKey.get(key) ?? [];
    const isApart = areApart(history, events);
    const isRepeated = new Set(events.map(({ stream, type }) => `${stream} ${type}`)).size < events.length;
    const jobs = new Set(events.map(({ jobId }) => jobId));
    if (!isApart && !isRepeated && jobs.size <= mostJobs(calls[0]!)) return [];
    const listed = events.map(({ type, position }) => `${type} at position ${position}`).join(', ');
    return [`job ${[...jobs].join(', ')}: the key took effect more than once, with ${listed}: ${show(calls[0]!)}`];
  });

/** What is compared of an answer: of a claim the leases, since the rest of a job is told as of then. */
const essence = (call: AnsweredCall): unknown => {
  if (call.path !== CLAIMS) return call.outcome.body;
  const { jobs } = call.outcome.body as {
    jobs: readonly { job: { id: string }; attempt: number; leaseToken: string }[];
  };
  return jobs.map(({ job, attempt, leaseToken }) => ({ id: job.id, attempt, leaseToken }));
};

/** An empty claim is not kept: the same key may find something later. */
const isEmptyClaim = (call: AnsweredCall): boolean =>
  call.path === CLAIMS && (call.outcome.body as { jobs: readonly unknown[] }).jobs.length === 0;

/** The same key always got the same answer, marked as a repetition in all but one. */
export const checkSameAnswers = (history: IndexedHistory): readonly Violation[] =>
  [...history.byKey.values()].flatMap((calls) => {
    const kept = calls.filter(isAnswered).filter((call) => isSuccess(call) && !isEmptyClaim(call));
    const [first] = kept;
    if (first === undefined) return [];
    const others = kept.filter((call) => !isDeepStrictEqual(essence(call), essence(first)));
    const originals = kept.filter((call) => !isReplayed(call));
    return [
      ...others.map((call) => `the same key was answered otherwise: ${show(first)}, ${show(call)}`),
      ...originals
        .slice(1)
        .map((call) => `the same key was answered as new twice: ${show(originals[0]!)}, ${show(call)}`),
    ];
  });

/** A fact that came to stand behind the end of its attempt, where it counts for nothing: see `checkFacts`. */
const isLateFact = ({ history: { log }, jobs }: IndexedHistory, event: LedgerEvent): boolean => {
  const job = event.jobId === null ? undefined : jobs.get(event.jobId);
  return log !== 'database' && job !== undefined && isFact(event) && placeOfFact(attemptsOf(job), event) === 'late';
};

/** Where every call of a key was refused, nothing of it is in the log but the refusal. */
export const checkRefusalsMovedNothing = (history: IndexedHistory): readonly Violation[] =>
  [...history.byKey].flatMap(([key, calls]) => {
    const isRefused = calls.every((call) => (isAnswered(call) ? isRefusal(call) : call.outcome?.kind === 'not_sent'));
    if (!isRefused) return [];
    const moved = (history.eventsOfKey.get(key) ?? []).filter((event) => !isLateFact(history, event));
    return moved.map(
      ({ jobId, type, position }) =>
        `job ${jobId}: refused, and ${type} is at position ${position}: ${show(calls[0]!)}`,
    );
  });

interface Conflict {
  readonly code?: string;
  readonly jobStatus?: string;
  readonly revision?: number;
}

/** A refusal says truly where the job stood, and is never made of a lease that was good. */
export const checkConflicts = (history: IndexedHistory): readonly Violation[] =>
  history.answered.flatMap((call) => {
    const named = jobCallOf(call);
    if (call.outcome.status !== 409 || named === null) return [];
    const { code, jobStatus, revision } = call.outcome.body as Conflict;
    const job = revision === undefined ? undefined : history.jobs.get(named.jobId)?.atRevision.get(revision)?.job;
    if (job?.status !== jobStatus) {
      return [
        `job ${named.jobId}: refused as ${jobStatus} at revision ${revision}, where it was ${job?.status}: ${show(call)}`,
      ];
    }
    const grant = history.grantOf(call);
    const isHolder =
      job !== undefined && HELD.has(job.status) && grant?.run === job.run && grant.attempt === job.attempt;
    // The table of commands and states has one: `start` of a job that is being cancelled.
    return code === 'stale_lease' && isHolder && named.name !== 'start'
      ? [`job ${named.jobId}: a good lease was refused at revision ${revision}: ${show(call)}`]
      : [];
  });

/** What a worker call that was accepted says of the lease: until when it lives at least. */
const promisedUntil = (call: AnsweredCall): string | undefined =>
  (call.outcome.body as { leaseExpiresAt?: string }).leaseExpiresAt;

/**
 * A beat that was answered is never followed by a reap that did not know of it: unless a later call of the attempt
 * asked for a shorter lease, it is not lost before the instant that the beat promised.
 */
export const checkPromises = (history: IndexedHistory): readonly Violation[] =>
  history.answered.flatMap((call) => {
    const named = jobCallOf(call);
    const grant = history.grantOf(call);
    if (named?.name !== 'heartbeat' || grant === undefined || !isSuccess(call) || isReplayed(call)) return [];
    const until = promisedUntil(call) ?? '';
    const lost = history.jobs
      .get(named.jobId)
      ?.events.find(
        (event) => event.type === 'LeaseExpired' && event.run === grant.run && event.attempt === grant.attempt,
      );
    if (lost === undefined || lost.at >= until) return [];
    const evidence = lost.data['evidence'] as { rule?: string } | undefined;
    if (evidence?.rule !== 'lease_expired') return [];
    const later = history.history.calls.some(
      (other) =>
        other !== call &&
        (other.returnedAt === null || other.returnedAt > call.invokedAt) &&
        (other.body as { leaseMs?: number } | null)?.leaseMs !== undefined &&
        history.grantOf(other) === grant,
    );
    return later
      ? []
      : [
          `job ${named.jobId}: the lease was lost at ${lost.at}, position ${lost.position}, though it was promised until ${until}: ${show(call)}`,
        ];
  });

interface Batch {
  readonly processed: number;
  readonly isAccepted: boolean;
}

/** What clients asked to count for an attempt, by batch. */
const batchesByLease = (history: IndexedHistory): Map<string, Map<string, Batch>> => {
  const leases = new Map<string, Map<string, Batch>>();
  for (const call of history.history.calls) {
    const named = jobCallOf(call);
    const grant = history.grantOf(call);
    if (named?.name !== 'progress' || grant === undefined) continue;
    const { batchId, processed = 0 } = call.body as { batchId: string; processed?: number };
    const lease = `${grant.jobId} ${grant.run} ${grant.attempt}`;
    const batches = leases.get(lease) ?? new Map<string, Batch>();
    leases.set(lease, batches);
    const isAccepted = (isAnswered(call) && isSuccess(call)) || batches.get(batchId)?.isAccepted === true;
    const isPossible = isAccepted || !isAnswered(call) || !isRefusal(call) || batches.has(batchId);
    if (isPossible) batches.set(batchId, { processed, isAccepted });
  }
  return leases;
};

/**
 * The progress of an attempt is the sum of its distinct accepted batches: by the log exactly, and by what clients saw
 * at least what was acknowledged and at most what was asked. Counted here with plain sums; attempts that go on from a
 * checkpoint, or say where they are in absolute numbers, are left to the replay.
 */
export const checkProgress = (history: IndexedHistory): readonly Violation[] => {
  const leases = batchesByLease(history);
  return history.history.jobs.flatMap((job) => {
    const events = history.jobs.get(job.id)?.events ?? [];
    const isPlain = events.every(({ type, data }) => type !== 'CheckpointSaved' && (data['current'] ?? null) === null);
    if (!isPlain) return [];
    const attempts = attemptsOf({ events });
    const own = events.filter(
      (event) =>
        isFact(event) &&
        event.run === job.run &&
        event.attempt === job.attempt &&
        placeOfFact(attempts, event) === 'held',
    );
    const ofOwnLine = own.filter(({ data }) => data['stage'] === null);
    const distinct = new Map(ofOwnLine.map(({ data }) => [data['batchId'], Number(data['processed'])]));
    const sum = [...distinct.values()].reduce((total, processed) => total + processed, 0);
    if (job.progress.processed !== sum) {
      return [`job ${job.id}: processed is ${job.progress.processed}, its ${distinct.size} batches sum up to ${sum}`];
    }
    const asked = leases.get(`${job.id} ${job.run} ${job.attempt}`);
    const isStaged = own.length !== ofOwnLine.length;
    if (asked === undefined || isStaged) return [];
    const accepted = [...asked.values()].filter(({ isAccepted }) => isAccepted);
    const least = accepted.reduce((total, { processed }) => total + processed, 0);
    const most = [...asked.values()].reduce((total, { processed }) => total + processed, 0);
    return sum >= least && sum <= most
      ? []
      : [`job ${job.id}: processed is ${sum}, clients know of at least ${least} and at most ${most}`];
  });
};

/** Refused commands on a known job are on its timeline. */
export const checkRefusalsAreRecorded = (history: IndexedHistory): readonly Violation[] => {
  const recorded = new Set(
    history.history.events
      .filter(isRefusalEvent)
      .map(({ jobId, data }) =>
        JSON.stringify([jobId, data['run'], data['attempt'], data['workerId'], data['command'], data['code']]),
      ),
  );
  return history.answered.flatMap((call) => {
    const named = jobCallOf(call);
    const grant = history.grantOf(call);
    const { code } = (call.outcome.body ?? {}) as Conflict;
    if (call.outcome.status !== 409 || named === null || grant === undefined || grant.jobId !== named.jobId) return [];
    const { workerId } = grant.call.body as { workerId: string };
    const key = JSON.stringify([named.jobId, grant.run, grant.attempt, workerId, named.name, code]);
    return recorded.has(key) ? [] : [`job ${named.jobId}: the refusal ${code} is not recorded: ${show(call)}`];
  });
};

/** Whatever happens to a process or its database, no caller meets an error that the service did not expect. */
export const checkFaults = (history: IndexedHistory): readonly Violation[] =>
  history.answered
    .filter(({ outcome: { status } }) => status >= 500 && status !== 501 && status !== 503)
    .map((call) => `a fault: ${JSON.stringify(call.outcome.body)}: ${show(call)}`);

/** "Not now" says when to come again. */
export const checkRetryAfter = (history: IndexedHistory): readonly Violation[] =>
  history.answered
    .filter(({ path, outcome, isTogether }) => path.startsWith('/v1/') && outcome.status === 503 && isTogether !== true)
    .filter(({ outcome: { headers } }) => !/^[1-9]\d*$/.test(headers['retry-after'] ?? ''))
    .map((call) => `503 without Retry-After: ${show(call)}`);
