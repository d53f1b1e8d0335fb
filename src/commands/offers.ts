import { performance } from 'node:perf_hooks';
import type { ClaimFilter, Offer, Reservations } from '../leases/leases.js';

/** What could be claimed when somebody looked, asked by filter. */
export class Offers {
  private readonly byQueue = new Map<string, Set<string>>();
  private readonly types = new Set<string>();

  constructor(offers: readonly Offer[]) {
    for (const { queue, type } of offers) {
      this.types.add(type);
      const types = this.byQueue.get(queue);
      if (types === undefined) this.byQueue.set(queue, new Set([type]));
      else types.add(type);
    }
  }

  /** Whether there is something for it. */
  has({ queues, types }: ClaimFilter): boolean {
    const isOf = (offered: ReadonlySet<string>): boolean =>
      types === undefined ? offered.size > 0 : types.some((type) => offered.has(type));
    if (queues === undefined) return isOf(this.types);
    return queues.some((queue) => isOf(this.byQueue.get(queue) ?? new Set()));
  }
}

/**
 * From so many filters on, one look for all of them says which are worth a search of their own: 1,000 claims of 1,000 filters that
 * waited cost Node and the database 0.35 s a second.
 */
const LOOK_FROM = 4;
/** A look that takes longer is not worth it, ms: none is made for so many times what it took. */
const SLOW_MS = 25;
const REST_SHARE = 20;

export class OfferLooks {
  private restsUntil = -Infinity;

  constructor(
    private readonly reservations: Pick<Reservations<unknown>, 'offered'>,
    /** A monotonic clock, ms. */
    private readonly elapsed: () => number = () => performance.now(),
  ) {}

  /** Null: each filter is searched for, as there are few or a look takes long just now. */
  async look(filters: number): Promise<Offers | null> {
    const began = this.elapsed();
    if (filters < LOOK_FROM || began < this.restsUntil) return null;
    const offers = new Offers(await this.reservations.offered());
    const now = this.elapsed();
    if (now - began > SLOW_MS) this.restsUntil = now + (now - began) * REST_SHARE;
    return offers;
  }
}
