/** What reads showed: never older than what was known, and exactly a state that the log has. */
import { isDeepStrictEqual } from 'node:util';
import type { CommandAnswer, Counters, Job, LedgerEvent, StatusCounts } from '../../../src/api/contract.js';
import type { StoredJob } from '../../../src/projections/jobs/stored-job.js';
import {
  type AnsweredCall,
  CLAIMS,
  type IndexedHistory,
  isRefusalEvent,
  isReplayed,
  isSuccess,
  jobCallOf,
  show,
  type Violation,
} from './history.js';

/** A job as somebody was shown it. */
interface Sight {
  readonly call: AnsweredCall;
  readonly job: Job;
}

const isJob = (value: unknown): value is Job =>
  typeof value === 'object' && value !== null && 'progress' in value && 'revision' in value && 'policy' in value;

/** Jobs that a read of the present showed. */
const sightsOf = (call: AnsweredCall): readonly Sight[] => {
  if (call.method !== 'GET' || !isSuccess(call) || call.path.includes('asOf=')) return [];
  const { body } = call.outcome;
  const items = isJob(body) ? [body] : ((body as { items?: readonly unknown[] } | null)?.items ?? []);
  return items.filter(isJob).map((job) => ({ call, job }));
};

/** What the fold of the log says of a job, in the names of the wire. */
const expectedView = ({ job, values, progress, ...stored }: StoredJob): Partial<Job> => ({
  ...{ status: job.status, statusSince: job.statusSince, priority: job.priority, availableAt: job.availableAt },
  ...{ run: job.run, attempt: job.attempt, failedAttempts: job.failedAttempts, throttles: job.throttles },
  ...{ lostLeases: job.lostLeases, error: job.error, failures: job.failures, deadLettered: job.deadLettered },
  ...{ createdAt: job.createdAt, queuedAt: job.queuedAt, startedAt: job.startedAt, finishedAt: job.finishedAt },
  ...{ firstStartedAt: job.firstStartedAt, waiting: job.waiting, payload: values.payload, result: values.result },
  ...{ lastEventAt: stored.lastEventAt, lastActivityAt: stored.lastActivityAt },
  ...{ revision: job.revision, position: stored.position },
});

/** Every job that was shown, in a list or alone, is what the log says it was at the position it names. */
export const checkSights = (history: IndexedHistory): readonly Violation[] =>
  history.answered.flatMap(sightsOf).flatMap(({ call, job }) => {
    const stored = history.jobs.get(job.id)?.atPosition.get(job.position);
    if (stored === undefined) {
      return [`job ${job.id}: shown at position ${job.position}, which is none of its events: ${show(call)}`];
    }
    const { processed, failed, skipped, total } = stored.progress;
    const expected = Object.entries(expectedView(stored));
    const shown = { processed: job.progress.processed, failed: job.progress.failed, skipped: job.progress.skipped };
    const differing = expected.filter(([field, value]) => !isDeepStrictEqual(job[field as keyof Job], value));
    const isCounted = isDeepStrictEqual({ ...shown, total: job.progress.total }, { processed, failed, skipped, total });
    return [
      ...differing.map(
        ([field, value]) =>
          `job ${job.id}: ${field} is shown as ${JSON.stringify(job[field as keyof Job])} at position ${job.position}, the log says ${JSON.stringify(value)}: ${show(call)}`,
      ),
      ...(isCounted
        ? []
        : [
            `job ${job.id}: progress is shown as ${JSON.stringify(shown)} at position ${job.position}, the log says ${JSON.stringify({ processed, failed, skipped, total })}: ${show(call)}`,
          ]),
    ];
  });

/** The most that was known of something at a tick. */
interface Known {
  readonly tick: number;
  readonly value: bigint;
  readonly call: AnsweredCall;
}

/** Rising knowledge by tick: what anybody had been told when. */
class Knowledge {
  private readonly steps: Known[] = [];

  constructor(told: readonly Known[]) {
    for (const known of [...told].sort((a, b) => a.tick - b.tick)) {
      const last = this.steps.at(-1);
      if (last === undefined || known.value > last.value) this.steps.push(known);
    }
  }

  /** The most that was told before the tick. */
  before(tick: number): Known | undefined {
    let low = 0;
    let high = this.steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.steps[middle]!.tick < tick) low = middle + 1;
      else high = middle;
    }
    return this.steps[low - 1];
  }
}

interface Told {
  readonly jobId: string;
  readonly revision: number;
  readonly position: string;
}

/** Where jobs stood at least, by an answer. */
const toldBy = (call: AnsweredCall): readonly Told[] => {
  if (!isSuccess(call)) return [];
  if (call.path === CLAIMS) {
    const { jobs } = call.outcome.body as { jobs: readonly { job: Job }[] };
    return jobs.map(({ job: { id, revision, position } }) => ({ jobId: id, revision, position }));
  }
  if (call.method === 'GET') {
    return sightsOf(call).map(({ job: { id, revision, position } }) => ({ jobId: id, revision, position }));
  }
  const body = call.outcome.body as (Partial<CommandAnswer> & { items?: readonly Partial<CommandAnswer>[] }) | null;
  return (body?.items ?? [body ?? {}]).flatMap(({ jobId, revision, position }) =>
    jobId === undefined || revision === undefined || position === undefined ? [] : [{ jobId, revision, position }],
  );
};

interface Floors {
  readonly revisions: ReadonlyMap<string, Knowledge>;
  readonly positions: ReadonlyMap<string, Knowledge>;
  readonly log: Knowledge;
}

const note = (known: Map<string, Known[]>, jobId: string, told: Known): void => {
  const of = known.get(jobId);
  if (of === undefined) known.set(jobId, [told]);
  else of.push(told);
};

const floorsOf = (history: IndexedHistory): Floors => {
  const revisions = new Map<string, Known[]>();
  const positions = new Map<string, Known[]>();
  for (const call of history.answered) {
    for (const { jobId, revision, position } of toldBy(call)) {
      const known = { tick: call.returnedAt, call };
      note(revisions, jobId, { ...known, value: BigInt(revision) });
      note(positions, jobId, { ...known, value: BigInt(position) });
    }
  }
  const knowledge = (all: Map<string, Known[]>) => new Map([...all].map(([id, told]) => [id, new Knowledge(told)]));
  return {
    revisions: knowledge(revisions),
    positions: knowledge(positions),
    log: new Knowledge([...positions.values()].flat()),
  };
};

/** Where the call says that the job stands now, when it does: reads, refusals and answers without events. */
const claimedNow = (call: AnsweredCall): readonly Told[] => {
  if (call.method === 'GET') return toldBy(call);
  const named = jobCallOf(call);
  if (named === null) return [];
  if (call.outcome.status === 409) {
    const { revision } = call.outcome.body as { revision?: number };
    return revision === undefined ? [] : [{ jobId: named.jobId, revision, position: '' }];
  }
  const { events } = (call.outcome.body ?? {}) as { events?: readonly string[] };
  return events?.length === 0 && !isReplayed(call) ? toldBy(call) : [];
};

/** No read, refusal or "already so" is older than what anybody had been told before it was asked. */
export const checkFreshness = (history: IndexedHistory): readonly Violation[] => {
  const floors = floorsOf(history);
  return history.answered.flatMap((call) => {
    const stale = claimedNow(call).flatMap(({ jobId, revision, position }) => {
      const known = floors.revisions.get(jobId)?.before(call.invokedAt);
      const place = floors.positions.get(jobId)?.before(call.invokedAt);
      if (known !== undefined && BigInt(revision) < known.value) {
        return [`job ${jobId}: revision ${revision} after ${known.value} was told: ${show(known.call)}, ${show(call)}`];
      }
      return position !== '' && place !== undefined && BigInt(position) < place.value
        ? [`job ${jobId}: position ${position} after ${place.value} was told: ${show(place.call)}, ${show(call)}`]
        : [];
    });
    return [...stale, ...checkLogRead(call, floors), ...checkMissing(call, floors)];
  });
};

const FRESH_PATH = /^\/v1\/(jobs|events)(\/|\?|$)/;

/** Reads of jobs and of the log say a position that nobody knew more than, and reach it. */
const checkLogRead = (call: AnsweredCall, floors: Floors): readonly Violation[] => {
  if (call.method !== 'GET' || !isSuccess(call) || !FRESH_PATH.test(call.path)) return [];
  const known = floors.log.before(call.invokedAt);
  const stamp = call.outcome.headers['x-position'];
  if (typeof stamp !== 'string') return [`X-Position is missing: ${show(call)}`];
  if (known !== undefined && BigInt(stamp) < known.value) {
    return [`X-Position ${stamp} after ${known.value} was told: ${show(known.call)}, ${show(call)}`];
  }
  const { items, nextCursor } = call.outcome.body as { items?: readonly LedgerEvent[]; nextCursor?: string | null };
  const isTail = call.path.startsWith('/v1/events') && !call.path.includes('types=') && nextCursor === null;
  const last = items?.at(-1)?.position;
  return isTail && last !== undefined && BigInt(last) < BigInt(stamp)
    ? [`the log was read up to position ${last} only, X-Position is ${stamp}: ${show(call)}`]
    : [];
};

/** A job that was told of is there. */
const checkMissing = (call: AnsweredCall, floors: Floors): readonly Violation[] => {
  const named = jobCallOf(call);
  if (named === null || call.outcome.status !== 404) return [];
  const known = floors.revisions.get(named.jobId)?.before(call.invokedAt);
  return known === undefined ? [] : [`job ${named.jobId}: not found after ${show(known.call)}: ${show(call)}`];
};

/** `X-Position: P` is no empty word: the job is shown with whatever happened to it up to P. */
export const checkStamps = (history: IndexedHistory): readonly Violation[] =>
  history.answered.flatMap(sightsOf).flatMap(({ call, job }) => {
    const stamp = call.outcome.headers['x-position'];
    if (typeof stamp !== 'string') return [];
    const events = history.jobs.get(job.id)?.events ?? [];
    const missed = events.find(
      ({ position }) => BigInt(position) > BigInt(job.position) && BigInt(position) <= BigInt(stamp),
    );
    return missed === undefined
      ? []
      : [
          `job ${job.id}: shown at position ${job.position} with X-Position ${stamp}, without ${missed.type} at position ${missed.position}: ${show(call)}`,
        ];
  });

/** What is appended after something was told of stands after it. */
export const checkRealTime = (history: IndexedHistory): readonly Violation[] => {
  const { log } = floorsOf(history);
  return [...history.byKey].flatMap(([key, calls]) => {
    const first = calls[0]!;
    const known = log.before(first.invokedAt);
    const early = (history.eventsOfKey.get(key) ?? [])[0];
    return early !== undefined && known !== undefined && BigInt(early.position) <= known.value
      ? [
          `job ${early.jobId}: ${early.type} at position ${early.position}, though position ${known.value} was told before it was asked: ${show(known.call)}, ${show(first)}`,
        ]
      : [];
  });
};

/** At rest every process shows every job of the log as its last event left it, and no other. */
export const checkRest = (history: IndexedHistory): readonly Violation[] => {
  const shown = new Set(history.history.jobs.map(({ id }) => id));
  return [
    ...[...history.jobs.keys()].filter((id) => !shown.has(id)).map((id) => `job ${id}: in the log, and in no list`),
    ...history.history.jobs.flatMap((job) => {
      const last = history.jobs.get(job.id)?.events.at(-1);
      return last?.position === job.position
        ? []
        : [`job ${job.id}: shown at rest at position ${job.position}, its last event is at ${last?.position}`];
    }),
  ];
};

const countBy = (jobs: readonly Job[], keyOf: (job: Job) => string): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const job of jobs) counts[keyOf(job)] = (counts[keyOf(job)] ?? 0) + 1;
  return counts;
};

const withoutZeros = (counts: StatusCounts): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));

const nested = (jobs: readonly Job[], keyOf: (job: Job) => string): Record<string, Record<string, number>> =>
  Object.fromEntries(
    [...new Set(jobs.map(keyOf))].map((key) => [
      key,
      countBy(
        jobs.filter((job) => keyOf(job) === key),
        ({ status }) => status,
      ),
    ]),
  );

const withoutEmpty = (counts: Readonly<Record<string, StatusCounts>>): Record<string, Record<string, number>> =>
  Object.fromEntries(
    Object.entries(counts)
      .map(([key, byStatus]) => [key, withoutZeros(byStatus)] as const)
      .filter(([, byStatus]) => Object.keys(byStatus).length > 0),
  );

const sumOf = (some: StatusCounts, more: StatusCounts): Record<string, number> => {
  const sums: Record<string, number> = { ...some };
  for (const [status, count] of Object.entries(more)) sums[status] = (sums[status] ?? 0) + count;
  return withoutZeros(sums);
};

const sumOfEach = (
  some: Readonly<Record<string, StatusCounts>>,
  more: Readonly<Record<string, StatusCounts>>,
): Record<string, Record<string, number>> =>
  withoutEmpty(
    Object.fromEntries(
      [...new Set([...Object.keys(some), ...Object.keys(more)])].map((key) => [
        key,
        sumOf(some[key] ?? {}, more[key] ?? {}),
      ]),
    ),
  );

/** At rest the counters are the sums over the jobs, and what they were before. */
export const checkCounters = (history: IndexedHistory): readonly Violation[] => {
  const { jobs: seen, counters, events, since } = history.history;
  const jobs = [...new Map(seen.map((job) => [job.id, job])).values()];
  const before = since?.counters;
  const expected = {
    total: jobs.length + (before?.total ?? 0),
    byStatus: sumOf(
      before?.byStatus ?? {},
      countBy(jobs, ({ status }) => status),
    ),
    byQueue: sumOfEach(
      before?.byQueue ?? {},
      nested(jobs, ({ queue }) => queue),
    ),
    byType: sumOfEach(
      before?.byType ?? {},
      nested(jobs, ({ type }) => type),
    ),
    events: events.filter((event) => !isRefusalEvent(event)).length + (before?.events ?? 0),
  };
  const shownBy = ({ total, byStatus, byQueue, byType, events: counted }: Counters) => ({
    ...{ total, byStatus: withoutZeros(byStatus), events: counted },
    ...{ byQueue: withoutEmpty(byQueue), byType: withoutEmpty(byType) },
  });
  return counters.flatMap((shown) =>
    Object.entries(shownBy(shown))
      .filter(([field, value]) => !isDeepStrictEqual(value, expected[field as keyof typeof expected]))
      .map(
        ([field, value]) =>
          `counters: ${field} is ${JSON.stringify(value)} at position ${shown.position}, the jobs sum up to ${JSON.stringify(expected[field as keyof typeof expected])}`,
      ),
  );
};
