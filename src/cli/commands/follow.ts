/**
 * Follows a stream for somebody who watches: goes on after an outage where it was, and says so on standard error. What
 * the service had to drop for a slow reader is asked for again.
 */
import { type Position, type StreamFrame, type StreamOptions, UnreachableError } from '../../client/client.js';
import { reasonOf } from '../../client/reason.js';
import { BrokenPipe } from '../output-lost.js';
import type { Option } from '../command.js';
import type { Terminal } from '../terminal.js';
import { EXIT } from '../exit-codes.js';

export const FOLLOW_OPTIONS = {
  after: { value: 'POSITION', help: 'begin behind this position; 0 is the start of the log (default: from now)' },
  limit: { value: 'N', help: 'end after N of them' },
  'no-follow': { help: 'end when all that is recorded so far was shown' },
} as const satisfies Record<string, Option>;

export interface Followed<T> {
  readonly open: (after: Position | undefined, options: StreamOptions) => AsyncIterable<StreamFrame<T>>;
  readonly show: (data: T) => Promise<void>;
  readonly after: Position | undefined;
  readonly limit: number;
  readonly endsWhenCaughtUp: boolean;
}

/**
 * @param firstMs how long the first connection may take; later ones are tried until they are made
 * @returns the exit code.
 * @throws UnreachableError when no connection was ever made.
 */
export const followStream = async <T>(
  followed: Followed<T>,
  terminal: Terminal,
  interrupted: AbortSignal,
  firstMs: number,
): Promise<number> => {
  const tooLate = new AbortController();
  const signal = AbortSignal.any([interrupted, tooLate.signal]);
  const timer = setTimeout(() => tooLate.abort(), firstMs);
  let after = followed.after;
  let isConnected = false;
  let isAway = false;
  let shown = 0;
  const onDisconnect = (cause: unknown): void => {
    const why = cause === undefined ? 'the service ended it' : reasonOf(cause);
    if (!isConnected) throw new UnreachableError(`no stream: ${why}`, { cause });
    if (!isAway) terminal.note(`the stream was cut (${why}); it goes on after position ${after ?? 0} when it can`);
    isAway = true;
  };
  /** @returns where to begin again; undefined at the end. */
  const once = async (): Promise<Position | undefined> => {
    for await (const frame of followed.open(after, { signal, onDisconnect })) {
      isConnected = true;
      clearTimeout(timer);
      if (isAway) terminal.note(`the stream goes on after position ${after ?? 0}`);
      isAway = false;
      if (frame.kind === 'gap') return frame.from;
      if (frame.position !== null) after = frame.position;
      if (frame.kind === 'caught-up') {
        if (followed.endsWhenCaughtUp) return undefined;
        continue;
      }
      await followed.show(frame.data);
      shown += 1;
      if (shown >= followed.limit) return undefined;
    }
    return undefined;
  };
  try {
    for (let from = await once(); from !== undefined; from = await once()) after = from;
  } finally {
    clearTimeout(timer);
  }
  if (tooLate.signal.aborted) throw new UnreachableError(`no stream: no answer in ${firstMs} ms`);
  return interrupted.aborted && !(interrupted.reason instanceof BrokenPipe) ? EXIT.INTERRUPTED : EXIT.OK;
};
