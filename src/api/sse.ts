/**
 * One reader of a stream of server-sent events, over the raw response.
 *
 * Two ways to feed it. `write` waits for a slow reader: for what can be read again, as pages of the log. `offer` never
 * waits: for live events, which come at the log's pace. When more than the limit is pending, offered frames are dropped
 * and counted as a gap, and `gap {from, to}` follows as soon as the reader has taken what was pending. So a slow reader
 * costs the limit and one frame at most, and always learns what it has missed.
 */
import type { ServerResponse } from 'node:http';
import { caughtUpFrame, COMMENT_FRAME, type Frame, gapFrame } from './sse-frame.js';

export interface SseOptions {
  /** Bytes that may wait for a reader before frames are dropped. */
  readonly maxPendingBytes: number;
  /** What the reader has seen before the first frame: the start of a first gap. */
  readonly after: string;
  /** Called when a reader that had missed frames has taken all that was pending, after its `gap`. */
  readonly onDrained?: () => void;
}

/** Ended streams get so long to flush to a slow reader. */
const END_GRACE_MS = 1_000;

export class SseStream {
  private readonly closing = new AbortController();
  /** Position of the last event written, or seen before. */
  private last: string;
  /** Something was dropped since the last drain; `missedTo` is the last position of it. */
  private missed = false;
  private missedTo: string | null = null;
  private blocked = false;
  private drained: PromiseWithResolvers | undefined;
  private beatsBlocked = 0;

  constructor(
    private readonly response: ServerResponse,
    private readonly options: SseOptions,
  ) {
    this.last = options.after;
    response.on('drain', () => this.resume());
    response.on('close', () => this.close());
    response.on('error', () => this.close());
  }

  /** Aborted when the reader has gone or the stream was ended: sources stop then. */
  get signal(): AbortSignal {
    return this.closing.signal;
  }

  get closed(): boolean {
    return this.closing.signal.aborted;
  }

  /** Bytes that the reader has not taken yet. */
  get pendingBytes(): number {
    return this.response.writableLength;
  }

  /** Writes unless too much is pending. False: the frame was not sent; a `gap` will say so when it had a position. */
  offer(frame: Frame): boolean {
    if (this.closed) return false;
    const isFull = this.blocked && this.pendingBytes + frame.bytes.length > this.options.maxPendingBytes;
    if (!this.missed && !isFull) {
      this.put(frame);
      return true;
    }
    this.missed = true;
    this.missedTo = frame.position ?? this.missedTo;
    return false;
  }

  /** Writes, and waits until the reader can take more. False when it has gone. */
  async write(frame: Frame): Promise<boolean> {
    if (this.closed) return false;
    this.put(frame);
    if (this.blocked) await this.untilDrained();
    return !this.closed;
  }

  /** Writes all that the source gives, at the reader's pace. The source should also heed `signal`. */
  async pump(source: AsyncIterable<Frame>): Promise<void> {
    for await (const frame of source) {
      if (!(await this.write(frame))) return;
    }
  }

  /** Says that everything up to the position has been sent. */
  caughtUp(position: string): void {
    if (this.offer(caughtUpFrame(position))) this.last = position;
  }

  /**
   * Called at every beat of the registry.
   * @returns for how many beats in a row the reader has taken nothing.
   */
  beat(): number {
    this.beatsBlocked = this.blocked ? this.beatsBlocked + 1 : 0;
    if (!this.blocked && !this.closed) this.put(COMMENT_FRAME);
    return this.beatsBlocked;
  }

  /** Ends the stream; what is pending is flushed, unless the reader does not take it soon. */
  end(): void {
    if (this.closed) return;
    this.close();
    this.response.end();
    const timer = setTimeout(() => this.response.destroy(), END_GRACE_MS);
    timer.unref();
    this.response.on('close', () => clearTimeout(timer));
  }

  /** Cuts the connection at once. */
  destroy(): void {
    this.close();
    this.response.destroy();
  }

  private put(frame: Frame): void {
    this.blocked = !this.response.write(frame.bytes);
    if (frame.position !== null) this.last = frame.position;
  }

  private resume(): void {
    this.blocked = false;
    this.drained?.resolve();
    this.drained = undefined;
    if (!this.missed || this.closed) return;
    const to = this.missedTo;
    this.missed = false;
    this.missedTo = null;
    if (to !== null) {
      this.put(gapFrame(this.last, to));
      this.last = to;
    }
    this.options.onDrained?.();
  }

  private close(): void {
    this.closing.abort();
    this.drained?.resolve();
  }

  private untilDrained(): Promise<void> {
    this.drained ??= withResolvers();
    return this.drained.promise;
  }
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

const withResolvers = (): PromiseWithResolvers => {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
};
