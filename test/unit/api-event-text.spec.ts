/** Events whose JSON a log has as text are written as it is: in every byte what parsing and writing them makes. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { FastifyReply } from 'fastify';
import { eventsPage, eventText } from '../../src/api/event-text.js';
import { viewEvent } from '../../src/api/event-view.js';
import { canonicalJson } from '../../src/event-store/canonical-json.js';
import type { JsonObject, RecordedEvent } from '../../src/event-store/event-store.js';

const ID = '01890a5d-ac96-774b-bcce-b302099a8057';

const METADATA = {
  actor: { type: 'worker', id: 'w "1" \\' },
  attempt: 2,
  causationId: null,
  command: 'complete',
  commandId: 'key {"a":1},"b"\\\\',
  correlationId: 'c,"to":"x"}',
  from: 'running',
  keyId: 'ops',
  reason: 'said: "attempt":7, and \\"',
  run: 1,
  to: 'queued',
  traceparent: null,
};

const parsed = ({ dataText, metadataText, ...event }: RecordedEvent): RecordedEvent => ({
  ...event,
  data: JSON.parse(dataText!) as JsonObject,
  metadata: JSON.parse(metadataText!) as JsonObject,
});

/** As a log has it that keeps text. */
const stored = (data: JsonObject, metadata: JsonObject, rest: Partial<RecordedEvent> = {}): RecordedEvent => {
  const texts = { dataText: canonicalJson(data), metadataText: canonicalJson(metadata) };
  const event = {
    ...{ position: '12', stream: `job-${ID}`, revision: 3, id: ID, type: 'JobQueued', version: 1 },
    ...{ at: '2026-01-02T03:04:05.006Z', data, metadata, ...rest, ...texts },
  };
  return { ...parsed(event), ...texts };
};

const expectSame = (event: RecordedEvent): void => {
  expect(eventText(event)).toBe(JSON.stringify(viewEvent(parsed(event))));
};

/** Nobody may look at what it would have to parse. */
const unparsed = (event: RecordedEvent): RecordedEvent =>
  Object.defineProperties(
    { ...event },
    Object.fromEntries(
      ['data', 'metadata'].map((name) => [
        name,
        {
          get: () => {
            throw new Error(`${name} was parsed`);
          },
        },
      ]),
    ),
  );

describe('an event as text', () => {
  it('is what parsing and writing it makes, and neither is done', () => {
    const event = stored({ message: 'a "b" \\ \u2028 é 😀', n: 1e21, none: null, list: [{ a: -0.5 }] }, METADATA);
    expectSame(event);
    expect(eventText(unparsed(event))).toBe(eventText(event));
  });

  it.each(Object.keys(METADATA))('says nothing of %s where the metadata says nothing', (name) => {
    expectSame(stored({}, Object.fromEntries(Object.entries(METADATA).filter(([key]) => key !== name))));
  });

  it.each([
    ['names that are indexes, which parsing puts first', { a: 1, '!': 1, 10: 2, 9: 3 }, METADATA],
    ['the same in what is said beside it', {}, { ...METADATA, actor: { '!': 1, id: 'x', 7: 2 } }],
    ['metadata of a later release', {}, { ...METADATA, later: { to: 'x' } }],
    ['metadata of a stranger', {}, {}],
    ['metadata that is no text where text is usual', {}, { ...METADATA, reason: ['a', { b: 1 }], to: { x: [1] } }],
    ['__proto__', JSON.parse('{"__proto__":{"a":1},"b":2}') as JsonObject, METADATA],
  ])('is the same with %s', (_, data, metadata) => expectSame(stored(data, metadata)));

  it.each([
    ['a verdict, which is shown what it counted to', { type: 'JobCompleted' }],
    ['a stream of no job', { stream: 'other "1"' }],
    ['a type that needs an escape', { type: 'a"b' }],
  ])('is the same of %s', (_, rest) => expectSame(stored({ result: { a: 1 } }, METADATA, rest)));

  it('is the same where the text is not as a log writes it', () => {
    const event = stored({}, METADATA);
    for (const metadataText of [
      JSON.stringify(METADATA, null, 1),
      '{"to":"x","actor":1}',
      '{"actor":"x"',
      '{"actor":"',
    ]) {
      expect(eventText({ ...event, metadataText })).toBe(JSON.stringify(viewEvent(event)));
    }
  });

  it('is the same of an event whose log has no text', () => {
    const event = parsed(stored({ b: 1, a: 2 }, METADATA));
    expect(eventText(event)).toBe(JSON.stringify(viewEvent(event)));
  });

  it('is the same whatever it holds', () => {
    const json = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ noUnicodeString: false }));
    const object = json.filter((value) => !/\\u0000|\\ud[89a-f]/i.test(JSON.stringify(value)));
    const metadata = fc.record(
      Object.fromEntries(Object.keys(METADATA).map((name) => [name, fc.oneof(fc.string(), fc.jsonValue(), fc.nat())])),
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(object, metadata, (data, said) => {
        fc.pre(!/\\u0000|\\ud[89a-f]/i.test(JSON.stringify(said)));
        expectSame(stored(data as JsonObject, said as JsonObject));
      }),
    );
  });
});

it('a page is the answer that its parts would make, and is said to be JSON', () => {
  const events = [stored({ a: 1 }, METADATA), stored({ b: 'x' }, METADATA, { position: '13' })];
  const types: string[] = [];
  const reply = { type: (type: string) => types.push(type) } as unknown as FastifyReply;
  for (const some of [[], events]) {
    for (const nextCursor of [null, 'abc']) {
      const page = { items: some.map(viewEvent), nextCursor };
      expect(eventsPage(reply, some, nextCursor).toString()).toBe(JSON.stringify(page));
    }
  }
  expect(new Set(types)).toEqual(new Set(['application/json; charset=utf-8']));
});
