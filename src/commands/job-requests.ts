/** What a decision writes: the events of one stream, and the rows that go in with them. */
import { v7 } from './uuid.js';
import { directiveOf } from '../domain/directive.js';
import { isFact, type Decided } from '../domain/decide.js';
import { hasTag } from '../domain/job-chart.js';
import type { Context } from '../domain/job-commands.js';
import { toEpochMs, toInstant, type JobEvent, type JobFact, type RecordedJobEvent } from '../domain/job-events.js';
import { evolve, type Job } from '../domain/job.js';
import { stamp } from '../domain/stamp.js';
import { isBounded, nextDeadline } from '../domain/stall-rules.js';
import { jobStream, workStream, type Actor, type EventMetadata } from '../domain/streams.js';
import { versionOf } from '../domain/upcast.js';
import { inCanonicalOrder } from '../event-store/canonical-json.js';
import { beside, type Beside } from '../event-store/beside-table.js';
import type { AppendRequest, JsonObject, NewEvent } from '../event-store/event-store.js';
import { LEASES_DIRECT, LEASES_END, LEASES_PUT, LEASES_RENEW, type LeasePut } from '../leases/lease-rows.js';
import { AT, JOBS_FACTS, JOBS_INSERT, JOBS_UPDATE, jobRow } from '../projections/jobs/job-row.js';
import type { Envelope } from './envelope.js';

type Request = Omit<AppendRequest, 'group'>;

/** A worker is who holds the lease: the token that was accepted is that lease's. */
const actorOf = ({ origin }: Envelope, before: Job | null): Actor =>
  origin.actor.type === 'worker' && before?.lease != null
    ? { type: 'worker', id: before.lease.workerId }
    : origin.actor;

/** Its members are in canonical order, which spares the log to sort them: they are the same in every event. */
const metadata = (
  envelope: Envelope,
  before: Job | null,
  correlationId: string,
  { attempt, from, run, to }: Pick<EventMetadata, 'run' | 'attempt' | 'from' | 'to'>,
): JsonObject => {
  const { commandId, traceparent, reason = null, keyId = null } = envelope.origin;
  const { id, type } = actorOf(envelope, before);
  const actor = { id, type };
  const command = envelope.command.name;
  // Two literals: a spread in the middle of one costs more than all the rest of an event.
  const full: EventMetadata =
    keyId === null
      ? { actor, attempt, causationId: null, command, commandId, correlationId, from, reason, run, to, traceparent }
      : {
          actor,
          attempt,
          causationId: null,
          command,
          commandId,
          correlationId,
          from,
          keyId,
          reason,
          run,
          to,
          traceparent,
        };
  return full as unknown as JsonObject;
};

const newEvent = (type: string, data: unknown, meta: JsonObject): NewEvent => ({
  id: v7(),
  type,
  version: versionOf(type),
  data: data as JsonObject,
  metadata: meta,
});

const isWorkerCall = (envelope: Envelope): boolean =>
  'token' in envelope.command && envelope.command.token !== undefined;

/** What a transition does to the job's lease row. */
const leaseRows = (
  before: Job | null,
  after: Job,
  events: readonly JobEvent[],
  envelope: Envelope,
  context: Context,
): Beside[] => {
  const deadline = deadlineOf(after, events, context);
  const place = { jobId: after.id, run: after.run, attempt: after.attempt };
  if (after.lease !== null) {
    const direct = beside(LEASES_DIRECT, { jobId: after.id, directive: directiveOf(after), deadlineAt: deadline });
    if (before?.lease == null) {
      const put = beside(LEASES_PUT, claimedLease(after, events, deadline));
      return after.held ? [put, direct] : [put];
    }
    return isWorkerCall(envelope) ? [beside(LEASES_RENEW, { ...place, leaseMs: envelope.leaseMs })] : [direct];
  }
  const beats = envelope.fenceBeats;
  const end = beside(LEASES_END, { jobId: after.id, beats });
  if (deadline !== null) {
    const row: LeasePut = { ...place, workerId: null, leaseMs: null, expiresAt: null, deadlineAt: deadline };
    // What was judged on the lease (a held job, whose worker is gone) ends that lease, if it did not move.
    return beats === null ? [beside(LEASES_PUT, row)] : [end, beside(LEASES_PUT, row)];
  }
  const hadRow = before !== null && hasTag(before.status, 'reapable');
  return hadRow ? [end] : [];
};

/** Of a job whose times are not recorded yet: as if they were now. */
const deadlineOf = (after: Job, events: readonly JobEvent[], { now, policy }: Context): number | null => {
  if (!isBounded(after.status)) return null;
  return nextDeadline(stamp(after, AT, toInstant(now)), clocksAfter(after, events, now), policy)?.at ?? null;
};

const claimedLease = (after: Job, events: readonly JobEvent[], deadlineAt: number | null): LeasePut => {
  const claim = events.find((event) => event.type === 'JobClaimed');
  return {
    jobId: after.id,
    run: after.run,
    attempt: after.attempt,
    workerId: after.lease?.workerId ?? null,
    leaseMs: after.lease?.leaseMs ?? null,
    expiresAt: claim === undefined ? null : toEpochMs(claim.data.leaseExpiresAt),
    deadlineAt,
  };
};

/** The clocks of a job just moved: a fresh lease; for the rest only what the state holds matters. */
const clocksAfter = (after: Job, events: readonly JobEvent[], now: number) => {
  const claimed = events.some((event) => event.type === 'JobClaimed');
  return {
    // An older lease keeps its own deadline: only a nearer one is taken over.
    leaseExpiresAt: after.lease === null ? null : claimed ? now + after.lease.leaseMs : null,
    lastBeatAt: null,
    lastActivityAt: now,
  };
};

/** A decision on a job, ready to be appended. */
export interface DecidedJob {
  readonly envelope: Envelope;
  readonly before: Job | null;
  /** The job after it, `AT` standing for the time at which its events will be recorded. */
  readonly after: Job;
  readonly request: Request;
}

const factRequest = (job: Job, facts: readonly JobFact[], envelope: Envelope): Request => {
  const place = { run: job.run, attempt: job.attempt, from: null, to: null };
  const correlationId = envelope.origin.correlationId ?? job.spec.correlationId;
  const owner = { jobId: job.id, run: job.run, attempt: job.attempt };
  return {
    stream: workStream(job.id),
    expected: 'any',
    events: facts.map((fact) => newEvent(fact.type, fact.data, metadata(envelope, job, correlationId, place))),
    beside: [
      ...facts.map((fact, index) => beside(JOBS_FACTS, { ...owner, revision: job.revision, fact }, index)),
      beside(LEASES_RENEW, { ...owner, leaseMs: envelope.leaseMs }),
    ],
  };
};

const transitionRequest = (
  before: Job | null,
  decided: readonly JobEvent[],
  envelope: Envelope,
  context: Context,
): Pick<DecidedJob, 'after' | 'request'> => {
  // As the log gives them back: what is made of them now is what a replay makes of them, to the byte.
  const events = decided.map(({ type, data }) => ({ type, data: inCanonicalOrder(data) }) as JobEvent);
  let after = before;
  const command = envelope.command.name;
  const recorded = events.map((event) => {
    const from = after?.status ?? null;
    after = evolve(envelope.jobId, after, { type: event.type, data: event.data, at: AT, command } as RecordedJobEvent);
    const { run, attempt, status, spec } = after;
    const correlationId = envelope.origin.correlationId ?? spec.correlationId;
    return newEvent(
      event.type,
      event.data,
      metadata(envelope, before, correlationId, { run, attempt, from, to: status }),
    );
  });
  if (after === null) throw new Error('a decision without events is not appended');
  const row = jobRow(after, events);
  const request: Request = {
    stream: jobStream(envelope.jobId),
    expected: before === null ? 'noStream' : before.revision,
    events: recorded,
    beside: [
      before === null ? beside(JOBS_INSERT, row) : beside(JOBS_UPDATE, row),
      ...leaseRows(before, after, events, envelope, context),
    ],
  };
  return { after, request };
};

/** @throws BrokenHistory when the chart does not allow an event: a defect, caught before it is written. */
export const toRequest = (
  before: Job | null,
  events: readonly Decided[],
  envelope: Envelope,
  context: Context,
): DecidedJob => {
  const facts = events.filter(isFact);
  if (before !== null && facts.length > 0)
    return { envelope, before, after: before, request: factRequest(before, facts, envelope) };
  const transitions = events.filter((event): event is JobEvent => !isFact(event));
  return { envelope, before, ...transitionRequest(before, transitions, envelope, context) };
};
