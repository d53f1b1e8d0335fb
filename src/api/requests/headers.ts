/** Request headers of the contract. Each reads its header, or refuses it by name with 400. */
import type { IncomingHttpHeaders } from 'node:http';
import { type Problem, validationFailed } from '../problem.js';
import { parsePosition } from './query-fields.js';

const PRINTABLE = /^[\x20-\x7e]{1,200}$/;
const REVISION = /^(?:"(\d{1,15})"|(\d{1,15}))$/;
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

const refused = (header: string, what: string): Problem =>
  validationFailed([{ path: header, message: `${header} must be ${what}` }]);

const only = (headers: IncomingHttpHeaders, header: string): string | undefined => {
  const value = headers[header.toLowerCase()];
  return Array.isArray(value) ? value.join(', ') : value;
};

/**
 * `Idempotency-Key`: the same key again gives the first answer.
 * @param rawHeaders names and values in turn: of two with this name Node makes one, which nobody sent
 */
export const idempotencyKey = (
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[] = [],
): string | undefined => {
  const key = only(headers, 'Idempotency-Key');
  const isName = (text: string, index: number): boolean => index % 2 === 0 && /^idempotency-key$/i.test(text);
  if (rawHeaders.filter(isName).length > 1) throw refused('Idempotency-Key', 'sent once');
  if (key === undefined || PRINTABLE.test(key)) return key;
  throw refused('Idempotency-Key', '1–200 characters of printable ASCII');
};

/** `If-Match`: the revision that the caller has seen, as a number or as an entity tag. */
export const ifMatch = (headers: IncomingHttpHeaders): number | undefined => {
  const written = only(headers, 'If-Match');
  if (written === undefined) return undefined;
  const [, tag, plain] = REVISION.exec(written) ?? [];
  const revision = tag ?? plain;
  if (revision === undefined) throw refused('If-Match', 'the revision of the job');
  return Number(revision);
};

/** Of a call that makes a job, or is of several: there is no revision that it could name. */
export const refuseIfMatch = (headers: IncomingHttpHeaders): void => {
  if (ifMatch(headers) === undefined) return;
  const message =
    'If-Match is of a command on one job, sent to /v1/jobs/{id}/…: this call is of a new job, or of several';
  throw validationFailed([{ path: 'If-Match', message }]);
};

const positionIn = (headers: IncomingHttpHeaders, header: string): string | undefined => {
  const written = only(headers, header);
  if (written === undefined) return undefined;
  const position = parsePosition(written);
  if (position === undefined) throw refused(header, 'a position: decimal digits');
  return position;
};

/** `X-Min-Position`: answer at least as fresh as this. One beyond the head is the reader's to refuse. */
export const minPosition = (headers: IncomingHttpHeaders): string | undefined => positionIn(headers, 'X-Min-Position');

/** `Last-Event-ID`: what a stream resumes after; it wins over `?after=`. An empty one is that of a first connect. */
export const lastEventId = (headers: IncomingHttpHeaders): string | undefined =>
  headers['last-event-id'] === '' ? undefined : positionIn(headers, 'Last-Event-ID');

/** `traceparent` of W3C Trace Context. A malformed one is ignored, as that standard demands. */
export const traceparent = (headers: IncomingHttpHeaders): string | null => {
  const written = only(headers, 'traceparent');
  return written !== undefined && TRACEPARENT.test(written) ? written : null;
};
