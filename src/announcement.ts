/** What a process says on stdout of itself: where it listens, and that it is ready, which it is once the log answers. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Announcement {
  readonly ready: string;
  /** Said first, and only, when the log does not answer. */
  readonly notReady: string;
  readonly doesLogAnswer: () => Promise<boolean>;
  readonly say: (line: string) => void;
  /** Between two questions, ms; default 1,000. */
  readonly pauseMs?: number;
}

/** Resolves once it was said that the process is ready, or the signal came: then nothing more is said. */
export const announce = async (
  { ready, notReady, doesLogAnswer, say, pauseMs = 1_000 }: Announcement,
  signal: AbortSignal,
): Promise<void> => {
  let isReady = await doesLogAnswer();
  if (!isReady && !signal.aborted) say(notReady);
  while (!isReady && !signal.aborted) {
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    isReady = await doesLogAnswer();
  }
  if (!signal.aborted) say(ready);
};
