/**
 * The end of the log, followed once for all of this process who want to see it grow: readers of streams, and whoever
 * waits for something to happen.
 *
 * It runs while somebody listens. It reads only through the port, recovers by itself from a log that is away, and then
 * goes on where it was.
 */
import {
  type CaughtUp,
  type EventFilter,
  type EventStore,
  type Position,
  type RecordedEvent,
} from '../event-store/event-store.js';
import { follow } from './follower.js';
import { pauseFor } from './wake.js';

export type TailListener = (events: readonly RecordedEvent[]) => void;

export interface LogTailOptions {
  /** Live events that wait for a follower who is slow before it is sent to the log instead; default 1,000. */
  readonly maxBuffered?: number;
  /** The same in bytes; default 4 MiB. */
  readonly maxBufferedBytes?: number;
  /** Told of what a listener threw, and of a log that cannot be read; default nobody. */
  readonly onError?: (error: unknown) => void;
  /** Told of the last event of each page that is read for whoever follows; default nobody. */
  readonly saw?: (event: RecordedEvent) => void;
}

export interface FollowOptions {
  readonly filter?: EventFilter;
  /** Ends the iteration without an error. */
  readonly signal: AbortSignal;
}

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

/** From the first listener to the last. */
interface Run {
  readonly stop: AbortController;
  /** Undefined until the head was read. */
  position: Position | undefined;
  readonly started: Promise<void>;
  readonly setStarted: () => void;
}

export class LogTail {
  private readonly listeners = new Set<{ readonly hear: TailListener; readonly onReplaced: () => void }>();
  private run: Run | undefined;
  private readonly maxBuffered: number;
  private readonly maxBufferedBytes: number;
  private readonly onError: (error: unknown) => void;
  /** Told of what is read: the last event of a page. */
  readonly saw: (event: RecordedEvent) => void;

  constructor(
    private readonly store: EventStore,
    {
      maxBuffered = 1_000,
      maxBufferedBytes = 4 * 1_048_576,
      onError = () => undefined,
      saw = () => undefined,
    }: LogTailOptions = {},
  ) {
    this.saw = saw;
    this.maxBuffered = maxBuffered;
    this.maxBufferedBytes = maxBufferedBytes;
    this.onError = onError;
  }

  /** Everything up to here was delivered, and everything after it will be; null while nobody listens, or at first. */
  current(): Position | null {
    return this.run?.position ?? null;
  }

  /**
   * Resolves when the tail runs, or at once when nobody listens any more. Whoever waits for something subscribes, awaits
   * this, and then looks whether it has happened already: what happens after that look is delivered.
   */
  async started(): Promise<void> {
    await this.run?.started;
  }

  /**
   * Delivers events from the tail's position on, each once and in order. The listener is called in the tail's own loop:
   * it must not take long. What it throws is reported, and keeps nobody else from hearing.
   * @param onReplaced before events of another log are delivered: those that follow are from its end on
   * @returns how to stop
   */
  subscribe(listener: TailListener, onReplaced: () => void = () => undefined): () => void {
    const entry = { hear: listener, onReplaced };
    this.listeners.add(entry);
    this.run ??= this.begin();
    return () => {
      this.listeners.delete(entry);
      if (this.listeners.size > 0) return;
      this.end();
    };
  }

  /**
   * Every event after a position, for ever: pages from the log until they meet the tail, then live; nothing is missed,
   * nothing comes twice. `CaughtUp` each time the live events begin. A reader that is slower than the log falls back to
   * reading pages: it holds `maxBuffered` events at most, `maxBufferedBytes` of them, and all of them share the same.
   * @throws LogReplaced, and what the log throws when it cannot be read for another reason than being away
   */
  readThenFollow(after: Position, options: FollowOptions): AsyncIterable<readonly RecordedEvent[] | CaughtUp> {
    const { store, maxBuffered, maxBufferedBytes } = this;
    return follow({ store, tail: this, maxBuffered, maxBufferedBytes }, after, options);
  }

  /** The log is another one: it is followed from its end on, and who followed it from a position on is told. */
  replace(): void {
    if (this.run === undefined) return;
    this.end();
    for (const { onReplaced } of [...this.listeners]) onReplaced();
    if (this.listeners.size > 0) this.run ??= this.begin();
  }

  private begin(): Run {
    let setStarted = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      setStarted = resolve;
    });
    const run: Run = { stop: new AbortController(), position: undefined, started, setStarted };
    void this.drive(run);
    return run;
  }

  private end(): void {
    this.run?.stop.abort();
    this.run?.setStarted();
    this.run = undefined;
  }

  private async drive(run: Run): Promise<void> {
    const { signal } = run.stop;
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      try {
        run.position ??= (await this.store.head()).position;
        run.setStarted();
        for await (const item of this.store.subscribe({ after: run.position, signal })) {
          retryMs = FIRST_RETRY_MS;
          if (this.run === run && !('caughtUp' in item)) this.deliver(run, item);
        }
      } catch (error) {
        this.onError(error);
        await pauseFor(retryMs, signal);
        retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
      }
    }
  }

  private deliver(run: Run, events: readonly RecordedEvent[]): void {
    const last = events.at(-1)!;
    run.position = last.position;
    this.saw(last);
    // A copy: who begins to listen now begins after these.
    for (const { hear } of [...this.listeners]) {
      try {
        hear(events);
      } catch (error) {
        this.onError(error);
      }
    }
  }
}
