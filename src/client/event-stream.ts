/**
 * A live stream that outlives its connections: it reconnects with back-off, asks for what came after the last frame it
 * gave, and so neither misses nor repeats one. What the server had to drop for a slow reader shows as a `gap` frame,
 * and the stream goes on behind it.
 */
import type { CaughtUp, Gap, Position } from '../api/contract.js';
import { backoffMs, sleep, type Clock } from './clock.js';
import { MisledError, ProblemError, UnavailableError } from './errors.js';
import { onAbort } from './on-abort.js';
import { SseParser, type SseFrame } from './sse.js';

/** What a stream gives. */
export type StreamFrame<T> =
  | {
      readonly kind: 'data';
      readonly data: T;
      /** Where to resume with `after`; null on streams that begin with a snapshot. */
      readonly position: Position | null;
    }
  /** All that had happened has been given; what follows is live. After every connect. */
  | ({ readonly kind: 'caught-up' } & CaughtUp)
  /** Events after `from` up to `to` are missing here: read them from the log. */
  | ({ readonly kind: 'gap' } & Gap);

export interface StreamOptions {
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
  /** Told of each lost connection before the next is tried; the server may end one in good order (`undefined`). */
  readonly onDisconnect?: (cause: unknown) => void;
}

export interface StreamSource {
  readonly clock: Clock;
  /** Opens a connection that begins after this position; null: wherever the stream begins. */
  readonly connect: (after: Position | null, signal: AbortSignal) => Promise<Response>;
  /** False: each connection begins with a snapshot. */
  readonly resumable: boolean;
  /** Asked when a connection ends in good order: was that the end of the stream? Default: it has none. */
  readonly hasEnded?: (after: Position | null) => Promise<boolean>;
}

/** The server comments every 15 s, so three of them missed is a dead connection. */
const SILENCE_MS = 45_000;
const INITIAL_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 15_000;

const isFinal = (error: unknown): boolean =>
  error instanceof SyntaxError ||
  error instanceof MisledError ||
  (error instanceof ProblemError && !(error instanceof UnavailableError));

/**
 * @throws ProblemError when the ledger refuses the stream (a filter, a position beyond the head, an unknown job);
 * UnreachableError when what answers redirects and never was a ledger; SyntaxError when a frame is no JSON.
 */
export async function* streamFrames<T>(
  source: StreamSource,
  { signal, onDisconnect }: StreamOptions,
): AsyncGenerator<StreamFrame<T>, void, undefined> {
  let after: Position | null = null;
  let failures = 0;
  const parser = { retryMs: INITIAL_BACKOFF_MS };
  while (signal?.aborted !== true) {
    let cause: unknown;
    try {
      for await (const frame of framesOfConnection(source, after, parser, signal)) {
        failures = 0;
        const read: StreamFrame<T> = toStreamFrame<T>(frame);
        if (source.resumable) after = resumePosition(read) ?? after;
        yield read;
        if (isAborted(signal)) return;
      }
      if (await source.hasEnded?.(after)) return;
    } catch (error) {
      if (isAborted(signal)) return;
      if (isFinal(error)) throw error;
      cause = error;
    }
    onDisconnect?.(cause);
    failures += 1;
    await sleep(source.clock, backoffMs(source.clock, failures, parser.retryMs, MAX_BACKOFF_MS), signal).catch(
      () => undefined,
    );
  }
}

/** Apart, because the compiler takes `signal.aborted` for constant within a block. */
const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

async function* framesOfConnection(
  source: StreamSource,
  after: Position | null,
  delay: { retryMs: number },
  signal: AbortSignal | undefined,
): AsyncGenerator<SseFrame, void, undefined> {
  const connection = new AbortController();
  const heedNoMore = onAbort(signal, () => connection.abort(signal?.reason));
  const watchdog = new Watchdog(source.clock, () => connection.abort(new Error(`nothing in ${SILENCE_MS} ms`)));
  const parser = new SseParser();
  const decoder = new TextDecoder();
  try {
    watchdog.reset();
    const response = await source.connect(after, connection.signal);
    if (response.body === null) return;
    for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
      // A reader that is slow to take a frame is no silence of the server.
      watchdog.stop();
      yield* parser.push(decoder.decode(bytes, { stream: true }));
      delay.retryMs = parser.retryMs ?? delay.retryMs;
      watchdog.reset();
    }
  } finally {
    watchdog.stop();
    heedNoMore();
  }
}

class Watchdog {
  #cancel: () => void = () => undefined;

  constructor(
    private readonly clock: Clock,
    private readonly onSilence: () => void,
  ) {}

  reset(): void {
    this.#cancel();
    this.#cancel = this.clock.after(SILENCE_MS, this.onSilence);
  }

  stop(): void {
    this.#cancel();
  }
}

const toStreamFrame = <T>({ event, data, id }: SseFrame): StreamFrame<T> => {
  const value = JSON.parse(data) as unknown;
  if (event === 'caught-up') return { kind: 'caught-up', ...(value as CaughtUp) };
  if (event === 'gap') return { kind: 'gap', ...(value as Gap) };
  return { kind: 'data', data: value as T, position: id };
};

/** Control frames carry no id, but say how far the stream is: without it a cut before the first event would lose some. */
const resumePosition = (frame: StreamFrame<unknown>): Position | null =>
  frame.kind === 'gap' ? frame.to : frame.position;
