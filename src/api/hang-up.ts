import type { FastifyReply } from 'fastify';

/** Aborted when the client hangs up before it has its answer. */
export const hangUpOf = (reply: FastifyReply): AbortSignal => {
  const hangUp = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableEnded) hangUp.abort();
  });
  return hangUp.signal;
};
