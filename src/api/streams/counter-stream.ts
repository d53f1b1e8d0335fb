/** The stream of counters: read once for all readers of this process, shown when they have changed. */
import { Injectable } from '@nestjs/common';
import { type CountersAnswer, CounterQueries } from '../../projections/counters/counter-queries.js';
import { LogTail } from '../../projections/log-tail.js';
import { eventFrame, type Frame } from '../sse-frame.js';
import type { SseStream } from '../sse.js';

/** Between two looks while the log grows, ms: nobody reads numbers faster. */
const LOOK_EVERY_MS = 250;

@Injectable()
export class CounterStream {
  private readonly readers = new Set<SseStream>();
  private last: CountersAnswer | undefined;
  private timer: NodeJS.Timeout | undefined;
  private unsubscribe: (() => void) | undefined;
  private reading: Promise<CountersAnswer> | undefined;

  constructor(
    private readonly counters: CounterQueries,
    private readonly tail: LogTail,
  ) {}

  /** A snapshot at once, then each change. */
  async follow(stream: SseStream): Promise<void> {
    this.join(stream);
    stream.signal.addEventListener('abort', () => this.leave(stream), { once: true });
    const snapshot = await this.read();
    await stream.write(frameOf(snapshot));
    stream.caughtUp(snapshot.position);
  }

  private join(stream: SseStream): void {
    this.readers.add(stream);
    this.unsubscribe ??= this.tail.subscribe(() => this.lookSoon());
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
    const before = this.last;
    const now = await this.read().catch(() => undefined);
    this.timer = undefined;
    if (this.readers.size === 0) return;
    const end = this.tail.current();
    if (now === undefined || (end !== null && BigInt(now.position) < BigInt(end))) this.lookSoon();
    if (now === undefined || now.position === before?.position) return;
    const frame = frameOf(now);
    for (const reader of this.readers) reader.offer(frame);
  }

  private read(): Promise<CountersAnswer> {
    this.reading ??= this.counters
      .counters()
      .then((answer) => (this.last = answer))
      .finally(() => {
        this.reading = undefined;
      });
    return this.reading;
  }
}

const frameOf = (answer: CountersAnswer): Frame => eventFrame('counters', answer);
