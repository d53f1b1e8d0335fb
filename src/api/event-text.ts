/**
 * Events as the wire has them, as text: data and metadata that a log has as text are put in place, and not parsed to be
 * written again. The bytes are those of `viewEvent`.
 */
import type { FastifyReply } from 'fastify';
import { jobIdOf } from '../domain/streams.js';
import type { RecordedEvent } from '../event-store/event-store.js';
import { isVerdict, viewEvent } from './event-view.js';

/** In the order of canonical JSON. */
const MEMBERS = [
  ...['actor', 'attempt', 'causationId', 'command', 'commandId', 'correlationId'],
  ...['from', 'keyId', 'reason', 'run', 'to', 'traceparent'],
].map((name) => `"${name}":`);

/** A name that is the index of an array: an object that was parsed writes those first. */
const INDEX = /"(?:0|[1-9]\d*)":/;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** @returns after its closing quote; 0 when there is none */
const endOfString = (text: string, open: number): number => {
  for (let at = text.indexOf('"', open + 1); at > 0; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text.charCodeAt(at - 1 - escapes) === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return at + 1;
  }
  return 0;
};

/** Of a string, a number, a literal, or an object of such. @returns 0 when it has none */
const endOfValue = (text: string, start: number): number => {
  const isObject = text.charCodeAt(start) === OPEN;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at) - 1;
      if (at < 0) return 0;
    } else if (isObject && code === CLOSE) return at + 1;
    else if (!isObject && (code === COMMA || code === CLOSE)) return at;
  }
  return 0;
};

/** The values of `MEMBERS` in metadata, as text; undefined when it has others. */
const valuesOf = (metadata: string): readonly (string | undefined)[] | undefined => {
  let at = 1;
  const values = MEMBERS.map((member) => {
    if (!metadata.startsWith(member, at)) return undefined;
    const start = at + member.length;
    const end = endOfValue(metadata, start);
    at = end + 1;
    return metadata.slice(start, end);
  });
  return at === metadata.length ? values : undefined;
};

const member = (name: string, value: string | undefined): string => (value === undefined ? '' : `,"${name}":${value}`);

/** The last one that was asked for: a history has three. */
let known = { stream: '', text: '', jobId: '' };

const textsOf = (stream: string): typeof known => {
  if (known.stream !== stream) known = { stream, text: JSON.stringify(stream), jobId: JSON.stringify(jobIdOf(stream)) };
  return known;
};

/** Undefined when its text would not be what parsing and writing makes of it. */
const splice = (event: RecordedEvent): string | undefined => {
  const { dataText, metadataText } = event;
  if (dataText === undefined || metadataText === undefined || isVerdict(event)) return undefined;
  if (event.damage !== undefined) return undefined;
  if (INDEX.test(dataText) || INDEX.test(metadataText)) return undefined;
  const values = valuesOf(metadataText);
  if (values === undefined) return undefined;
  const [actor, attempt, causationId, , commandId, correlationId, from, keyId = 'null', reason, run, to, trace] =
    values;
  const { text, jobId } = textsOf(event.stream);
  const cause = causationId === undefined || causationId === 'null' ? commandId : causationId;
  const { position, revision, id, type, version, at } = event;
  return (
    `{"position":"${position}","stream":${text},"revision":${revision},"id":"${id}","type":${JSON.stringify(type)}` +
    `,"version":${version},"at":"${at}","jobId":${jobId}` +
    `${member('run', run)}${member('attempt', attempt)}${member('from', from)}${member('to', to)}` +
    `,"data":${dataText}${member('actor', actor)},"keyId":${keyId}${member('commandId', commandId)}` +
    `${member('correlationId', correlationId)}${member('causationId', cause)}` +
    `${member('traceparent', trace)}${member('reason', reason)}}`
  );
};

export const eventText = (event: RecordedEvent): string => splice(event) ?? JSON.stringify(viewEvent(event));

/**
 * The body of an answer: `wire.Page` of `wire.LedgerEvent`, which the reply is told to be JSON. As bytes: a text would be
 * gone through once for its length and once more by the socket, 0.13 ms of the 0.9 that a page of 150 kB takes to send.
 */
export const eventsPage = (
  reply: FastifyReply,
  events: readonly RecordedEvent[],
  nextCursor: string | null,
): Buffer => {
  void reply.type('application/json; charset=utf-8');
  return Buffer.from(`{"items":[${events.map(eventText).join()}],"nextCursor":${JSON.stringify(nextCursor)}}`);
};
