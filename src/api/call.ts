/** What comes with a call beside its body: who asks, under which key, and what ties it to other calls. */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Idempotency, Origin, Outcome } from '../commands/envelope.js';
import type { Call } from '../commands/ledger.js';
import { v7 } from '../commands/uuid.js';
import type { ActorType } from '../domain/streams.js';
import { canonicalJson } from '../event-store/canonical-json.js';
import type * as wire from './contract.js';
import { onlyJobsOf } from './keys/access.js';
import { callerOf, keyIdOf } from './keys/caller.js';
import { traceOf } from './request-watch.js';
import { idempotencyKey, ifMatch } from './requests/headers.js';
import { RequestBody } from './request-body.js';

/** Stands for the worker until the job says who holds the lease. */
const UNKNOWN_WORKER = 'unknown';

const sha256 = (...parts: readonly string[]): Buffer => createHash('sha256').update(parts.join('\0')).digest();

const bodyOf = ({ body }: FastifyRequest): RequestBody | undefined => (body instanceof RequestBody ? body : undefined);

const pathOf = ({ url }: FastifyRequest): string => url.split('?', 1)[0] ?? '';

/** What one command was asked for with, whether it came alone or among others. */
export interface Asking {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly key: string | undefined;
  readonly ifMatch: number | null;
  /** Its share of the request. */
  readonly bytes: number;
}

const askingOf = (request: FastifyRequest): Asking => {
  const body = bodyOf(request);
  return {
    method: request.method,
    path: pathOf(request),
    body: body?.value ?? {},
    key: idempotencyKey(request.headers, request.raw.rawHeaders),
    ifMatch: ifMatch(request.headers) ?? null,
    bytes: body?.bytes.length ?? 0,
  };
};

/**
 * A key is its caller's own: two API keys that send the same one are two calls. Bodies are compared as JSON values: neither
 * spaces nor the order of names make another request.
 */
const idempotencyOf = (callerId: string, { key, method, path, body }: Asking): Idempotency | null =>
  key === undefined ? null : { key: sha256(callerId, key), fingerprint: sha256(method, path, canonicalJson(body)) };

/** Free text that any command may give. */
const reasonOf = ({ body }: Asking): string | null => {
  const { reason } = (body ?? {}) as { reason?: unknown };
  return typeof reason === 'string' ? reason : null;
};

const originOf = (request: FastifyRequest, type: ActorType, asking: Asking): Origin => ({
  actor: { type, id: type === 'worker' ? UNKNOWN_WORKER : callerOf(request).id },
  commandId: asking.key ?? v7(),
  correlationId: null,
  traceparent: traceOf(request),
  reason: reasonOf(asking),
  keyId: keyIdOf(callerOf(request)),
});

/** @throws Problem `validation_failed` on a header that is none of its kind. */
export const callOf = (
  request: FastifyRequest,
  type: ActorType = 'client',
  asking: Asking = askingOf(request),
): Call => ({
  origin: originOf(request, type, asking),
  idempotency: idempotencyOf(callerOf(request).id, asking),
  ifMatch: asking.ifMatch,
  onlyJobsOf: type === 'client' ? onlyJobsOf(callerOf(request)) : null,
  bytes: asking.bytes,
});

/** Says on the answer that it is the first one again. */
export const markReplayed = (reply: FastifyReply, replayed: boolean): void => {
  if (replayed) void reply.header('idempotent-replayed', 'true');
};

export const answerOf = (outcome: Outcome): wire.CommandAnswer => ({
  jobId: outcome.jobId,
  status: outcome.status,
  run: outcome.run,
  attempt: outcome.attempt,
  revision: outcome.revision,
  position: outcome.position,
  events: outcome.events,
});

/** The answer of one command, with its headers. */
export const answer = (reply: FastifyReply, outcome: Outcome): wire.CommandAnswer => {
  markReplayed(reply, outcome.replayed);
  return answerOf(outcome);
};
