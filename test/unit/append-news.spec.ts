/** News of the log cost nothing while there are none, and are never lost. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { EventStore } from '../../src/event-store/event-store.js';
import { MemoryEventStore } from '../../src/event-store/memory/memory-event-store.js';
import { AppendNews } from '../../src/projections/append-news.js';

let memory: MemoryEventStore;
let hints: boolean;
let looks: number;
let told: number;
let news: AppendNews;
let isAway: boolean;

beforeEach(() => {
  jest.useFakeTimers();
  memory = new MemoryEventStore({ clock: () => 0 });
  hints = true;
  looks = 0;
  told = 0;
  isAway = false;
  const store = {
    head: () => {
      looks += 1;
      return isAway ? Promise.reject(new Error('away')) : memory.head();
    },
    onAppended: (listener: () => void) =>
      memory.onAppended(() => {
        if (hints) listener();
      }),
  } as unknown as EventStore;
  news = new AppendNews(store, () => (told += 1));
  news.start();
});
afterEach(() => {
  news.stop();
  jest.useRealTimers();
});

const append = () =>
  memory.append([
    {
      stream: 'job-1',
      expected: 'any',
      events: [{ id: randomUUID(), type: 'Happened', version: 1, data: {}, metadata: {} }],
    },
  ]);

const silence = () => jest.advanceTimersByTimeAsync(60_000);

describe('news of appends', () => {
  it('are told at once by the hint', async () => {
    await append();
    expect({ told, looks }).toEqual({ told: 1, looks: 0 });
  });

  it('that no hint tells are found by looking', async () => {
    await silence();
    told = 0;
    hints = false;
    await append();
    await jest.advanceTimersByTimeAsync(4_000);
    expect(told).toBe(1);
    await append();
    await jest.advanceTimersByTimeAsync(1_000);
    expect(told).toBe(2);
  });

  it('cost one look in four seconds while there are none', async () => {
    await silence();
    looks = 0;
    told = 0;
    await jest.advanceTimersByTimeAsync(40_000);
    expect({ looks, told }).toEqual({ looks: 10, told: 0 });
  });

  it('are looked for after the log was away', async () => {
    isAway = true;
    await silence();
    isAway = false;
    hints = false;
    await append();
    told = 0;
    await silence();
    expect(told).toBe(1);
  });

  it('end with stop, also when it comes during a look, and begin again with start', async () => {
    await jest.advanceTimersByTimeAsync(1_000);
    news.stop();
    news.stop();
    await append();
    await silence();
    expect({ told, looks }).toEqual({ told: 1, looks: 1 });
    news.start();
    news.start();
    await append();
    expect(told).toBe(2);
    await silence();
    expect(looks).toBeLessThan(1 + 60);
  });
});
