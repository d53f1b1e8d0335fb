import type { ClaimFilter, Offer } from '../leases/leases.js';

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
