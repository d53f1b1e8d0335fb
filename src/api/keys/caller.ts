/** Who makes a request: known once its key was judged. */
import { setMaxListeners } from 'node:events';
import type { FastifyRequest } from 'fastify';
import { ROLES, type Role } from './roles.js';

/** Who asks when nobody needs a key: then all callers share one scope of idempotency keys. */
export const ANONYMOUS = 'anonymous';

export interface Caller {
  /** Of the key, or `anonymous`. */
  readonly id: string;
  readonly roles: ReadonlySet<Role>;
  /** Aborted when the key is taken away or changed: who waits, or follows a stream, is let go. */
  readonly revoked: AbortSignal;
}

/** Never taken away. */
const ALWAYS = new AbortController().signal;
setMaxListeners(0, ALWAYS);

/** Whoever calls where there are no keys. */
export const EVERYBODY: Caller = { id: ANONYMOUS, roles: new Set(ROLES), revoked: ALWAYS };

/** Null where nobody needs a key. */
export const keyIdOf = (caller: Caller): string | null => (caller === EVERYBODY ? null : caller.id);

const callers = new WeakMap<FastifyRequest, Caller>();

export const setCaller = (request: FastifyRequest, caller: Caller): void => {
  callers.set(request, caller);
};

/** @throws Error when the request was let in without being judged: a fault of ours, never anonymous. */
export const callerOf = (request: FastifyRequest): Caller => {
  const caller = callers.get(request);
  if (caller === undefined) throw new Error(`nobody judged who calls ${request.method} ${request.url}`);
  return caller;
};
