/**
 * From where on searches for candidates look. A snapshot that somebody holds open (a dump, a report) keeps every version
 * of every row, and a search that begins at the head of its queue visits the rows of all jobs that were claimed since.
 *
 * Once the searches of a filter are slow, they begin at a mark: a time below which a search found nothing that was left
 * to claim. A search that found as many as it was to find saw the highest priorities alone, so a mark that it set holds
 * for those: with the first search that finds less it is off, and that one looks from the head as well.
 *
 * What comes in below a mark all the same (a job that is queued again keeps its place) is remembered by its id, a stray,
 * when this process wrote it or let it go. What another process did there is looked for behind the mark, for a tenth of
 * the time at most: a claim may find it that much later, never not at all. When both are fast, nothing holds anything any more:
 * searches begin at the head again.
 */
import type { Claimable } from '../domain/claimable.js';
import type { ClaimFilter } from './leases.js';

/** A search that takes longer is slow, ms; so many one after the other set a mark. */
const SLOW_MS = 25;
const SLOW_RUN = 3;
/** A look behind a mark that takes less takes the mark away, ms, where the search from it was not slow. */
const FAST_MS = 10;
/** A look behind a mark is followed by the next after so many times what it took, and at the earliest after this, ms. */
const LOOK_SHARE = 10;
const LOOK_GAP_MS = 250;
/** Candidates of a look. */
export const LOOK_LIMIT = 1_000;
/** A job is in the table so long after its time, ms: a mark stays that far behind. */
const WRITTEN_WITHIN_MS = 250;
/** With more strays, or more filters, searches begin at the head again. */
const MAX_STRAYS = 5_000;
const MAX_FILTERS = 1_000;
/** What a claim may take, as text: one for the same queues and types. */
export const filterKey = ({ queues, types }: ClaimFilter): string =>
  JSON.stringify([queues === undefined ? null : [...queues].sort(), types ?? null]);

interface Mark {
  readonly filter: ClaimFilter;
  /** Epoch ms. */
  from: number;
  /** Set by a search that found all that it was to find. */
  isPartial: boolean;
  /** Slow searches that found all they were to find, one after the other. */
  slow: number;
  /** What the last search took, ms. */
  tookMs: number;
  /** Ids, each with its place. */
  strays: Map<string, number>;
  /** When to look behind it next, by the monotonic clock. */
  lookAt: number;
  /** A look that is under way. */
  look: { readonly before: number; readonly since: Map<string, number> } | null;
}

export interface Searched {
  /** When it began, by the database's time, epoch ms. */
  readonly startedAt: number;
  /** How long it took. */
  readonly tookMs: number;
  /** The most that it was to find. */
  readonly limit: number;
  /** The candidates that it found, `at` null of a row that makes no sense; null when it did not end in time. */
  readonly found: readonly Pick<Claimable, 'id' | 'at'>[] | null;
}

export interface LookedBehind {
  readonly tookMs: number;
  /** At most `LOOK_LIMIT`; null when it failed. */
  readonly ids: readonly string[] | null;
}

const matches = ({ queues, types }: ClaimFilter, { queue, type }: Claimable): boolean =>
  queues?.includes(queue) !== false && types?.includes(type) !== false;

const stray = (mark: Mark, { id, at }: Pick<Claimable, 'id' | 'at'>): void => {
  mark.strays.set(id, at ?? -Infinity);
  mark.look?.since.set(id, at ?? -Infinity);
};

/** Up to the first that was found: what was before it is gone or held. A mark does not go back. */
const advance = (mark: Mark, { startedAt, found, limit }: Searched): void => {
  const seen = (found ?? []).filter(({ id }) => !mark.strays.has(id)).map(({ at }) => at ?? -Infinity);
  mark.from = Math.max(mark.from, Math.min(startedAt - WRITTEN_WITHIN_MS, ...seen));
  mark.isPartial = (found ?? []).length >= limit;
  mark.slow = 0;
};

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
    if (mark === undefined) return { from: null, strays: [] };
    return { from: mark.from === -Infinity ? null : mark.from, strays: [...mark.strays.keys()] };
  }

  /**
   * @param now of this process's monotonic clock, ms
   * @returns whether there may be more, from the head on: the mark is off
   */
  searched(filter: ClaimFilter, searched: Searched, now: number): boolean {
    const mark = this.marks.get(filterKey(filter));
    if (mark !== undefined) return this.move(mark, searched, now);
    if (this.isTooSlow(filterKey(filter), searched)) this.set(filter, searched, now);
    return false;
  }

  private isTooSlow(key: string, { tookMs }: Searched): boolean {
    const slow = tookMs < SLOW_MS ? 0 : (this.slow.get(key) ?? 0) + 1;
    if (slow === 0 || slow === SLOW_RUN) this.slow.delete(key);
    else this.slow.set(key, slow);
    return slow === SLOW_RUN;
  }

  private set(filter: ClaimFilter, searched: Searched, now: number): void {
    for (const kept of [this.marks, this.slow]) if (kept.size >= MAX_FILTERS) kept.clear();
    const mark: Mark = {
      ...{ filter, from: -Infinity, isPartial: false, slow: 0, tookMs: searched.tookMs },
      ...{ strays: new Map(), lookAt: now, look: null },
    };
    advance(mark, searched);
    for (const each of searched.found ?? []) stray(mark, each);
    this.marks.set(filterKey(filter), mark);
  }

  private move(mark: Mark, searched: Searched, now: number): boolean {
    const { found, tookMs, limit } = searched;
    mark.tookMs = tookMs;
    if (found === null) {
      // From the head it would not end the next time either: what is below is found by the look.
      advance(mark, searched);
      mark.lookAt = now;
      return false;
    }
    const isOff = mark.isPartial && found.length < limit;
    if (isOff) Object.assign(mark, { from: -Infinity, isPartial: false });
    else if (mark.isPartial || found.length < limit || this.isSlowAgain(mark, tookMs)) advance(mark, searched);
    // Each may be let go when the mark has passed it.
    for (const each of found) stray(mark, each);
    return isOff;
  }

  private isSlowAgain(mark: Mark, tookMs: number): boolean {
    mark.slow = tookMs < SLOW_MS ? 0 : mark.slow + 1;
    // Of a mark that is off it is known that searches from the head are.
    return mark.slow >= (mark.from === -Infinity ? 1 : SLOW_RUN);
  }

  /** Told of each state that this process knows to be in the log. */
  note(job: Claimable): void {
    for (const [key, mark] of this.marks) {
      if (job.at === null) mark.strays.delete(job.id);
      else if (job.at < mark.from && matches(mark.filter, job)) stray(mark, job);
      if (mark.strays.size > MAX_STRAYS) this.marks.delete(key);
    }
  }

  /** The mark of a filter that is to be looked behind now, epoch ms; undefined: not now. One look at a time. */
  lookBehind(filter: ClaimFilter, now: number): number | undefined {
    const mark = this.marks.get(filterKey(filter));
    if (mark === undefined || mark.look !== null || mark.from === -Infinity || now < mark.lookAt) return undefined;
    mark.look = { before: mark.from, since: new Map() };
    return mark.from;
  }

  lookedBehind(filter: ClaimFilter, { tookMs, ids }: LookedBehind, now: number): void {
    const key = filterKey(filter);
    const mark = this.marks.get(key);
    if (mark?.look == null) return;
    const { before, since } = mark.look;
    mark.look = null;
    mark.lookAt = now + Math.max(LOOK_GAP_MS, tookMs * LOOK_SHARE);
    if (ids === null) return;
    const isAll = ids.length < LOOK_LIMIT;
    // Of a mark that is far back a look is fast, and the search is slow.
    if (isAll && tookMs < FAST_MS && mark.tookMs < SLOW_MS) {
      this.marks.delete(key);
      return;
    }
    // What is below it and not among all of them was claimed, by whomever.
    const kept = [...mark.strays].filter(([, at]) => !isAll || at >= before);
    mark.strays = new Map([...kept, ...ids.map((id) => [id, -Infinity] as const), ...since]);
  }
}
