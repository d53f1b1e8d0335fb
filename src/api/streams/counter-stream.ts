/** The stream of counters: read once for all readers of this process, shown when they have changed. */
import { Injectable } from '@nestjs/common';
import { comparePositions, type Position } from '../../event-store/event-store.js';
import { type CountersAnswer, CounterQueries } from '../../projections/counters/counter-queries.js';
import { LogTail } from '../../projections/log-tail.js';
import { eventFrame, type Frame } from '../sse-frame.js';
import type { SseStream } from '../sse.js';

/** Between two looks while the log grows, ms: nobody reads numbers faster. */
const LOOK_EVERY_MS = 250;

@Injectable()
export class CounterStream {
  /** With the position of what each was shown last; null before its snapshot. */
  private readonly readers = new Map<SseStream, Position | null>();
  private timer: NodeJS.Timeout | undefined;
  private unsubscribe: (() => void) | undefined;
  private reading: Promise<CountersAnswer> | undefined;

  constructor(
    private readonly counters: CounterQueries,
    private readonly tail: LogTail,
  ) {}

  /** A snapshot at once, then each change. */
  async follow(stream: SseStream): Promise<void> {
    this.unsubscribe ??= this.tail.subscribe(() => this.lookSoon());
    this.readers.set(stream, null);
    stream.signal.addEventListener('abort', () => this.leave(stream), { once: true });
    // What happens after this is heard of; what happened before is seen by the look that follows the snapshot.
    await this.tail.started();
    const snapshot = await this.counters.counters();
    if (stream.closed) return;
    this.show(stream, snapshot, frameOf(snapshot));
    stream.caughtUp(snapshot.position);
    this.lookSoon();
  }

  private show(stream: SseStream, { position }: CountersAnswer, frame: Frame): void {
    this.readers.set(stream, position);
    stream.offer(frame);
  }

  private leave(stream: SseStream): void {
    this.readers.delete(stream);
    if (this.readers.size > 0) return;
    this.unsubscribe?.();
    this.unsubscribe = undefined;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private lookSoon(): void {
    this.timer ??= setTimeout(() => void this.look(), LOOK_EVERY_MS);
  }

  /** The projection follows the log: until it has come to where the log is, there is another look. */
  private async look(): Promise<void> {
    this.timer = undefined;
    const now = await this.read().catch(() => undefined);
    if (this.readers.size === 0) return;
    if (now === undefined) {
      this.lookSoon();
      return;
    }
    const end = this.tail.current();
    if (end === null || comparePositions(now.position, end) < 0) this.lookSoon();
    const frame = frameOf(now);
    for (const [reader, shown] of this.readers) {
      if (shown !== null && comparePositions(now.position, shown) > 0) this.show(reader, now, frame);
    }
  }

  private read(): Promise<CountersAnswer> {
    this.reading ??= this.counters.counters().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }
}

const frameOf = (answer: CountersAnswer): Frame => eventFrame('counters', answer);
