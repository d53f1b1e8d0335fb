/** What callers ask of the ledger: one method a kind of call, over the pipeline, claims and heartbeats. */
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { StaleLease } from '../domain/errors.js';
import type { JobCommand, Token } from '../domain/job-commands.js';
import type { JobSpec } from '../domain/job-events.js';
import { Unavailable, type EventStore } from '../event-store/event-store.js';
import { v7 } from './uuid.js';
import { directiveOf } from '../domain/directive.js';
import type { Leases, Renewed } from '../leases/leases.js';
import { replayJob } from '../projections/jobs/job-history.js';
import { firstAnswer, KeyUnsettled, type AnswerBody, type Answers } from './answers.js';
import type { ClaimedJob, ClaimRequest } from './claim-request.js';
import type { Claims } from './claims.js';
import {
  Refused,
  UNCONDITIONAL,
  type BeatLease,
  type Envelope,
  type Group,
  type Idempotency,
  type Origin,
  type Outcome,
} from './envelope.js';
import { IdempotencyKeyReused, JobNotFound, PreconditionFailed } from './errors.js';
import type { Heartbeats } from './heartbeats.js';
import type { JobLogs, LogLine } from './job-logs.js';
import type { JobStates } from './job-states.js';
import type { LostLeases } from './lease-seed.js';
import type { Pipeline } from './pipeline.js';
import type { Refusals } from './refusals.js';

/** What comes with every call. */
export interface Call {
  readonly origin: Origin;
  readonly idempotency: Idempotency | null;
  /** `If-Match`. */
  readonly ifMatch: number | null;
  /** Whose jobs alone the caller may change; null: anybody's. */
  readonly onlyJobsOf: string | null;
  /** Size of the request, for the bound on what waits. */
  readonly bytes: number;
}

export type HeartbeatOutcome = Outcome & BeatLease;

type Heartbeat = Extract<JobCommand, { name: 'heartbeat' }>;

export interface LedgerDependencies {
  readonly store: EventStore;
  readonly states: JobStates;
  readonly pipeline: Pipeline;
  readonly claims: Claims;
  /** Throws while there is nothing to search for jobs to claim; absent: there always is. */
  readonly requireRows?: () => Promise<void>;
  readonly heartbeats: Heartbeats;
  readonly leases: Leases;
  readonly lostLeases: LostLeases;
  readonly answers: Answers;
  readonly refusals: Refusals;
  readonly logs: JobLogs;
  /** A command that was not appended after this long is refused, ms. */
  readonly commandTimeoutMs: number;
}

export class Ledger {
  /** First calls of keys that are in flight here: a second one waits for the first. */
  private readonly inFlight = new Map<string, { readonly fingerprint: Buffer; readonly done: Promise<unknown> }>();

  constructor(private readonly on: LedgerDependencies) {}

  /** Creates jobs, all or none, in order. */
  async create(
    specs: readonly { readonly spec: JobSpec; readonly reason: string | null }[],
    call: Call,
  ): Promise<readonly Outcome[]> {
    const members = specs.map<Envelope>(({ spec, reason }) => ({
      jobId: v7(),
      command: { name: 'create', spec, reason },
      origin: call.origin,
      ...UNCONDITIONAL,
    }));
    return this.once(call.idempotency, () => this.submit(members, call));
  }

  /** Any command on one job. */
  async execute(
    jobId: string,
    command: JobCommand,
    call: Call,
    leaseMs: number | null = null,
    renew?: Group['renew'],
  ): Promise<Outcome> {
    const envelope: Envelope = {
      jobId,
      command,
      origin: call.origin,
      ...UNCONDITIONAL,
      ifMatch: call.ifMatch,
      onlyJobsOf: call.onlyJobsOf,
      leaseMs,
    };
    return this.once(call.idempotency, async () => (await this.submit([envelope], call, renew))[0]!);
  }

  /**
   * Claims; the same key again gives the same leases, an empty claim is not kept.
   * @throws RowsNotMade
   */
  claim(request: ClaimRequest): Promise<readonly ClaimedJob[]> {
    const { claims, requireRows } = this.on;
    return this.once(request.idempotency, async () => {
      await requireRows?.();
      return claims.claim(request);
    });
  }

  /**
   * Renews the lease; a checkpoint or state that changed is an event, a bare beat is none. What is more than bare is
   * decided first: a refused call renews nothing, and an event renews with its own append.
   */
  async heartbeat(jobId: string, command: Heartbeat, call: Call, leaseMs: number | null): Promise<HeartbeatOutcome> {
    const { token } = command;
    if (token !== null && isBare(command, call)) {
      const renewed = await this.renew(jobId, token, leaseMs);
      if (renewed !== null) return beatOutcome(jobId, token, renewed);
    }
    const renew = token === null ? undefined : () => this.renewInEffect(jobId, token, leaseMs);
    const outcome = await this.execute(jobId, command, call, leaseMs, renew);
    return { ...outcome, ...(await this.leaseAfter(outcome, leaseMs)) };
  }

  /** The log says that the lease is the caller's: without its row it was lost, unless the attempt has just ended. */
  private async renewInEffect(
    jobId: string,
    token: NonNullable<Token>,
    leaseMs: number | null,
  ): Promise<BeatLease | null> {
    const renewed = await this.renew(jobId, token, leaseMs);
    if (renewed !== null) return leaseOf(renewed);
    await this.on.lostLeases.seed(jobId);
    const again = await this.renew(jobId, token, leaseMs);
    return again === null ? null : leaseOf(again);
  }

  /** Keeps log lines of a job, and says where it stands. A token that is not its current attempt's is refused. */
  log(jobId: string, token: Token | undefined, lines: readonly LogLine[], call: Call): Promise<Outcome> {
    const { idempotency } = call;
    return this.once(idempotency, async () => {
      const written = (await this.firstLogAnswer(call)) ?? (await this.writeLog(jobId, token, lines, call));
      const answer = written ?? (await this.firstLogAnswer(call));
      if (answer === undefined) throw new Unavailable('the key of the lines was taken, and is gone');
      return answer;
    });
  }

  private async firstLogAnswer({ idempotency, origin }: Call): Promise<Outcome | undefined> {
    if (idempotency === null) return undefined;
    return (await firstAnswer(this.on.store, this.on.answers, idempotency, origin.commandId))?.[0];
  }

  /** Undefined when the key was taken meanwhile. */
  private async writeLog(
    jobId: string,
    token: Token | undefined,
    lines: readonly LogLine[],
    { origin, ifMatch, idempotency }: Call,
  ): Promise<Outcome | undefined> {
    const known = await this.on.states.reload(jobId);
    if (known === undefined) throw new JobNotFound(jobId);
    const { job, position } = known;
    if (ifMatch !== null && ifMatch !== job.revision) throw new PreconditionFailed(ifMatch, job.revision);
    if (token !== undefined && (token === null || token.run !== job.run || token.attempt !== job.attempt)) {
      const refusal = new StaleLease('logs', job, token);
      await this.on.refusals.recordCall({ jobId, name: 'logs', token, origin }, refusal, job);
      throw new Refused(refusal, job);
    }
    const workerId = token == null ? null : await this.on.refusals.workerOf(jobId, token);
    const writer = { run: token?.run ?? null, attempt: token?.attempt ?? null, workerId };
    const { status, run, attempt, revision } = job;
    const standing = { jobId, status, run, attempt, revision, position };
    const body = JSON.stringify([standing] satisfies AnswerBody);
    const isWritten = await this.on.logs.write(jobId, writer, lines, idempotency && { idempotency, body });
    return isWritten ? { ...standing, events: [], recorded: [], job, replayed: false } : undefined;
  }

  private renew(jobId: string, token: NonNullable<Token>, leaseMs: number | null): Promise<Renewed | null> {
    return this.on.heartbeats.beat({ jobId, ...token, leaseMs });
  }

  /** What a heartbeat answers of its lease, now or again: an append renewed it to its own recorded time. */
  private async leaseAfter(outcome: Outcome, leaseMs: number | null): Promise<BeatLease> {
    if (outcome.lease !== undefined) return outcome.lease;
    const at = outcome.recorded.at(-1)?.at;
    // A repeated answer: the job as it was then.
    const job = outcome.job ?? (await replayJob(this.on.store, outcome.jobId, outcome.position)).stored?.job;
    if (at !== undefined && job?.lease != null) {
      return { leaseExpiresAt: Date.parse(at) + (leaseMs ?? job.lease.leaseMs), directive: directiveOf(job) };
    }
    const row = (await this.on.leases.find([outcome.jobId])).get(outcome.jobId);
    return { leaseExpiresAt: row?.expiresAt ?? 0, directive: row?.directive ?? 'continue' };
  }

  private async submit(members: readonly Envelope[], call: Call, renew?: Group['renew']): Promise<readonly Outcome[]> {
    const deadline = performance.now() + this.on.commandTimeoutMs;
    const group: Group = {
      ...{ members, idempotency: call.idempotency, dropRefused: false, deadline },
      ...(renew === undefined ? {} : { renew }),
    };
    return (await this.on.pipeline.submit(group, call.bytes)) as readonly Outcome[];
  }

  /**
   * Runs what no event of its own tells of (a sweep), and keeps its whole answer under the key.
   * @throws IdempotencyKeyReused when the key was another request's
   */
  async remember<Answer>(
    idempotency: Idempotency | null,
    run: () => Promise<Answer>,
  ): Promise<{ readonly answer: Answer; readonly replayed: boolean }> {
    if (idempotency === null) return { answer: await run(), replayed: false };
    return this.once(idempotency, async () => {
      const first = await this.remembered<Answer>(idempotency);
      if (first !== undefined) return { answer: first, replayed: true };
      const answer = await run();
      const isFirst = await this.on.answers.keep(idempotency, JSON.stringify(answer));
      const other = isFirst ? undefined : await this.remembered<Answer>(idempotency);
      return { answer: other ?? answer, replayed: other !== undefined };
    });
  }

  private async remembered<Answer>({ key, fingerprint }: Idempotency): Promise<Answer | undefined> {
    const stored = await this.on.answers.find(key);
    if (stored === undefined) return undefined;
    if (!stored.fingerprint.equals(fingerprint)) throw new IdempotencyKeyReused();
    return JSON.parse(stored.body ?? 'null') as Answer;
  }

  /** A second call of a key that is in flight here waits, then asks again: the first answer is stored by then. */
  private async once<Answer>(idempotency: Idempotency | null, run: () => Promise<Answer>): Promise<Answer> {
    if (idempotency === null) return run();
    const key = idempotency.key.toString('base64');
    for (;;) {
      const first = this.inFlight.get(key);
      if (first === undefined) break;
      if (!first.fingerprint.equals(idempotency.fingerprint)) throw new IdempotencyKeyReused();
      await first.done.catch(() => undefined);
    }
    const done = whenSettled(run);
    this.inFlight.set(key, { fingerprint: idempotency.fingerprint, done });
    return done.finally(() => this.inFlight.delete(key));
  }
}

/** Only a sign of life: it asks for nothing that the log would have to know. */
const isBare = ({ checkpoint, state }: Heartbeat, { idempotency, ifMatch }: Call): boolean =>
  checkpoint === null && state === null && idempotency === null && ifMatch === null;

/** How long a repeated key waits for its first call: longer than an append takes (3 s), shorter than a client waits. */
const SETTLE_MS = 3_500;
const LOOK_MS = 50;

/** Waits here, not in the pipeline, where a batch would wait with it. */
const whenSettled = async <Answer>(run: () => Promise<Answer>): Promise<Answer> => {
  for (const until = performance.now() + SETTLE_MS; ;) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof KeyUnsettled) || performance.now() > until) throw error;
      await pause(LOOK_MS);
    }
  }
};

/** What an accepted beat answers: it is no event. */
const beatOutcome = (jobId: string, token: NonNullable<Token>, renewed: Renewed): HeartbeatOutcome => ({
  jobId,
  status: renewed.status,
  ...token,
  revision: renewed.revision,
  position: renewed.position,
  events: [],
  recorded: [],
  replayed: false,
  ...leaseOf(renewed),
});

const leaseOf = ({ expiresAt, directive }: Renewed): BeatLease => ({ leaseExpiresAt: expiresAt, directive });
