/**
 * Bare heartbeats: they renew the lease row and are no history. Those that arrive while a renewal is in flight go
 * together in the next one, so ten thousand leases cost a few statements a second.
 */
import type { Beat, Leases, Renewed } from '../leases/leases.js';
import { Overloaded } from './errors.js';

interface Waiting {
  readonly beat: Beat;
  readonly resolve: (renewed: Renewed | null) => void;
  readonly reject: (error: unknown) => void;
}

const GROUP = 500;

export class Heartbeats {
  private waiting: Waiting[] = [];
  private inFlight = false;

  constructor(
    private readonly leases: Leases,
    private readonly maxPending: number,
  ) {}

  /** Renews the lease; null when it is not the caller's any more. */
  beat(beat: Beat): Promise<Renewed | null> {
    if (this.waiting.length >= this.maxPending)
      return Promise.reject(new Overloaded('too many heartbeats wait: nothing was done; repeat the call later'));
    return new Promise((resolve, reject) => {
      this.waiting.push({ beat, resolve, reject });
      if (!this.inFlight) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.inFlight = true;
    while (this.waiting.length > 0) {
      const group = this.waiting.splice(0, GROUP);
      try {
        const renewed = await this.leases.renew(group.map(({ beat }) => beat));
        for (const [index, waiting] of group.entries()) waiting.resolve(renewed[index] ?? null);
      } catch (error) {
        for (const waiting of group) waiting.reject(error);
      }
    }
    this.inFlight = false;
  }
}
