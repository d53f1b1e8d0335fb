/**
 * Bare heartbeats: they renew the lease row and are no history. Those that arrive while a renewal is in flight go
 * together in the next one, so ten thousand leases cost a few statements a second.
 */
import { performance } from 'node:perf_hooks';
import { RowLocked } from '../event-store/event-store.js';
import type { Beat, Leases, Renewed } from '../leases/leases.js';
import { Overloaded } from './errors.js';

interface Waiting {
  readonly beat: Beat;
  readonly came: number;
  readonly resolve: (renewed: Renewed | null) => void;
  readonly reject: (error: unknown) => void;
}

const GROUP = 500;

/** A beat whose row is locked, usually by an append that is about to end, is tried again after this, ms. */
const AGAIN_MS = 20;
/** It is refused after this, ms: an append gives way to whoever holds a row much sooner. */
const LOCKED_MS = 2_000;

export class Heartbeats {
  private waiting: Waiting[] = [];
  private inFlight = false;
  /** Beats that are tried again in a moment. */
  private later = 0;

  constructor(
    private readonly leases: Leases,
    private readonly maxPending: number,
  ) {}

  /**
   * Renews the lease; null when it is not the caller's any more.
   * @throws RowLocked, Overloaded, Unavailable
   */
  beat(beat: Beat): Promise<Renewed | null> {
    if (this.waiting.length + this.later >= this.maxPending)
      return Promise.reject(new Overloaded('too many heartbeats wait: nothing was done; repeat the call later'));
    return new Promise((resolve, reject) => this.add({ beat, came: performance.now(), resolve, reject }));
  }

  private add(waiting: Waiting): void {
    this.waiting.push(waiting);
    if (!this.inFlight) void this.run();
  }

  private async run(): Promise<void> {
    this.inFlight = true;
    while (this.waiting.length > 0) {
      const group = this.waiting.splice(0, GROUP);
      try {
        const renewed = await this.leases.renew(group.map(({ beat }) => beat));
        for (const [index, waiting] of group.entries()) this.settle(waiting, renewed[index] ?? null);
      } catch (error) {
        for (const waiting of group) waiting.reject(error);
      }
    }
    this.inFlight = false;
  }

  private settle(waiting: Waiting, renewed: Renewed | 'locked' | null): void {
    if (renewed !== 'locked') waiting.resolve(renewed);
    else if (performance.now() > waiting.came + LOCKED_MS) waiting.reject(new RowLocked());
    else {
      this.later += 1;
      setTimeout(() => {
        this.later -= 1;
        this.add(waiting);
      }, AGAIN_MS);
    }
  }
}
