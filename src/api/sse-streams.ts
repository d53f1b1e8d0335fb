/**
 * All open streams of this process: opens them, keeps them alive, ends those of a key that was taken away, and all at
 * shutdown, where an open stream would hold the process. Readers that take nothing for a minute are cut: they resume with `Last-Event-ID` when they live.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import { Injectable, type OnModuleDestroy, Optional } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from './keys/caller.js';
import { unauthenticated, unavailable } from './problem.js';
import { SseStream } from './sse.js';

/** Between comments. */
export const COMMENT_EVERY_MS = 15_000;
/** Room for about a thousand events, so that a short hiccup of a reader makes no gap. */
export const MAX_PENDING_BYTES = 512 * 1024;
const MAX_BEATS_BLOCKED = 4;

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // nginx would collect frames before it passes them on.
  'x-accel-buffering': 'no',
};

export interface OpenOptions {
  /** What the reader has seen already; default nothing, `0`. */
  readonly after?: string;
  /** Called when a reader that had missed frames can take more. */
  readonly onDrained?: () => void;
}

@Injectable()
export class SseStreams implements OnModuleDestroy {
  private readonly streams = new Set<SseStream>();
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(@Optional() private readonly maxPendingBytes = MAX_PENDING_BYTES) {}

  get size(): number {
    return this.streams.size;
  }

  /**
   * Takes the response over and sends the headers. To a HEAD request that is all: the stream is closed at once.
   * @throws Problem `unavailable` after `closeAll`, `unauthenticated` when the caller's key is gone.
   */
  open(request: FastifyRequest, reply: FastifyReply, options: OpenOptions = {}): SseStream {
    if (this.stopped) throw unavailable('this process is stopping');
    const { after = '0', onDrained } = options;
    const { revoked } = callerOf(request);
    // It was taken away while the request waited for what it asked.
    if (revoked.aborted) throw unauthenticated('this API key is not known any more');
    reply.hijack();
    reply.raw.writeHead(200, { ...(reply.getHeaders() as OutgoingHttpHeaders), ...HEADERS });
    const stream = new SseStream(reply.raw, {
      after,
      maxPendingBytes: this.maxPendingBytes,
      ...(onDrained === undefined ? {} : { onDrained }),
    });
    if (request.method === 'HEAD') {
      stream.end();
      return stream;
    }
    reply.raw.flushHeaders();
    this.streams.add(stream);
    const onRevoked = (): void => stream.end();
    revoked.addEventListener('abort', onRevoked);
    stream.signal.addEventListener('abort', () => {
      revoked.removeEventListener('abort', onRevoked);
      this.forget(stream);
    });
    this.timer ??= setInterval(() => this.beat(), COMMENT_EVERY_MS).unref();
    return stream;
  }

  /** One comment to every reader that is not behind. */
  beat(): void {
    for (const stream of this.streams) {
      if (stream.beat() >= MAX_BEATS_BLOCKED) stream.destroy();
    }
  }

  /** Ends all streams, and refuses new ones. Idempotent. */
  closeAll(): void {
    this.stopped = true;
    for (const stream of [...this.streams]) stream.end();
  }

  onModuleDestroy(): void {
    this.closeAll();
  }

  private forget(stream: SseStream): void {
    this.streams.delete(stream);
    if (this.streams.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }
}
