/** Time and chance as the client needs them; tests bring their own. */
import { onAbort } from './on-abort.js';

export interface Clock {
  /** Monotonic milliseconds from an arbitrary start. */
  now(): number;
  /** Calls `run` once after `ms`; what it returns takes that back. */
  after(ms: number, run: () => void): () => void;
  /** From 0 up to 1. */
  random(): number;
}

/** A longer timer overflows and fires at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, Math.min(ms, LONGEST_TIMER_MS));
    return () => {
      clearTimeout(timer);
    };
  },
  random: () => Math.random(),
};

/** Resolves after `ms`; rejects with the signal's reason when that aborts first. */
export const sleep = (clock: Clock, ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const heedNoMore = onAbort(signal, () => {
      cancel();
      reject(signal?.reason as Error);
    });
    const cancel = clock.after(ms, () => {
      heedNoMore();
      resolve();
    });
  });

/**
 * Exponential back-off with half of it left to chance, so that clients that failed together do not return together.
 * @param failures so far, from 1.
 */
export const backoffMs = (clock: Clock, failures: number, initialMs: number, maxMs: number): number =>
  Math.min(maxMs, initialMs * 2 ** Math.min(failures - 1, 30)) * (0.5 + clock.random() / 2);
