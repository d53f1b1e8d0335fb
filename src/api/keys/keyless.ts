/**
 * Without keys everybody who reaches the loopback interface may do everything, and pages in a browser of this machine
 * reach it: by a form or a script of another site, or by a name of its own that points here (DNS rebinding). Programs
 * send no `Origin`, and call the service by a local name.
 */
import type { FastifyRequest } from 'fastify';
import { Problem } from '../problem.js';

const LOCAL = /^(?:localhost|[a-z0-9-]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

const refused = (what: string): Problem =>
  new Problem(
    'forbidden',
    `${what}: without API keys the service is there for programs of this machine alone; set JOBLEDGER_API_KEYS for others`,
  );

/** @throws Problem `forbidden` when the request was made by a page of another site. */
export const requireLocal = ({ headers: { host, origin } }: FastifyRequest): void => {
  if (host !== undefined && !LOCAL.test(host)) throw refused('the host of the request is not localhost');
  if (origin === undefined) return;
  if (host === undefined || ![`http://${host}`, `https://${host}`].includes(origin.toLowerCase())) {
    throw refused('the request comes from a page of another site');
  }
};
