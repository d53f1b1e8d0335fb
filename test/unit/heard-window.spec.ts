/** Whoever follows the end of the log is given what was heard of it: as the log has it, or not at all. */
import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { StoredEvent } from '../../src/event-store/eventstoredb/driver.js';
import { HeardWindow } from '../../src/event-store/eventstoredb/heard-window.js';

const eventAt = (position: number, type = 'Happened', data: StoredEvent['data'] = {}): StoredEvent => ({
  ...{ id: randomUUID(), type, stream: `s-${position}`, revision: 0, position: BigInt(position), data },
  metadata: { jobledger: { at: '2026-01-01T00:00:00.000Z', version: 1 } },
});

const windowOf = (...events: readonly StoredEvent[]): HeardWindow => {
  const window = new HeardWindow(() => 0);
  for (const event of events) window.add(event);
  return window;
};

const positionsOf = (page: ReturnType<HeardWindow['page']>): readonly string[] | undefined =>
  page?.events.map(({ position }) => position);

describe('a page of what was heard', () => {
  const window = windowOf(eventAt(90), eventAt(100, 'Other'), eventAt(1_000), eventAt(2_000));

  it('is everything behind a position, in the order of the log', () => {
    expect(positionsOf(window.page({ after: '90', limit: 10 }))).toEqual(['100', '1000', '2000']);
    expect(window.page({ after: '150', limit: 10 })).toMatchObject({ next: '2000', atEnd: true });
    expect(positionsOf(window.page({ after: '150', limit: 10 }))).toEqual(['1000', '2000']);
  });

  it('has as many as are asked for, and the next one goes on behind them', () => {
    const page = window.page({ after: '90', limit: 2 });
    expect(page).toMatchObject({ next: '1000', atEnd: false });
    expect(positionsOf(window.page({ after: page!.next, limit: 2 }))).toEqual(['2000']);
  });

  it('passes over what the filter drops, once', () => {
    const page = window.page({ after: '90', limit: 1, filter: { types: ['Other'] } });
    expect(positionsOf(page)).toEqual(['100']);
    expect(window.page({ after: '100', limit: 1, filter: { types: ['Other'] } })).toEqual({
      ...{ events: [], next: '2000', atEnd: true },
    });
  });

  it('is empty at the end', () => {
    expect(window.page({ after: '2000', limit: 10 })).toEqual({ events: [], next: '2000', atEnd: true });
  });

  it('is read from the log where something before it may be missing', () => {
    expect(window.page({ after: '89', limit: 10 })).toBeUndefined();
    expect(window.page({ limit: 10 })).toBeUndefined();
    expect(windowOf().page({ after: '0', limit: 10 })).toBeUndefined();
  });

  it('is read from the log once the subscription broke', () => {
    const broken = windowOf(eventAt(1), eventAt(2));
    broken.clear();
    expect(broken.page({ after: '1', limit: 10 })).toBeUndefined();
    broken.add(eventAt(4));
    expect(broken.page({ after: '2', limit: 10 })).toBeUndefined();
    expect(positionsOf(broken.page({ after: '4', limit: 10 }))).toEqual([]);
  });

  it('is read from the log after a second of silence: a subscription that hangs says nothing either', () => {
    let now = 0;
    const quiet = new HeardWindow(() => now);
    quiet.add(eventAt(1));
    now = 1_000;
    expect(quiet.page({ after: '1', limit: 10 })).toBeDefined();
    expect(quiet.at('1')).toBeDefined();
    now = 1_001;
    expect(quiet.page({ after: '1', limit: 10 })).toBeUndefined();
    expect(quiet.at('1')).toBeUndefined();
  });
});

describe('what others wrote into the same log', () => {
  it('is passed over', () => {
    const foreign: StoredEvent = { ...eventAt(2), metadata: {} };
    const window = windowOf(eventAt(1), foreign, eventAt(3));
    expect(positionsOf(window.page({ after: '1', limit: 10 }))).toEqual(['3']);
    expect(window.at('2')).toBeUndefined();
  });
});

describe('an event by its position', () => {
  const window = windowOf(eventAt(9), eventAt(10));

  it('is the one that stands exactly there', () => {
    expect(window.at('10')?.stream).toBe('s-10');
    expect(window.at('9')?.stream).toBe('s-9');
  });

  it('is none between, before or behind those that were heard', () => {
    expect(['8', '11', '0'].map((position) => window.at(position))).toEqual([undefined, undefined, undefined]);
  });
});

describe('the memory of a window', () => {
  it('is bounded by events: the oldest go first', () => {
    const window = windowOf();
    for (let position = 1; position <= 30_000; position += 1) window.add(eventAt(position));
    expect(window.page({ after: '20000', limit: 1 })).toBeUndefined();
    expect(positionsOf(window.page({ after: '29990', limit: 100 }))?.length).toBe(10);
    expect(window.at('30000')?.position).toBe('30000');
  });

  it('is bounded by bytes, and one event that is larger than all of it is not kept', () => {
    const large = { text: 'x'.repeat(3_000_000) };
    const window = windowOf(...[1, 2, 3, 4].map((position) => eventAt(position, 'Large', large)));
    expect(window.page({ after: '2', limit: 10 })).toBeUndefined();
    expect(positionsOf(window.page({ after: '3', limit: 10 }))).toEqual(['4']);
    window.add(eventAt(5, 'Large', { text: 'x'.repeat(9_000_000) }));
    expect(window.page({ after: '4', limit: 10 })).toBeUndefined();
    window.add(eventAt(6));
    window.add(eventAt(7));
    expect(window.page({ after: '4', limit: 10 })).toBeUndefined();
    expect(positionsOf(window.page({ after: '6', limit: 10 }))).toEqual(['7']);
  });
});
