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
import { callerOf } from './keys/caller.js';
import { idempotencyKey, ifMatch, traceparent } from './requests/headers.js';
import { RequestBody } from './request-body.js';

/** Stands for the worker until the job says who holds the lease. */
const UNKNOWN_WORKER = 'unknown';

const sha256 = (...parts: readonly string[]): Buffer => createHash('sha256').update(parts.join('\0')).digest();

const bodyOf = ({ body }: FastifyRequest): RequestBody | undefined => (body instanceof RequestBody ? body : undefined);

const pathOf = ({ url }: FastifyRequest): string => url.split('?', 1)[0] ?? '';

/**
 * A key is its caller's own: two API keys that send the same one are two calls. Bodies are compared as JSON values: neither
 * spaces nor the order of names make another request.
 */
const idempotencyOf = (request: FastifyRequest): Idempotency | null => {
  const key = idempotencyKey(request.headers);
  if (key === undefined) return null;
  const body = canonicalJson(bodyOf(request)?.value ?? {});
  return { key: sha256(callerOf(request).id, key), fingerprint: sha256(request.method, pathOf(request), body) };
};

/** Free text that any command may give. */
const reasonOf = (request: FastifyRequest): string | null => {
  const value = bodyOf(request)?.value as { reason?: unknown } | null | undefined;
  return typeof value?.reason === 'string' ? value.reason : null;
};

const originOf = (request: FastifyRequest, type: ActorType): Origin => ({
  actor: { type, id: type === 'worker' ? UNKNOWN_WORKER : callerOf(request).id },
  commandId: idempotencyKey(request.headers) ?? v7(),
  correlationId: null,
  traceparent: traceparent(request.headers),
  reason: reasonOf(request),
});

/** @throws Problem `validation_failed` on a header that is none of its kind. */
export const callOf = (request: FastifyRequest, type: ActorType = 'client'): Call => ({
  origin: originOf(request, type),
  idempotency: idempotencyOf(request),
  ifMatch: ifMatch(request.headers) ?? null,
  onlyJobsOf: type === 'client' ? onlyJobsOf(callerOf(request)) : null,
  bytes: bodyOf(request)?.bytes.length ?? 0,
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
