/**
 * From where on searches for candidates look. A snapshot that somebody holds open (a dump, a report) keeps every version
 * of every row, and a search that begins at the head of its queue visits the rows of all jobs that were claimed since.
 *
 * Once the searches of a filter are slow, they begin at a mark: a time below which nothing was left to claim when the
 * last search looked. What comes in below it all the same (a job that is queued again keeps its place) is remembered by
 * its id, a stray, when this process wrote it. What another process wrote there, or let go, is looked for behind the
 * mark, for a tenth of the time at most: a claim of this process may find it that much later, never not at all. A look
 * that is fast finds that nothing holds anything any more: searches begin at the head again.
 */
import type { Claimable } from '../domain/claimable.js';
import type { ClaimFilter } from './leases.js';

/** A search that takes longer is slow, ms; so many one after the other set a mark. */
const SLOW_MS = 25;
const SLOW_RUN = 3;
/** A look behind a mark that takes less takes the mark away, ms. */
const FAST_MS = 10;
/** A look behind a mark is followed by the next after so many times what it took, and at the earliest after this, ms. */
const LOOK_SHARE = 10;
const LOOK_GAP_MS = 250;
/** Candidates of a look. */
export const LOOK_LIMIT = 1_000;
/** A job is written so long after its time, ms: a mark stays that far behind. */
const WRITTEN_WITHIN_MS = 250;
/** With more strays, or more filters, searches begin at the head again. */
const MAX_STRAYS = 5_000;
const MAX_FILTERS = 1_000;
/** A search that failed after this long, ms, did not end in time, and would not the next time. */
const HOPELESS_MS = 1_000;

/** What a claim may take, as text: one for the same queues and types. */
export const filterKey = ({ queues, types }: ClaimFilter): string =>
  JSON.stringify([queues === undefined ? null : [...queues].sort(), types ?? null]);

interface Mark {
  readonly filter: ClaimFilter;
  /** Epoch ms. */
  from: number;
  strays: Set<string>;
  /** When to look behind it next, by the monotonic clock. */
  lookAt: number;
  /** Strays since the look began that is under way. */
  sinceLook: Set<string> | null;
}

export interface Searched {
  /** When it began, by the database's time, epoch ms. */
  readonly startedAt: number;
  /** How long it took. */
  readonly tookMs: number;
  /** The candidates that it found, `at` null of a row that makes no sense; null when it failed. */
  readonly found: readonly Pick<Claimable, 'id' | 'at'>[] | null;
}

export interface LookedBehind {
  readonly tookMs: number;
  /** At most `LOOK_LIMIT`; null when it failed. */
  readonly ids: readonly string[] | null;
}

const matches = ({ queues, types }: ClaimFilter, { queue, type }: Claimable): boolean =>
  queues?.includes(queue) !== false && types?.includes(type) !== false;

export class SearchMarks {
  private readonly marks = new Map<string, Mark>();
  /** Slow searches from the head, one after the other, by filter. */
  private readonly slow = new Map<string, number>();

  get isEmpty(): boolean {
    return this.marks.size === 0;
  }

  /** Where a search begins, epoch ms; null: at the head. And what it takes besides, wherever that is. */
  begin(filter: ClaimFilter): { readonly from: number | null; readonly strays: readonly string[] } {
    const mark = this.marks.get(filterKey(filter));
    return mark === undefined ? { from: null, strays: [] } : { from: mark.from, strays: [...mark.strays] };
  }

  /** @param now of this process's monotonic clock, ms */
  searched(filter: ClaimFilter, { startedAt, tookMs, found }: Searched, now: number): void {
    const key = filterKey(filter);
    const mark = this.marks.get(key);
    if (mark !== undefined) {
      if (found !== null) advance(mark, startedAt, found);
      return;
    }
    const isHopeless = found === null && tookMs > HOPELESS_MS;
    if (found === null && !isHopeless) return;
    const slow = tookMs < SLOW_MS ? 0 : (this.slow.get(key) ?? 0) + 1;
    if (slow < SLOW_RUN && !isHopeless) {
      if (slow === 0) this.slow.delete(key);
      else this.slow.set(key, slow);
      return;
    }
    this.slow.delete(key);
    if (this.marks.size >= MAX_FILTERS) this.marks.clear();
    const made: Mark = { filter, from: -Infinity, strays: new Set(), lookAt: now, sinceLook: null };
    advance(made, startedAt, found ?? []);
    this.marks.set(key, made);
  }

  /** Told of each state that this process knows to be in the log. */
  note(job: Claimable): void {
    for (const [key, mark] of this.marks) {
      if (job.at === null) mark.strays.delete(job.id);
      else if (job.at < mark.from && matches(mark.filter, job)) stray(mark, job.id);
      if (mark.strays.size > MAX_STRAYS) this.marks.delete(key);
    }
  }

  /** The mark of a filter that is to be looked behind now, epoch ms; undefined: not now. One at a time. */
  lookBehind(filter: ClaimFilter, now: number): number | undefined {
    const mark = this.marks.get(filterKey(filter));
    if (mark === undefined || mark.sinceLook !== null || now < mark.lookAt) return undefined;
    mark.sinceLook = new Set();
    return mark.from;
  }

  lookedBehind(filter: ClaimFilter, { tookMs, ids }: LookedBehind, now: number): void {
    const key = filterKey(filter);
    const mark = this.marks.get(key);
    if (mark === undefined) return;
    const since = mark.sinceLook ?? [];
    mark.sinceLook = null;
    mark.lookAt = now + Math.max(LOOK_GAP_MS, tookMs * LOOK_SHARE);
    if (ids === null) return;
    const isAll = ids.length < LOOK_LIMIT;
    if (isAll && tookMs < FAST_MS) this.marks.delete(key);
    // What is not among all of them was claimed, by whomever.
    else mark.strays = new Set([...(isAll ? [] : mark.strays), ...ids, ...since]);
  }
}

const stray = (mark: Mark, id: string): void => {
  mark.strays.add(id);
  mark.sinceLook?.add(id);
};

/**
 * Up to the first that was found: what is before it is gone or held. What was found is a stray until it is claimed, for
 * it may be let go when the mark has passed it.
 */
const advance = (mark: Mark, startedAt: number, found: NonNullable<Searched['found']>): void => {
  let from = startedAt - WRITTEN_WITHIN_MS;
  for (const { id, at } of found) {
    if (!mark.strays.has(id)) from = Math.min(from, at ?? -Infinity);
    stray(mark, id);
  }
  mark.from = Math.max(mark.from, from);
};
