/** From where on a search for candidates looks, as searches are slow and fast. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { LOOK_LIMIT, SearchMarks, type Searched } from '../../src/leases/search-marks.js';

const FILTER = { queues: ['q'] };
/** Of the database's clock. */
const T = 1_000_000;
/** A mark stays so far behind the time of its search. */
const BEHIND = 250;

let marks: SearchMarks;
/** Of the monotonic clock. */
let now: number;
beforeEach(() => {
  marks = new SearchMarks();
  now = 0;
});

const at = (...times: number[]) => times.map((time) => ({ id: `j${time}`, at: time }));
const searched = (over: Partial<Searched> = {}): boolean =>
  marks.searched(FILTER, { startedAt: T, tookMs: 100, limit: 10, found: [], ...over }, now);
const slowly = (over: Partial<Searched> = {}): void => {
  for (let n = 0; n < 3; n += 1) searched(over);
};
const from = (): number | null => marks.begin(FILTER).from;
const strays = (): string[] => [...marks.begin(FILTER).strays].sort();
const job = (id: string, time: number | null) => ({ id, queue: 'q', type: 't', at: time });

describe('a mark', () => {
  it('is set by three slow searches, one after the other', () => {
    searched();
    searched();
    searched({ tookMs: 24 });
    searched();
    searched();
    expect([from(), marks.isEmpty]).toEqual([null, true]);
    searched();
    expect([from(), marks.isEmpty]).toEqual([T - BEHIND, false]);
    expect(marks.begin({}).from).toBeNull();
    expect(marks.begin({ queues: ['q'], types: ['t'] }).from).toBeNull();
  });

  it('is where the first that was found is, and what was found is a stray', () => {
    slowly({ found: at(T - 900, T - 5_000, T) });
    expect([from(), strays()]).toEqual([T - 5_000, [`j${T}`, `j${T - 5_000}`, `j${T - 900}`].sort()]);
  });

  it('is not past a row that makes no sense', () => {
    slowly({ found: [...at(T - 900), { id: 'odd', at: null }] });
    expect(from()).toBeNull();
  });

  it('goes on with searches that find all there is, and never back', () => {
    slowly();
    searched({ startedAt: T + 1_000, tookMs: 1 });
    expect(from()).toBe(T + 1_000 - BEHIND);
    searched({ startedAt: T + 2_000, tookMs: 1, found: at(T + 900) });
    expect(from()).toBe(T + 900);
    searched({ startedAt: T + 2_000, tookMs: 1, found: at(T) });
    expect(from()).toBe(T + 900);
  });

  it('stays where it is when a search finds as many as it may, until those are slow', () => {
    slowly();
    const full: Partial<Searched> = { startedAt: T + 9_000, limit: 1, found: at(T + 5_000) };
    searched({ ...full, tookMs: 24 });
    expect(from()).toBe(T - BEHIND);
    searched({ ...full, found: at(T + 5_001) });
    searched({ ...full, found: at(T + 5_002) });
    expect(from()).toBe(T - BEHIND);
    searched({ ...full, found: at(T + 5_003) });
    expect(from()).toBe(T + 5_003);
  });

  it('of searches that found as many as they might is off with one that finds less', () => {
    slowly({ limit: 2, found: at(T - 10, T - 20) });
    expect(from()).toBe(T - BEHIND);
    expect(searched({ limit: 2, found: at(T - 30, T - 5) })).toBe(false);
    expect(searched({ limit: 2, found: at(T - 2) })).toBe(true);
    expect(from()).toBeNull();
    expect(searched({ startedAt: T + 100 })).toBe(false);
    expect(from()).toBe(T + 100 - BEHIND);
    expect(searched({ startedAt: T + 200 })).toBe(false);
  });

  it('that is off is set anew by one search that is slow', () => {
    slowly({ limit: 1, found: at(T - 10) });
    searched({ limit: 1, found: [] });
    searched({ limit: 1, tookMs: 24, found: at(T - 9_000) });
    expect(from()).toBeNull();
    searched({ limit: 1, found: at(T - 400) });
    expect(from()).toBe(T - 400);
  });

  it('is set by searches that do not end in time, and then at once', () => {
    searched({ tookMs: 10_000, found: null });
    searched({ tookMs: 10_000, found: null });
    expect(from()).toBeNull();
    searched({ tookMs: 10_000, found: null });
    expect(from()).toBe(T - BEHIND);
    slowly({ limit: 1, found: at(T + 5_000), startedAt: T + 9_000 });
    searched({ limit: 1, found: [] });
    expect(from()).toBeNull();
    searched({ tookMs: 10_000, found: null, startedAt: T + 10_000 });
    expect(from()).toBe(T + 10_000 - BEHIND);
  });

  it('is off for all with more filters than are kept', () => {
    slowly();
    for (let n = 0; n < 1_000; n += 1)
      for (let each = 0; each < 3; each += 1)
        marks.searched({ queues: [`q${n}`] }, { startedAt: T, tookMs: 100, limit: 10, found: [] }, now);
    expect(from()).toBeNull();
    expect(marks.begin({ queues: ['q999'] }).from).toBe(T - BEHIND);
  });
});

describe('a stray', () => {
  beforeEach(() => slowly());

  it('is what this process writes below the mark, until it cannot be claimed', () => {
    marks.note(job('old', T - 5_000));
    marks.note(job('new', T));
    marks.note({ ...job('elsewhere', T - 5_000), queue: 'r' });
    expect(strays()).toEqual(['old']);
    marks.note(job('old', null));
    expect(strays()).toEqual([]);
  });

  it('is looked for at the head with too many others', () => {
    for (let n = 0; n <= 5_000; n += 1) marks.note(job(`j${n}`, 0));
    expect([from(), marks.isEmpty]).toEqual([null, true]);
  });
});

describe('a look behind the mark', () => {
  beforeEach(() => slowly());

  const look = (tookMs: number, ids: readonly string[] | null): void => {
    expect(marks.lookBehind(FILTER, now)).toBe(T - BEHIND);
    expect(marks.lookBehind(FILTER, now)).toBeUndefined();
    now += tookMs;
    marks.lookedBehind(FILTER, { tookMs, ids }, now);
  };

  it('is made at once, and again after ten times its time', () => {
    look(100, []);
    now += 999;
    expect(marks.lookBehind(FILTER, now)).toBeUndefined();
    now += 1;
    look(15, null);
    now += 249;
    expect(marks.lookBehind(FILTER, now)).toBeUndefined();
    now += 1;
    look(15, []);
    expect(marks.lookBehind({ queues: ['r'] }, now)).toBeUndefined();
  });

  it('takes the mark away when it is fast and finds all, as is the search', () => {
    look(9, ['a']);
    expect(from()).toBe(T - BEHIND);
    searched({ limit: 1, tookMs: 24, found: at(T + 1) });
    now += 250;
    look(
      9,
      Array.from({ length: LOOK_LIMIT }, (_, n) => `j${n}`),
    );
    expect(from()).toBe(T - BEHIND);
    now += 250;
    look(9, null);
    expect(from()).toBe(T - BEHIND);
    now += 250;
    look(9, ['a']);
    expect(from()).toBeNull();
  });

  it('says which strays there are, beside those that came meanwhile or are not below the mark', () => {
    marks.note(job('gone', T - 5_000));
    searched({ tookMs: 1, found: at(T + 7) });
    expect(marks.lookBehind(FILTER, now)).toBe(T - BEHIND);
    marks.note(job('came', T - 3_000));
    marks.lookedBehind(FILTER, { tookMs: 100, ids: ['found'] }, now);
    expect(strays()).toEqual(['came', 'found', `j${T + 7}`]);
  });

  it('of more than it may find leaves the others', () => {
    marks.note(job('kept', T - 5_000));
    look(
      100,
      Array.from({ length: LOOK_LIMIT }, (_, n) => `j${n}`),
    );
    expect(strays()).toContain('kept');
  });
});
