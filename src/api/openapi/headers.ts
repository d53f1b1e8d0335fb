/** Headers of requests and answers, as components that calls refer to. */

const text = { type: 'string' };

/** Parameters by the name of their component. */
export const HEADER_PARAMETERS = {
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    description:
      'The same key with the same call gives the first answer again, for at least 24 h, also after a restart; with another call it is 422 `idempotency_key_reused`. 1–200 characters of printable ASCII.',
    schema: { ...text, minLength: 1, maxLength: 200, pattern: '^[\\x20-\\x7e]+$' },
  },
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    required: false,
    description: 'The `revision` of the job that the caller has seen; at another one the call is 412 and does nothing.',
    schema: { ...text, pattern: '^(?:"\\d{1,15}"|\\d{1,15})$' },
  },
  MinPosition: {
    name: 'X-Min-Position',
    in: 'header',
    required: false,
    description:
      'Answer at least as fresh as this position, which a command or another answer has named. One beyond the head of the log is 400.',
    schema: { ...text, pattern: '^\\d{1,19}$' },
  },
  LastEventId: {
    name: 'Last-Event-ID',
    in: 'header',
    required: false,
    description: 'The `id` of the last frame that was seen: the stream goes on behind it. Wins over `after`.',
    schema: { ...text, pattern: '^\\d{0,19}$' },
  },
  RequestId: {
    name: 'X-Request-Id',
    in: 'header',
    required: false,
    description: 'Echoed on the answer; made when absent. At most 128 characters of printable ASCII.',
    schema: { ...text, maxLength: 128 },
  },
  Traceparent: {
    name: 'traceparent',
    in: 'header',
    required: false,
    description: 'W3C Trace Context; kept with the events. A malformed one is ignored.',
    schema: text,
  },
} as const;

export type HeaderParameter = keyof typeof HEADER_PARAMETERS;

/** Headers of answers by the name of their component. */
export const ANSWER_HEADERS = {
  'X-Request-Id': { description: 'That of the request, or one that was made.', schema: text },
  'X-Position': {
    description: 'A position of the log that this answer reflects at least.',
    schema: { ...text, pattern: '^\\d+$' },
  },
  'Idempotent-Replayed': {
    description: 'Present when this is the first answer of the key again.',
    schema: { ...text, enum: ['true'] },
  },
  Location: { description: 'Where to ask how far it is.', schema: text },
  'WWW-Authenticate': { description: 'How to authenticate: `Bearer`.', schema: text },
  'Retry-After': {
    description: 'Seconds to wait before the call is repeated.',
    schema: { type: 'integer', minimum: 1 },
  },
} as const;

export type AnswerHeader = keyof typeof ANSWER_HEADERS;

export const headerRefs = (...names: readonly AnswerHeader[]) =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));

export const parameterRef = (name: HeaderParameter) => ({ $ref: `#/components/parameters/${name}` });
