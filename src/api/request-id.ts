/** `X-Request-Id`: the caller's, when it can be echoed safely, else one of ours; on every answer, errors too. */
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export const REQUEST_ID_HEADER = 'x-request-id';

/** Printable ASCII, so that it can neither break a header nor a log line. */
const ECHOED = /^[\x20-\x7e]{1,128}$/;

export const requestIdOf = (headers: IncomingHttpHeaders): string => {
  const given = headers[REQUEST_ID_HEADER];
  return typeof given === 'string' && ECHOED.test(given) ? given : randomUUID();
};
