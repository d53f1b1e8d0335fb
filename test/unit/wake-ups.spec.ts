/** Who appends tells other processes, and only where there are any. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { PipelinedConnection } from '../../src/event-store/postgres/pipelined-connection.js';
import { WakeUps } from '../../src/event-store/postgres/wake-ups.js';

const given = () => {
  const listeners = { are: false, asked: 0 };
  const connection = { execute: jest.fn(() => Promise.resolve([])) };
  const wakeUps = new WakeUps(connection as unknown as PipelinedConnection, () => {
    listeners.asked += 1;
    return Promise.resolve(listeners.are);
  });
  return { listeners, connection, wakeUps };
};

describe('wake-ups of other processes', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('are sent with the first append, while nobody knows yet whether one listens', () => {
    const { wakeUps } = given();
    expect(wakeUps.take()).toBe(true);
    wakeUps.close();
  });

  it('are not sent while nobody listens', async () => {
    const { wakeUps, connection } = given();
    wakeUps.take();
    await jest.advanceTimersByTimeAsync(1_000);
    expect(wakeUps.take()).toBe(false);
    await jest.advanceTimersByTimeAsync(900);
    expect(connection.execute).not.toHaveBeenCalled();
    wakeUps.close();
  });

  it('tell one who began to listen of what was appended before it was known', async () => {
    const { wakeUps, connection, listeners } = given();
    wakeUps.take();
    await jest.advanceTimersByTimeAsync(1_000);
    wakeUps.take();
    listeners.are = true;
    await jest.advanceTimersByTimeAsync(1_100);
    expect(connection.execute).toHaveBeenCalledTimes(1);

    wakeUps.close();
  });

  it('ask for listeners only while something is appended', async () => {
    const { wakeUps, listeners } = given();
    wakeUps.take();
    await jest.advanceTimersByTimeAsync(10_000);
    expect(listeners.asked).toBe(1);
    wakeUps.close();
  });
});
