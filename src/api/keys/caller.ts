/** Who makes a request: known once its key was judged. */
import type { FastifyRequest } from 'fastify';
import type { Role } from './roles.js';

/** Who asks when nobody needs a key: then all callers share one scope of idempotency keys. */
export const ANONYMOUS = 'anonymous';

export interface Caller {
  /** Of the key, or `anonymous`. */
  readonly id: string;
  readonly roles: ReadonlySet<Role>;
  /** Aborted when the key is taken away or changed: who waits, or follows a stream, is let go. */
  readonly revoked: AbortSignal;
}

const callers = new WeakMap<FastifyRequest, Caller>();

export const setCaller = (request: FastifyRequest, caller: Caller): void => {
  callers.set(request, caller);
};

/** @throws Error when the request was let in without being judged: a fault of ours, never anonymous. */
export const callerOf = (request: FastifyRequest): Caller => {
  const caller = callers.get(request);
  if (caller === undefined) throw new Error(`nobody judged who calls ${request.method} ${request.routeOptions.url ?? ''}`);
  return caller;
};
