import type { RetryPolicy } from './policy.js';

/**
 * Back-off before the next attempt, in whole ms: exponential, capped, then shortened by chance so that a burst of
 * failures does not come back as a burst.
 * @param failedAttempts of the run, this failure included (≥ 1).
 * @param random in [0, 1).
 */
export const retryDelayMs = (retry: RetryPolicy, failedAttempts: number, random: number): number =>
  Math.round(
    Math.min(retry.maxMs, retry.initialMs * retry.factor ** (failedAttempts - 1)) * (1 - retry.jitter * random),
  );

/** Longest delay of a throttle that names a base instead of an instant: 10 minutes. */
const MAX_DOUBLED_MS = 600_000;

/** Doublings that take 1 ms beyond the longest delay; more would overflow, and 0 × Infinity is no number. */
const MAX_DOUBLINGS = 20;

/** `baseMs`, doubled with each throttle that the run had before. */
export const throttleDelayMs = (baseMs: number, throttlesBefore: number): number =>
  Math.min(baseMs * 2 ** Math.min(throttlesBefore, MAX_DOUBLINGS), MAX_DOUBLED_MS);
