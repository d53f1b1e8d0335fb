/**
 * Calls of clients and workers, and what holds for every answer: it is in the log once, a repeated key gives the same
 * one, and a refusal or a no-op is what the job's state allowed at some instant between the call and its answer.
 */
import { Refused, type Idempotency, type Origin, type Outcome } from '../../src/commands/envelope.js';
import {
  DeadlineExceeded,
  IdempotencyKeyReused,
  JobNotFound,
  Overloaded,
  PreconditionFailed,
} from '../../src/commands/errors.js';
import type { ClaimedJob, ClaimRequest } from '../../src/commands/claim-request.js';
import type { Call, HeartbeatOutcome } from '../../src/commands/ledger.js';
import { v7 } from '../../src/commands/uuid.js';
import { Refusal } from '../../src/domain/errors.js';
import type { CommandOf, JobCommand } from '../../src/domain/job-commands.js';
import type { JobSpec } from '../../src/domain/job-events.js';
import type { Job } from '../../src/domain/job.js';
import { Unavailable } from '../../src/event-store/event-store.js';
import { isDeepStrictEqual } from 'node:util';
import { Disconnected } from './network.js';
import type { SimulatedNode } from './node.js';
import type { Process } from './scheduler.js';
import { Witness } from './witness.js';
import type { World } from './world.js';

/** What a caller hears. `unknown`: no answer, or one that says that it may have happened. */
export type Heard<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'refused'; readonly error: Error }
  | { readonly kind: 'not done'; readonly error: Error }
  | { readonly kind: 'unknown' };

/** What comes with a call here. */
export interface With {
  /** Idempotency key. */
  readonly key?: string;
  /** Makes it another request than others of the same key. */
  readonly body?: string;
  readonly ifMatch?: number;
  /** For this renewal only, ms. */
  readonly leaseMs?: number;
}

const origin = (process: Process, type: Origin['actor']['type'], commandId: string): Origin => ({
  actor: { type, id: process.name },
  commandId,
  correlationId: null,
  traceparent: null,
});

/** A key is one request's, unless a test says otherwise. */
const idempotencyOf = (key: string | undefined, body = ''): Idempotency | null =>
  key === undefined ? null : { key: Buffer.from(key), fingerprint: Buffer.from(`of ${key} ${body}`) };

export const spec = (over: Partial<JobSpec> = {}): JobSpec => ({
  ...{ type: 'report', queue: 'default', payload: { n: 1 }, priority: 0, tags: [], autostart: true },
  ...{ availableAt: null, maxAttempts: null, total: null, policy: null, preset: null },
  ...{ correlationId: 'corr', createdBy: 'anonymous' },
  ...over,
});

const said = ({ jobId, status, run, attempt, revision, position, events }: Outcome) => ({
  ...{ jobId, status, run, attempt, revision, position, events },
});

/** A call under way, as its answer is judged. */
interface Made {
  readonly name: string;
  readonly commandId: string;
  readonly key: string | undefined;
  /** Events in the log when the node took it. */
  from: number;
}

export class Caller {
  /** First answers by key. */
  private readonly answers = new Map<string, unknown>();
  /** Calls that a living node owes an answer. */
  readonly open = new Set<Made>();

  constructor(private readonly world: World) {}

  private get witness(): Witness {
    return this.world.witness;
  }

  async create(
    from: Process,
    node: SimulatedNode,
    specs: readonly JobSpec[],
    { key }: With = {},
  ): Promise<Heard<readonly Outcome[]>> {
    const made = this.make('create', key);
    const call = this.call(from, 'client', made, {});
    return this.hear(from, node, made, `create ${specs.length}${keyed(key)}`, async () => {
      const outcomes = await node.ledger.create(
        specs.map((one) => ({ spec: one, reason: null })),
        call,
      );
      if (outcomes.length !== specs.length) this.witness.violated('a create answered another number of jobs');
      for (const outcome of outcomes) this.checkOutcome(made, outcome, null);
      this.checkKey(made, outcomes.map(said));
      return outcomes;
    });
  }

  async claim(
    from: Process,
    node: SimulatedNode,
    over: Partial<ClaimRequest> & With = {},
  ): Promise<Heard<readonly ClaimedJob[]>> {
    const { key, ...request } = over;
    const made = this.make('claim', key);
    const call = this.call(from, 'worker', made, {});
    return this.hear(from, node, made, `claim${keyed(key)}`, async () => {
      const claimed = await node.ledger.claim({
        ...{ workerId: from.name, filter: {}, max: 1, waitMs: 0, start: true },
        ...{ origin: call.origin, idempotency: call.idempotency, signal: new AbortController().signal },
        ...request,
        leaseMs: request.leaseMs ?? null,
      });
      for (const { outcome, stored } of claimed) {
        this.checkOutcome(made, outcome, null);
        const known = this.witness.at(outcome.jobId, Number(outcome.position)).stored;
        if (!isDeepStrictEqual(stored, known) && !this.witness.tainted.has(outcome.jobId)) {
          this.witness.violated(`a claim handed out ${this.witness.name(outcome.jobId)} as it never was`);
        }
      }
      if (claimed.length > 0) {
        this.checkKey(
          made,
          claimed.map(({ outcome }) => said(outcome)),
        );
      }
      return claimed;
    });
  }

  async execute(
    from: Process,
    node: SimulatedNode,
    jobId: string,
    command: JobCommand,
    over: With = {},
  ): Promise<Heard<Outcome>> {
    const made = this.make(command.name, over.key);
    const isWorker = 'token' in command && command.token !== undefined;
    const call = this.call(from, isWorker ? 'worker' : 'client', made, over);
    if (isWorker) this.witness.expectToken(made.commandId, command.token);
    const attempt = isWorker ? ` ${command.token?.run}.${command.token?.attempt}` : '';
    const label = `${command.name}${attempt} ${this.witness.name(jobId)}${keyed(over.key)}`;
    return this.hear(from, node, made, label, async () => {
      try {
        const outcome = await node.ledger.execute(jobId, command, call, over.leaseMs ?? null);
        this.checkOutcome(made, outcome, command);
        this.checkKey(made, said(outcome));
        return outcome;
      } catch (error) {
        this.checkRefusal(made, jobId, command, over, error);
        throw error;
      }
    });
  }

  async heartbeat(
    from: Process,
    node: SimulatedNode,
    jobId: string,
    command: CommandOf<'heartbeat'>,
    over: With = {},
  ): Promise<Heard<HeartbeatOutcome>> {
    const { token } = command;
    const made = this.make('heartbeat', over.key);
    const call = this.call(from, 'worker', made, over);
    this.witness.expectToken(made.commandId, token);
    const attempt = `${jobId}/${token?.run}/${token?.attempt}`;
    const label = `heartbeat ${token?.run}.${token?.attempt} ${this.witness.name(jobId)}${keyed(over.key)}`;
    return this.hear(from, node, made, label, async () => {
      const { given } = this.world.database.leases;
      const before = given.get(attempt) ?? 0;
      try {
        const outcome = await node.ledger.heartbeat(jobId, command, call, over.leaseMs ?? null);
        const isBeat = !outcome.replayed && !this.witness.spoilt.has(jobId);
        if (isBeat && ((given.get(attempt) ?? 0) === before || outcome.leaseExpiresAt === 0)) {
          this.witness.violated(`${label} was answered, and renewed nothing`);
        }
        // A bare beat answers what the job's row says.
        if (outcome.events.length > 0 || !this.witness.spoilt.has(jobId)) this.checkOutcome(made, outcome, command);
        this.checkKey(made, said(outcome));
        return outcome;
      } catch (error) {
        this.checkRefusal(made, jobId, command, over, error);
        throw error;
      }
    });
  }

  private make(name: string, key: string | undefined): Made {
    return { name, commandId: key ?? v7(), key, from: 0 };
  }

  private call(from: Process, type: Origin['actor']['type'], made: Made, { ifMatch, body }: With): Call {
    return {
      origin: origin(from, type, made.commandId),
      idempotency: idempotencyOf(made.key, body),
      ifMatch: ifMatch ?? null,
      onlyJobsOf: null,
      bytes: 0,
    };
  }

  private async hear<T>(
    from: Process,
    node: SimulatedNode,
    made: Made,
    label: string,
    run: () => Promise<T>,
  ): Promise<Heard<T>> {
    try {
      const value = await this.world.network.call(from, node, label, async () => {
        made.from = this.witness.head;
        this.open.add(made);
        try {
          return await run();
        } finally {
          this.open.delete(made);
        }
      });
      return { kind: 'done', value };
    } catch (error) {
      if (!node.alive) this.open.delete(made);
      return this.heardOf(error, label);
    }
  }

  private heardOf(error: unknown, label: string): Heard<never> {
    if (error instanceof Disconnected || error instanceof Unavailable) return { kind: 'unknown' };
    if (error instanceof DeadlineExceeded || error instanceof Overloaded) return { kind: 'not done', error };
    const refused =
      error instanceof Refused ||
      error instanceof JobNotFound ||
      error instanceof PreconditionFailed ||
      error instanceof IdempotencyKeyReused;
    if (refused) return { kind: 'refused', error };
    this.witness.violated(
      `${label} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    return { kind: 'unknown' };
  }

  /** The same key has the same answer, whoever gives it. */
  private checkKey({ key, name }: Made, answer: unknown): void {
    if (key === undefined) return;
    const first = this.answers.get(key);
    if (first === undefined) this.answers.set(key, answer);
    else if (!isDeepStrictEqual(first, answer)) {
      this.witness.violated(
        `${name} with ${key} was answered ${JSON.stringify(first)}, then ${JSON.stringify(answer)}`,
      );
    }
  }

  private checkOutcome(made: Made, outcome: Outcome, command: JobCommand | null): void {
    const { jobId, position, recorded } = outcome;
    const what = `${made.name} of ${this.witness.name(jobId)}`;
    for (const event of recorded) {
      const there = this.witness.events[Number(event.position) - 1];
      if (there?.id !== event.id || there.at !== event.at)
        this.witness.violated(`${what}: ${event.type} is not in the log`);
    }
    if (outcome.replayed) return;
    const says = (job: Job | undefined): boolean =>
      job?.status === outcome.status &&
      job.run === outcome.run &&
      job.attempt === outcome.attempt &&
      job.revision === outcome.revision;
    if (recorded.length > 0 && made.name !== 'progress') {
      const { stored } = this.witness.at(jobId, Number(position));
      if (!says(stored?.job)) this.witness.violated(`${what} answered a state that it did not lead to`);
      return;
    }
    const states = this.witness.between(jobId, made.from, this.witness.head);
    // A fact moves no revision, so its append does not prove what its answer says of the job beside it.
    if (recorded.length === 0 && !states.some(({ stored }) => says(stored?.job))) {
      this.witness.violated(`${what} answered a state that was past: ${outcome.status} at ${outcome.revision}`);
    }
    if (recorded.length === 0 && command !== null) this.checkNoOp(made, what, jobId, command);
  }

  /** Nothing was done because nothing was left to do, at some instant of the call. */
  private checkNoOp(made: Made, what: string, jobId: string, command: JobCommand): void {
    if (command.name === 'progress') {
      const { token, batchId } = command;
      if (token === null || !this.witness.counted(jobId, token, batchId)) {
        this.witness.violated(`${what} was answered and never counted`);
      }
      return;
    }
    const isNoOp = (job: Job): boolean => {
      const judged = Witness.judge(job, command, this.world.contexts.of(job.spec));
      return !(judged instanceof Refusal) && judged.length === 0;
    };
    if (!this.somewhere(made, jobId, isNoOp))
      this.witness.violated(`${what} did nothing, although there was something`);
  }

  private somewhere(made: Made, jobId: string, test: (job: Job) => boolean): boolean {
    return this.witness
      .between(jobId, made.from, this.witness.head)
      .some(({ stored }) => stored !== null && test(stored.job));
  }

  /** Some state of the job during the call refuses it, and for this reason. */
  private checkRefusal(made: Made, jobId: string, command: JobCommand, { ifMatch }: With, error: unknown): void {
    const what = `${made.name} of ${this.witness.name(jobId)}`;
    if (
      made.key === undefined &&
      !(error instanceof Unavailable) &&
      this.witness.hasEvents(made.commandId, made.name, jobId)
    ) {
      this.witness.violated(`${what} was refused (${String(error)}), and appended`);
    }
    if (error instanceof JobNotFound) {
      const states = this.witness.between(jobId, made.from, this.witness.head);
      if (!states.some(({ stored }) => stored === null))
        this.witness.violated(`${what} was not found, although it was`);
    } else if (error instanceof PreconditionFailed) {
      const isOther = (job: Job): boolean => job.revision === error.actual && job.revision !== ifMatch;
      if (!this.somewhere(made, jobId, isOther)) this.witness.violated(`${what}: its precondition held`);
    } else if (error instanceof Refused) {
      const isRefused = (job: Job): boolean => {
        const judged = Witness.judge(job, command, this.world.contexts.of(job.spec));
        return judged instanceof Refusal && judged.code === error.refusal.code && job.status === error.refusal.from;
      };
      if (!this.somewhere(made, jobId, isRefused)) {
        this.witness.violated(`${what} was refused as ${error.refusal.code}, although its state allowed it`);
      }
    }
  }
}

const keyed = (key: string | undefined): string => (key === undefined ? '' : ` (${key})`);
