import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SseParser, type SseFrame } from '../../src/client/sse.js';

const parse = (...pieces: string[]): SseFrame[] => {
  const parser = new SseParser();
  return pieces.flatMap((piece) => parser.push(piece));
};

const text =
  '\uFEFF: hello\r\nretry: 250\r\n\r\nid: 7\r\nevent: JobQueued\r\ndata: {"a":\r\ndata: 1}\r\n\r\n' +
  'data:no space\n\nevent: caught-up\rdata:  two spaces\r\r: comment\n\nid\ndata\n\n';

const frames: SseFrame[] = [
  { event: 'JobQueued', data: '{"a":\n1}', id: '7' },
  { event: 'message', data: 'no space', id: null },
  { event: 'caught-up', data: ' two spaces', id: null },
  { event: 'message', data: '', id: '' },
];

describe('an event stream as text', () => {
  it('is frames, whatever ends its lines, without comments', () => {
    expect(parse(text)).toEqual(frames);
  });

  it('gives the same frames wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(text.length)), (cuts) => {
        const ends = [...cuts.sort((a, b) => a - b), text.length];
        expect(parse(...ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end)))).toEqual(frames);
      }),
    );
  });

  it('gives the same frames character by character', () => {
    expect(parse(...Array.from(text))).toEqual(frames);
  });

  it('drops what stands after its last blank line', () => {
    expect(parse('data: whole\n\ndata: cut\n')).toEqual([{ event: 'message', data: 'whole', id: null }]);
  });

  it('has no frame without data', () => {
    expect(parse('event: empty\nid: 3\n\ndata: next\n\n')).toEqual([{ event: 'message', data: 'next', id: null }]);
  });

  it('ignores fields it does not know, and ids with NUL', () => {
    expect(parse('unknown: 1\nid: a\0b\ndata: x\n\n')).toEqual([{ event: 'message', data: 'x', id: null }]);
  });

  it('says what delay the server asked for', () => {
    const parser = new SseParser();
    parser.push('retry: 1500\n\nretry: soon\n\n');
    expect(parser.retryMs).toBe(1_500);
  });
});
