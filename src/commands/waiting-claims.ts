/** The claims that wait in a process, those of one filter together, in the order of their arrival. */
import { filterKey } from '../leases/search-marks.js';
import type { ClaimedJob, ClaimRequest } from './claim-request.js';

export interface Waiting {
  readonly request: ClaimRequest;
  readonly came: number;
  readonly until: number;
  readonly resolve: (claimed: readonly ClaimedJob[]) => void;
  readonly reject: (error: unknown) => void;
  readonly onAbort: () => void;
  settled: boolean;
  /** Candidates of it are being appended: it is not searched for meanwhile. */
  taking: boolean;
  /** A search was made for it that found too little, since it came or lost its candidates. */
  searched: boolean;
  /** Its key is known to have no answer. */
  isNew: boolean;
  /** Times that all its candidates were lost. */
  losses: number;
}

/**
 * Grouped as they come, not at each search: thousands of claims wait for the same jobs, and whatever is done to all of
 * them for each that comes keeps the process from everything else.
 */
export class WaitingClaims {
  private readonly byFilter = new Map<string, Set<Waiting>>();
  private readonly keys = new Map<Waiting, string>();

  get size(): number {
    return this.keys.size;
  }

  add(waiting: Waiting): void {
    const key = filterKey(waiting.request.filter);
    this.keys.set(waiting, key);
    const group = this.byFilter.get(key);
    if (group === undefined) this.byFilter.set(key, new Set([waiting]));
    else group.add(waiting);
  }

  delete(waiting: Waiting): void {
    const key = this.keys.get(waiting);
    if (key === undefined) return;
    this.keys.delete(waiting);
    const group = this.byFilter.get(key);
    group?.delete(waiting);
    if (group?.size === 0) this.byFilter.delete(key);
  }

  all(): Waiting[] {
    return [...this.keys.keys()];
  }

  /** Those that wait for a candidate. */
  idle(): Waiting[] {
    return this.all().filter(({ taking }) => !taking);
  }

  /** Those that wait for a candidate, by filter: of every filter, or of those where one was not searched for yet. */
  groups(all: boolean): Waiting[][] {
    return [...this.byFilter.values()]
      .map((group) => [...group].filter(({ taking }) => !taking))
      .filter((group) => (all ? group.length > 0 : group.some(({ searched }) => !searched)));
  }
}
