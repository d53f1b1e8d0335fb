/**
 * Refused commands are history too: each is kept once for its run, attempt, worker, command and code, in a stream of
 * its own that no decision reads. Later ones are only counted.
 */
import type { Refusal } from '../domain/errors.js';
import type { Token } from '../domain/job-commands.js';
import type { Job } from '../domain/job.js';
import { jobStream, refusalsStream, type CommandRefused, type EventMetadata } from '../domain/streams.js';
import { upcast, versionOf } from '../domain/upcast.js';
import { Conflict, type EventStore, type JsonObject, type RecordedEvent } from '../event-store/event-store.js';
import { Recent } from '../event-store/recent.js';
import { v7 } from './uuid.js';
import { pagesOf } from '../projections/jobs/job-history.js';
import { metadataOf, toCurrent } from '../projections/jobs/stored-job.js';
import type { Envelope, Origin } from './envelope.js';

/** A call that was refused, as far as its record says it. */
export interface RefusedCall {
  readonly jobId: string;
  readonly name: string;
  readonly token: Token;
  readonly origin: Origin;
  readonly error?: CommandRefused['error'];
}

const keyOf = (refused: Pick<CommandRefused, 'run' | 'attempt' | 'workerId' | 'command' | 'code'>): string =>
  JSON.stringify([refused.run, refused.attempt, refused.workerId, refused.command, refused.code]);

const MAX_REMEMBERED = 2_000;

export class Refusals {
  /** Keys that are known to be recorded; a recorded refusal never goes away. */
  private readonly known = new Recent<string, Set<string>>(MAX_REMEMBERED);

  /** By job, run and attempt, of claims that were found; a claim never changes. */
  private readonly workers = new Recent<string, string>(MAX_REMEMBERED);

  constructor(private readonly store: EventStore) {}

  /** Records the refusal of a command unless it is recorded already. */
  record(envelope: Envelope, refusal: Refusal, job: Job): Promise<void> {
    const { command, jobId, origin } = envelope;
    const token = 'token' in command ? (command.token ?? null) : null;
    const error = command.name === 'fail' ? { code: command.code, message: command.message } : null;
    return this.recordCall({ jobId, name: command.name, token, origin, error }, refusal, job);
  }

  async recordCall(call: RefusedCall, refusal: Refusal, job: Job): Promise<void> {
    const refused = await this.describe(call, refusal);
    const key = keyOf(refused);
    if (this.known.get(job.id)?.has(key) === true) return;
    const stream = refusalsStream(job.id);
    for (;;) {
      const before = await this.store.readStream(stream);
      // What cannot be read is no key: at worst a refusal is kept twice.
      const readable = before.flatMap((event) => (event.damage === undefined ? (upcast(event) ?? []) : []));
      const keys = new Set(readable.map((event) => keyOf(event.data as unknown as CommandRefused)));
      this.known.set(job.id, keys);
      if (keys.has(key)) return;
      const event = {
        id: v7(),
        type: 'CommandRefused',
        version: versionOf('CommandRefused'),
        data: refused as unknown as JsonObject,
        metadata: refusalMetadata(call, refused, job),
      };
      const expected = before.length === 0 ? 'noStream' : before.length - 1;
      const [result] = await this.store.append([{ stream, expected, events: [event] }]);
      if (result?.ok === true) {
        keys.add(key);
        return;
      }
      if (result !== undefined && !(result.error instanceof Conflict)) throw result.error;
    }
  }

  private async describe(call: RefusedCall, refusal: Refusal): Promise<CommandRefused> {
    const { token } = call;
    return {
      command: call.name,
      code: refusal.code,
      run: token?.run ?? null,
      attempt: token?.attempt ?? null,
      workerId: token === null ? null : await this.workerOf(call.jobId, token),
      error: call.error ?? null,
    };
  }

  /** Whose token it is: the worker of that attempt's claim. */
  async workerOf(jobId: string, token: NonNullable<Token>): Promise<string | null> {
    const { run, attempt } = token;
    const key = JSON.stringify([jobId, run, attempt]);
    const known = this.workers.get(key);
    if (known !== undefined) return known;
    const isClaim = (event: RecordedEvent): boolean => {
      if (event.damage !== undefined) return false;
      const metadata = metadataOf(event);
      return event.type === 'JobClaimed' && metadata.run === run && metadata.attempt === attempt;
    };
    for await (const page of pagesOf(this.store, jobStream(jobId))) {
      const claim = page.find(isClaim);
      if (claim === undefined) continue;
      const { workerId } = toCurrent(claim).data as { readonly workerId: string };
      this.workers.set(key, workerId);
      return workerId;
    }
    return null;
  }
}

const refusalMetadata = (call: RefusedCall, { workerId }: CommandRefused, job: Job): JsonObject => {
  const { actor, commandId, correlationId, traceparent, reason = null, keyId = null } = call.origin;
  const metadata: EventMetadata = {
    actor: actor.type === 'worker' && workerId !== null ? { type: 'worker', id: workerId } : actor,
    command: call.name,
    commandId,
    correlationId: correlationId ?? job.spec.correlationId,
    causationId: null,
    traceparent,
    reason,
    ...(keyId !== null && { keyId }),
    run: job.run,
    attempt: job.attempt,
    from: null,
    to: null,
  };
  return metadata as unknown as JsonObject;
};
