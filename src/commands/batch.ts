/**
 * What happens to one batch: load states, decide in order, append once, settle each entry on its own result.
 * An entry that cannot be settled comes back to be decided again on what was learnt.
 */
import { decide } from '../domain/decide.js';
import { Refusal } from '../domain/errors.js';
import type { Job } from '../domain/job.js';
import { stamp } from '../domain/stamp.js';
import { beside } from '../event-store/beside-table.js';
import {
  BesideRefused,
  Conflict,
  GroupAborted,
  RowLocked,
  Unavailable,
  type Appended,
  type AppendRequest,
  type AppendResult,
  type EventStore,
  type RecordedEvent,
} from '../event-store/event-store.js';
import { AT, STAGES } from '../projections/jobs/job-row.js';
import { LEASES } from '../leases/lease-rows.js';
import { ANSWERS, type AnswerBody } from './answers.js';
import type { Envelope, Group, MemberRefused, Outcome } from './envelope.js';
import { JobNotFound, LeaseUnsettled, NotOwner, PreconditionFailed, TooManyStages } from './errors.js';
import { toRequest, type DecidedJob } from './job-requests.js';
import type { JobStates, KnownJob } from './job-states.js';
import type { Contexts } from './contexts.js';
import type { Verification } from './verification.js';

/** A group in the pipeline. */
export interface Entry {
  readonly group: Group;
  readonly resolve: (outcomes: readonly (Outcome | MemberRefused)[]) => void;
  readonly reject: (error: unknown) => void;
  /** Its jobs were read from the log after it arrived: what is decided on them now may be answered. */
  verified: boolean;
  /** Times it was decided again after an append that failed. */
  tries: number;
  /** A fact that counted before. */
  repeated: boolean;
}

export interface Batch {
  readonly entries: readonly Entry[];
  readonly jobs: ReadonlySet<string>;
}

/** An entry gives up when others win this often: a livelock must show, not last. */
const MAX_TRIES = 50;
/** And sooner where the caller's lease is not to be had though the log says it is: a long reap is waited for outside. */
const MAX_LEASE_TRIES = 10;

/** What was decided for a member: events to append, in effect already, or not possible. */
type Verdict =
  | { readonly kind: 'append'; readonly decided: DecidedJob }
  | { readonly kind: 'in-effect'; readonly known: KnownJob }
  | { readonly kind: 'refused'; readonly error: Refusal | Error; readonly known: KnownJob | undefined };

interface Planned {
  readonly entry: Entry;
  readonly verdicts: readonly Verdict[];
  /** Index of the entry's first request in the call. */
  readonly first: number;
  readonly requests: number;
}

export interface BatchDependencies {
  readonly store: EventStore;
  readonly states: JobStates;
  readonly verification: Verification;
  readonly contexts: Contexts;
  /** Told of each append. */
  readonly onBatch?: ((commands: number, appendMs: number) => void) | undefined;
}

const commandsOf = (planned: readonly Planned[]): number =>
  planned.reduce((sum, { entry }) => sum + entry.group.members.length, 0);

export class BatchSteps {
  constructor(private readonly on: BatchDependencies) {}

  /** @returns entries that are to be decided again. */
  async run(batch: Batch): Promise<readonly Entry[]> {
    await this.on.states.warm(idsToLoad(batch));
    const again: Promise<Entry | undefined>[] = [];
    const requests: AppendRequest[] = [];
    const planned: Planned[] = [];
    for (const entry of batch.entries) {
      const verdicts = this.judgeAll(entry);
      if (verdicts === undefined) continue;
      if (!canAppend(entry, verdicts)) {
        again.push(this.on.verification.settle(entry, verdicts.map(toMemberVerdict)));
        continue;
      }
      const first = requests.length;
      requests.push(...toRequests(entry, verdicts, first));
      planned.push({ entry, verdicts, first, requests: requests.length - first });
    }
    const began = performance.now();
    const results =
      requests.length === 0
        ? []
        : await this.on.store.append(requests).catch((error: unknown) => {
            // The outcome is unknown: nothing that is known of these jobs may be trusted.
            for (const id of batch.jobs) this.on.states.forget(id);
            throw error;
          });
    if (requests.length > 0) this.on.onBatch?.(commandsOf(planned), performance.now() - began);
    for (const plan of planned) {
      const own = results.slice(plan.first, plan.first + plan.requests);
      // A claim goes on without those that are locked, and knows which they are.
      const isPart =
        plan.entry.group.dropRefused && own.some((result) => result.ok || result.error instanceof RowLocked);
      if (isPart || own.every((result) => result.ok)) this.succeed(plan, own);
      else again.push(this.fail(plan, own).catch((error: unknown) => rejected(plan.entry, error)));
    }
    return (await Promise.all(again)).filter((entry) => entry !== undefined);
  }

  /** A job that cannot be decided on fails its own entry, and nobody else's. */
  private judgeAll(entry: Entry): readonly Verdict[] | undefined {
    try {
      return entry.group.members.map((envelope) => this.judge(envelope, entry));
    } catch (error) {
      entry.reject(error);
      return undefined;
    }
  }

  private judge(envelope: Envelope, entry: Entry): Verdict {
    const { command, jobId, ifMatch, onlyJobsOf } = envelope;
    if (command.name === 'create') {
      const context = this.on.contexts.of(command.spec);
      const events = decide(null, command, context);
      return { kind: 'append', decided: toRequest(null, events, envelope, context) };
    }
    const known = this.on.states.get(jobId);
    if (known === undefined) return { kind: 'refused', error: new JobNotFound(jobId), known };
    const { job } = known;
    if (onlyJobsOf !== null && onlyJobsOf !== job.spec.createdBy) {
      return { kind: 'refused', error: new NotOwner(jobId), known };
    }
    if (ifMatch !== null && ifMatch !== job.revision) {
      return { kind: 'refused', error: new PreconditionFailed(ifMatch, job.revision), known };
    }
    if (entry.repeated) return { kind: 'in-effect', known };
    try {
      const context = this.on.contexts.of(job.spec);
      const events = decide(job, command, context);
      if (events.length === 0) return { kind: 'in-effect', known };
      return { kind: 'append', decided: toRequest(job, events, envelope, context) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { kind: 'refused', error, known };
    }
  }

  private succeed({ entry, verdicts }: Planned, results: readonly AppendResult[]): void {
    let next = 0;
    entry.resolve(
      verdicts.map((verdict) => {
        if (verdict.kind !== 'append') return memberRefused(verdict);
        const result = results[next++]!;
        if (result.ok) return this.outcome(verdict.decided, result);
        const { jobId } = verdict.decided.envelope;
        this.on.states.forget(jobId);
        return { jobId, refusal: result.error };
      }),
    );
  }

  private outcome({ before, after, request }: DecidedJob, result: Appended): Outcome {
    const { stream, events } = request;
    const first = result.revision - events.length + 1;
    const recorded = events.map(({ id, type, version, data, metadata }, index): RecordedEvent => {
      const position = result.positions[index]!;
      return { id, type, version, data, metadata, stream, at: result.at, position, revision: first + index };
    });
    // A fact changes no state.
    const job = after === before ? after : stamp(after, AT, result.at);
    // A state that another append has moved on meanwhile stays: `put` would take it back.
    const cached = this.on.states.get(job.id);
    if (cached?.isProven !== true || cached.job.revision <= job.revision) {
      const isOfEvents = before === null || (cached?.job === before && cached.readTo !== null);
      const last = after === before ? cached?.readTo : events.at(-1)!.id;
      this.on.states.put({ job, position: result.last, isProven: true, readTo: isOfEvents ? (last ?? null) : null });
    }
    return {
      jobId: job.id,
      status: job.status,
      run: job.run,
      attempt: job.attempt,
      revision: job.revision,
      position: result.last,
      events: events.map(({ type }) => type),
      recorded,
      job,
      replayed: false,
    };
  }

  /** Some request of the entry was not appended, so none of it was: learn why, and decide again. */
  private async fail(plan: Planned, results: readonly AppendResult[]): Promise<Entry | undefined> {
    const { entry } = plan;
    const verification = this.on.verification;
    entry.tries += 1;
    for (const [index, result] of results.entries()) {
      if (result.ok || result.error instanceof GroupAborted) continue;
      const { error } = result;
      const jobId = jobOf(entry, plan.verdicts, index);
      if (error instanceof Unavailable) this.on.states.forget(jobId);
      if (entry.tries > MAX_TRIES || !(error instanceof Conflict || error instanceof BesideRefused)) {
        entry.reject(error);
        return undefined;
      }
      if (error instanceof Conflict) await verification.refresh(jobId);
      else if (error.table === STAGES) {
        entry.reject(new TooManyStages());
        return undefined;
      } else if (error.table === ANSWERS.name) return verification.replay(entry);
      else if (error.table === LEASES) {
        if (await verification.leaseRefused(entry, jobId)) return undefined;
        if (entry.tries > MAX_LEASE_TRIES) throw new LeaseUnsettled();
        if (entry.tries > 3) await verification.repair(jobId);
      } else if (error.table === 'job_facts') {
        await verification.refresh(jobId);
        entry.repeated = true;
      } else if (entry.tries === 1) await verification.refresh(jobId);
      else await verification.repair(jobId);
      // What is refused now may be the key's own first call, taken by another process: then it is asked for.
      entry.verified = entry.group.idempotency === null;
    }
    return entry;
  }
}

/** A job whose history cannot be read fails its own entry, and nobody else's. */
const rejected = (entry: Entry, error: unknown): undefined => {
  entry.reject(error);
  return undefined;
};

const jobOf = (entry: Entry, verdicts: readonly Verdict[], index: number): string => {
  const appended = verdicts.flatMap((verdict) => (verdict.kind === 'append' ? [verdict.decided.envelope.jobId] : []));
  return appended[index] ?? entry.group.members[0]!.jobId;
};

const idsToLoad = ({ entries }: Batch): readonly string[] =>
  entries.flatMap(({ group }) =>
    group.members.flatMap(({ command, jobId }) => (command.name === 'create' ? [] : [jobId])),
  );

/** A group is appended when each member has events, or those that have none may fall out. */
const canAppend = (entry: Entry, verdicts: readonly Verdict[]): boolean =>
  entry.group.dropRefused
    ? verdicts.some((verdict) => verdict.kind === 'append')
    : verdicts.every((verdict) => verdict.kind === 'append');

const sayOf = (job: Job): Pick<Outcome, 'jobId' | 'status' | 'run' | 'attempt' | 'revision'> => ({
  jobId: job.id,
  status: job.status,
  run: job.run,
  attempt: job.attempt,
  revision: job.revision,
});

const memberRefused = (verdict: Exclude<Verdict, { kind: 'append' }>): MemberRefused =>
  verdict.kind === 'refused'
    ? { jobId: verdict.known?.job.id ?? '', refusal: verdict.error }
    : { jobId: verdict.known.job.id, refusal: new Error('in effect already') };

/** What verification needs to know of a member that is not appended. */
export type MemberVerdict =
  | { readonly kind: 'in-effect'; readonly known: KnownJob }
  | { readonly kind: 'refused'; readonly error: Error; readonly known: KnownJob | undefined };

const toMemberVerdict = (verdict: Verdict): MemberVerdict =>
  verdict.kind === 'append' ? { kind: 'refused', error: new GroupAborted(), known: undefined } : verdict;

/** The requests of an entry, as one all-or-none group when there are several, its answer beside the last. */
const toRequests = (entry: Entry, verdicts: readonly Verdict[], group: number): AppendRequest[] => {
  const decided = verdicts.flatMap((verdict) => (verdict.kind === 'append' ? [verdict.decided] : []));
  const { idempotency } = entry.group;
  const events = decided.reduce((sum, { request }) => sum + request.events.length, 0);
  const ofGroup = decided.length > 1 ? { group, loose: entry.group.dropRefused } : {};
  return decided.map(({ request, before }, index) => {
    const { stream, expected, events: own, beside: rows = [] } = request;
    const isAnswered = idempotency !== null && index === decided.length - 1;
    if (!isAnswered) return { stream, expected, events: own, beside: rows, ...ofGroup };
    const answer = beside(ANSWERS, { ...idempotency, events, body: expected === 'any' ? factBody(before) : null });
    return { stream, expected, events: own, beside: [...rows, answer], ...ofGroup };
  });
};

/** The events of a fact do not say what state the job was in. */
const factBody = (job: Job | null): string | null =>
  job === null ? null : JSON.stringify([{ ...sayOf(job), position: null }] satisfies AnswerBody);
