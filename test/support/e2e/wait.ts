/** Waiting for a condition: never for a time. The limits only bound a test that has failed already. */
import { setTimeout as sleep } from 'node:timers/promises';

const LIMIT_MS = 120_000;
const POLL_MS = 25;

/**
 * Asks again until the answer is neither undefined nor false, and gives it.
 * @param what for the message: `timed out waiting for …`.
 * @throws Error after a generous limit.
 */
export const waitFor = async <Found>(
  what: string,
  ask: () => Promise<Found | undefined | false> | Found | undefined | false,
  limitMs = LIMIT_MS,
): Promise<Found> => {
  const until = performance.now() + limitMs;
  for (;;) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > until) throw new Error(`timed out waiting for ${what}`);
    await sleep(POLL_MS);
  }
};
