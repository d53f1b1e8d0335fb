import { EventEmitter, once } from 'node:events';
import { get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import { createHttpAdapter } from '../../src/api/http-server.js';
import { caughtUpFrame, COMMENT_FRAME, eventFrame, type Frame, gapFrame, joinFrames } from '../../src/api/sse-frame.js';
import { COMMENT_EVERY_MS, SseStreams } from '../../src/api/sse-streams.js';
import { EVERYBODY, setCaller } from '../../src/api/keys/caller.js';
import { SseStream } from '../../src/api/sse.js';

/** A response whose reader takes what it has been sent when the test says so. */
class FakeResponse extends EventEmitter {
  sent = '';
  writableLength = 0;
  ended = false;
  destroyed = false;
  constructor(private readonly highWaterMark = 10) {
    super();
  }
  write(bytes: Buffer): boolean {
    this.sent += bytes.toString();
    this.writableLength += bytes.length;
    return this.writableLength < this.highWaterMark;
  }
  drain(): void {
    this.writableLength = 0;
    this.emit('drain');
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

const streamOver = (response: FakeResponse, maxPendingBytes = 100, onDrained?: () => void): SseStream =>
  new SseStream(response as unknown as ServerResponse, {
    after: '0',
    maxPendingBytes,
    ...(onDrained === undefined ? {} : { onDrained }),
  });

const frame = (position: number, size = 30): Frame => {
  const { bytes } = eventFrame('E', '', String(position));
  return {
    bytes: Buffer.concat([Buffer.alloc(Math.max(0, size - bytes.length), ':'), bytes]),
    position: String(position),
  };
};

const textOf = (...frames: Frame[]): string => frames.map(({ bytes }) => bytes.toString()).join('');

describe('a frame', () => {
  it('is an event with its position as id, or without any', () => {
    expect(textOf(eventFrame('JobQueued', { a: 'x\ny' }, '7'))).toBe(
      'id: 7\nevent: JobQueued\ndata: {"a":"x\\ny"}\n\n',
    );
    expect(textOf(eventFrame('counters', {}))).toBe('event: counters\ndata: {}\n\n');
    expect(textOf(caughtUpFrame('9'))).toBe('event: caught-up\ndata: {"position":"9"}\n\n');
    expect(textOf(gapFrame('3', '9'))).toBe('event: gap\ndata: {"from":"3","to":"9"}\n\n');
    expect(textOf(COMMENT_FRAME)).toMatch(/^:.*\n\n$/);
  });

  it('joins others, and has the position of the last event', () => {
    const joined = joinFrames([frame(1), frame(2), caughtUpFrame('2')]);
    expect(joined.position).toBe('2');
    expect(textOf(joined)).toBe(textOf(frame(1), frame(2), caughtUpFrame('2')));
  });
});

describe('offered frames', () => {
  it('are sent while the reader keeps up', () => {
    const response = new FakeResponse(1_000);
    const stream = streamOver(response, 0);
    expect([stream.offer(frame(1)), stream.offer(frame(2))]).toEqual([true, true]);
    expect(response.sent).toBe(textOf(frame(1), frame(2)));
  });

  it('that exceed what may wait are dropped, and named once the reader has caught up', () => {
    const response = new FakeResponse();
    const stream = streamOver(response, 100);
    expect([1, 2, 3, 4, 5, 6].map((position) => stream.offer(frame(position)))).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(response.writableLength).toBeLessThanOrEqual(100);
    response.drain();
    stream.offer(frame(7));
    expect(response.sent).toBe(textOf(frame(1), frame(2), frame(3), gapFrame('3', '6'), frame(7)));
  });

  it('are all dropped until the gap has been told, small ones too', () => {
    const response = new FakeResponse();
    const stream = streamOver(response, 70);
    stream.offer(frame(1));
    expect(stream.offer(frame(2, 90))).toBe(false);
    expect(stream.offer(frame(3))).toBe(false);
    response.drain();
    expect(response.sent).toBe(textOf(frame(1), gapFrame('1', '3')));
  });

  it('leave one gap for each time the reader fell behind', () => {
    const response = new FakeResponse();
    const stream = streamOver(response, 40);
    for (const position of [1, 2]) stream.offer(frame(position));
    response.drain();
    for (const position of [3, 4]) stream.offer(frame(position));
    response.drain();
    expect(response.sent).toBe(textOf(frame(1), gapFrame('1', '2'), gapFrame('2', '4')));
  });

  it('larger than what may wait pass when nothing waits', () => {
    const response = new FakeResponse();
    expect(streamOver(response, 10).offer(frame(1, 5_000))).toBe(true);
  });

  it('without position leave no gap; the source hears that it can send again', () => {
    const response = new FakeResponse();
    let drained = 0;
    const stream = streamOver(response, 30, () => drained++);
    const snapshot = eventFrame('counters', {});
    expect([stream.offer(snapshot), stream.offer(snapshot)]).toEqual([true, false]);
    response.drain();
    expect([response.sent, drained]).toEqual([textOf(snapshot), 1]);
    response.drain();
    expect(drained).toBe(1);
  });

  it('after caught-up leave a gap from there', () => {
    const response = new FakeResponse();
    const stream = streamOver(response, 60);
    stream.caughtUp('40');
    stream.offer(frame(41));
    stream.offer(frame(42));
    response.drain();
    expect(response.sent).toBe(textOf(caughtUpFrame('40'), gapFrame('40', '42')));
  });
});

describe('written frames', () => {
  it('wait for the reader', async () => {
    const response = new FakeResponse();
    const stream = streamOver(response);
    const read: number[] = [];
    const pumped = stream.pump(
      (async function* () {
        for (const position of [1, 2]) {
          read.push(position);
          yield await Promise.resolve(frame(position));
        }
      })(),
    );
    await new Promise(setImmediate);
    expect(read).toEqual([1]);
    response.drain();
    await new Promise(setImmediate);
    expect(read).toEqual([1, 2]);
    response.drain();
    await pumped;
    expect(response.sent).toBe(textOf(frame(1), frame(2)));
  });

  it('end when the reader goes, and let the source clean up', async () => {
    const response = new FakeResponse();
    const stream = streamOver(response);
    let cleaned = false;
    const pumped = stream.pump(
      (async function* () {
        try {
          for (;;) yield await Promise.resolve(frame(1));
        } finally {
          cleaned = true;
        }
      })(),
    );
    await new Promise(setImmediate);
    response.emit('close');
    await pumped;
    expect([cleaned, stream.signal.aborted, stream.offer(frame(2)), await stream.write(frame(2))]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});

let adapter: FastifyAdapter | undefined;

const serve = async (streams: SseStreams, opened: (stream: SseStream) => void): Promise<number> => {
  adapter = createHttpAdapter();
  adapter.getInstance().get('/stream', (request, reply) => {
    setCaller(request, EVERYBODY);
    void reply.header('x-position', '5');
    opened(streams.open(request, reply, { after: '5' }));
  });
  await adapter.getInstance().listen({ port: 0, host: '127.0.0.1' });
  return (adapter.getInstance().server.address() as AddressInfo).port;
};

const connectTo = async (port: number, method = 'GET'): Promise<IncomingMessage> => {
  const request = get({ port, path: '/stream', method, agent: false });
  if (method !== 'GET') request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
};

const readToEnd = async (response: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
};

afterEach(async () => {
  await adapter?.close();
  adapter = undefined;
  jest.useRealTimers();
});

describe('open streams', () => {
  it('begin at once, carry the headers of every answer, and end with the process', async () => {
    const streams = new SseStreams();
    let stream!: SseStream;
    const port = await serve(streams, (opened) => (stream = opened));
    const response = await connectTo(port);
    expect(response.headers).toMatchObject({
      'content-type': expect.stringMatching(/^text\/event-stream/),
      'cache-control': expect.stringContaining('no-cache'),
      'x-request-id': expect.stringMatching(/./),
      'x-position': '5',
    });
    expect(streams.size).toBe(1);
    stream.offer(frame(6));
    streams.beat();
    streams.closeAll();
    expect(await readToEnd(response)).toBe(textOf(frame(6), COMMENT_FRAME));
    expect(streams.size).toBe(0);
    expect((await connectTo(port)).statusCode).toBe(503);
  });

  it('are forgotten when the reader hangs up', async () => {
    const streams = new SseStreams();
    let stream!: SseStream;
    const response = await connectTo(await serve(streams, (opened) => (stream = opened)));
    response.destroy();
    await once(stream.signal, 'abort');
    expect(streams.size).toBe(0);
  });

  it('have no body for HEAD', async () => {
    const streams = new SseStreams();
    const response = await connectTo(await serve(streams, () => undefined), 'HEAD');
    expect([response.statusCode, await readToEnd(response), streams.size]).toEqual([200, '', 0]);
  });

  it('never hold more than the limit for a reader that does not read, and tell every event it missed', async () => {
    const limit = 100_000;
    const streams = new SseStreams(limit);
    let stream!: SseStream;
    const response = await connectTo(await serve(streams, (opened) => (stream = opened)));
    const size = 50_000;
    let last = 5;
    let drops = 0;
    while (drops < 10 && last < 5_000) {
      if (!stream.offer(frame(++last, size))) drops++;
      expect(stream.pendingBytes).toBeLessThan(limit + 1_000);
      await new Promise(setImmediate);
    }
    expect(drops).toBe(10);
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    while (!text.includes('event: gap')) await once(response, 'data');
    stream.offer(frame(++last, size));
    streams.closeAll();
    await once(response, 'end');
    const ids = [...text.matchAll(/^:*id: (\d+)$/gm)].map(([, id]) => Number(id));
    const [, from = '', to = ''] = /event: gap\ndata: {"from":"(\d+)","to":"(\d+)"}/.exec(text) ?? [];
    const missed = Array.from({ length: Number(to) - Number(from) }, (_, i) => Number(from) + 1 + i);
    expect([...ids, ...missed].sort((a, b) => a - b)).toEqual(Array.from({ length: last - 5 }, (_, i) => 6 + i));
    expect(missed).toHaveLength(10);
  });

  it('are not opened for a key that was taken away meanwhile, and end with it when it is later', () => {
    const streams = new SseStreams();
    const revoking = new AbortController();
    const open = (): SseStream => {
      const raw = Object.assign(new FakeResponse(1e6), { writeHead: () => undefined, flushHeaders: () => undefined });
      const request = { method: 'GET' } as never;
      setCaller(request, { id: 'ann', roles: new Set(), revoked: revoking.signal });
      return streams.open(request, { hijack: () => undefined, getHeaders: () => ({}), raw } as never);
    };
    const stream = open();
    revoking.abort();
    expect([stream.closed, streams.size]).toEqual([true, 0]);
    expect(open).toThrow(expect.objectContaining({ code: 'unauthenticated' }));
    expect(streams.size).toBe(0);
  });

  it('get a comment every fifteen seconds, and are cut when they take nothing for a minute', () => {
    jest.useFakeTimers();
    const streams = new SseStreams(10);
    const open = (response: FakeResponse): SseStream => {
      const raw = Object.assign(response, { writeHead: () => undefined, flushHeaders: () => undefined });
      const reply = { hijack: () => undefined, getHeaders: () => ({}), raw };
      const request = { method: 'GET' } as never;
      setCaller(request, EVERYBODY);
      return streams.open(request, reply as never);
    };
    const quick = new FakeResponse(1e6);
    const slow = new FakeResponse(1);
    open(quick);
    open(slow).offer(frame(1));
    jest.advanceTimersByTime(2 * COMMENT_EVERY_MS);
    expect(quick.sent).toBe(textOf(COMMENT_FRAME, COMMENT_FRAME));
    expect([slow.sent, slow.destroyed]).toEqual([textOf(frame(1)), false]);
    jest.advanceTimersByTime(2 * COMMENT_EVERY_MS);
    expect([slow.destroyed, streams.size]).toEqual([true, 1]);
    streams.closeAll();
    expect(quick.ended).toBe(true);
    jest.advanceTimersByTime(1_000);
    expect([quick.destroyed, jest.getTimerCount()]).toEqual([true, 0]);
  });
});
