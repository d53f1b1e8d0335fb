/** Events whose text somebody wrote over. */
import { describe, expect, it } from '@jest/globals';
import { DamagedEvent } from '../../src/event-store/event-store.js';
import { StoredEvent } from '../../src/event-store/postgres/stored-event.js';

class Stored extends StoredEvent {
  readonly id = '00000000-0000-4000-8000-000000000000';
}

const stored = (data: string, metadata: string) =>
  new Stored('7', 'job-1', 0, 'JobCreated', 1, '2026-01-31T12:00:00.000Z', data, metadata);

const WRITTEN = '{"actor":{"id":"w\u00e9","type":"worker"},"attempt":1,"command":"claim","from":null,"run":10}';

describe('a stored event', () => {
  it.each(['{}', WRITTEN, '{"reason":"a \\"quoted\\" one"}', '{"deep":{"er":[1,{"b":-1.5e3}]}}', '{ "a" : 1 }'])(
    'is sound with the metadata %s',
    (metadata) => {
      expect(stored('{"a":1}', metadata).damage).toBeUndefined();
      expect(stored('{"a":1}', metadata).metadata).toEqual(JSON.parse(metadata));
    },
  );

  it.each([
    ...['', 'garbage{', 'null', '7', '"text"', '[{}]', '{"a":01}', '{"a":1,}', '{"a":1', '{"a":{"b":1}', '{"a":"\n"}'],
    ...['{"a":"\\"}', `${WRITTEN}}`, '{"a":{}}}', "{'a':1}"],
  ])('whose text is %j says so, and so does who looks at it', (text) => {
    const damaged = { metadata: stored('{}', text), data: stored(text, WRITTEN) };
    for (const part of ['metadata', 'data'] as const) {
      const said = `event 7 of job-1 (JobCreated v1) cannot be read: its ${part} is no JSON object`;
      expect(damaged[part].damage?.message).toBe(said);
      expect(() => damaged[part][part]).toThrow(DamagedEvent);
    }
  });
});
