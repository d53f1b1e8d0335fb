import type { FastifyReply } from 'fastify';
import { callerOf } from './keys/caller.js';

/** Aborted when the client hangs up before it has its answer, or loses its key meanwhile. */
export const hangUpOf = (reply: FastifyReply): AbortSignal => {
  const hangUp = new AbortController();
  const { revoked } = callerOf(reply.request);
  const onRevoked = (): void => hangUp.abort();
  if (revoked.aborted) hangUp.abort();
  revoked.addEventListener('abort', onRevoked);
  reply.raw.once('close', () => {
    revoked.removeEventListener('abort', onRevoked);
    if (!reply.raw.writableEnded) hangUp.abort();
  });
  return hangUp.signal;
};
