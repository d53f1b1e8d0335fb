/** An append that nothing more is heard of is left behind; one whose answer was not read yet is none. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { exceptStragglers } from '../../src/event-store/eventstoredb/unanswered.js';

const PATIENCE_MS = 2_000;

beforeEach(() => void jest.useFakeTimers());
afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

/** Two appends, the first of them answered. */
const begin = async () => {
  let answer = (): void => undefined;
  const second = new Promise<void>((resolve) => (answer = resolve));
  let isOver = false;
  const waiting = exceptStragglers([Promise.resolve(), second], PATIENCE_MS).then(() => (isOver = true));
  await jest.advanceTimersByTimeAsync(0);
  return { answer, waiting, isOver: () => isOver };
};

describe('an append of a call', () => {
  it('that is not answered for so long after another was is not waited for', async () => {
    const { waiting, isOver } = await begin();
    await jest.advanceTimersByTimeAsync(PATIENCE_MS - 1);
    expect(isOver()).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await waiting;
    expect(isOver()).toBe(true);
  });

  it('is waited for anew by a process that stood still: its answer may lie there unread', async () => {
    const { answer, waiting, isOver } = await begin();
    const now = performance.now();
    jest.spyOn(performance, 'now').mockReturnValue(now + PATIENCE_MS + 20_000);
    await jest.advanceTimersByTimeAsync(PATIENCE_MS);
    expect(isOver()).toBe(false);
    answer();
    await waiting;
    expect(jest.getTimerCount()).toBe(0);
  });
});
