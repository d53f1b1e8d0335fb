/**
 * Rejections that a client makes and nobody can catch: when its stream breaks while writes wait for it to drain, it
 * rejects them inside a promise that it hands to nobody. The appends themselves are rejected as well, and sent again; an
 * unhandled rejection would end the process. Seen with `@eventstore/db-client` 6.2.1 and a thousand appends in flight.
 */

/** An error of gRPC whose call was made by an append of the client. */
const isStray = (reason: unknown): boolean => {
  const { code, details, stack = '' } = (reason ?? {}) as { code?: unknown; details?: unknown; stack?: string };
  return typeof code === 'number' && typeof details === 'string' && /appendToStream|batchAppend/.test(stack);
};

const handle = (reason: unknown): void => {
  if (isStray(reason)) return;
  // As without this handler: it ends the process.
  throw reason;
};

let users = 0;

/** From now on they are dropped. @returns how to stop, once nobody needs it any more */
export const dropStrayRejections = (): (() => void) => {
  users += 1;
  if (users === 1) process.on('unhandledRejection', handle);
  let isOver = false;
  return () => {
    if (isOver) return;
    isOver = true;
    users -= 1;
    if (users === 0) process.off('unhandledRejection', handle);
  };
};
