/**
 * Measures for how long a process stood still, by how late a timer of it comes: a handler that computes without a pause
 * blocks the event loop, and a suspended process does nothing at all. No heartbeat goes out then, and whatever comes of
 * that is not the ledger's doing. While it runs it also holds the process open.
 */
import type { Clock } from './clock.js';
import { STOOD_STILL_MS } from './transport.js';

/** Between two looks. */
export const LOOK_MS = 750;
/** Of the time that it stood still, from which on it was busy; a suspended process computes nothing. */
const BUSY_SHARE = 0.1;

/** Told whole milliseconds, and whether the process computed meanwhile. */
export type OnStoodStill = (stillMs: number, wasBusy: boolean) => void;

const cpuMsOfProcess = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

export class Standstill {
  #cancel: () => void = () => undefined;

  constructor(
    private readonly clock: Clock,
    private readonly onStoodStill: OnStoodStill,
    /** CPU time of the process so far. */
    private readonly cpuMs: () => number = cpuMsOfProcess,
  ) {}

  start(): void {
    const dueAt = this.clock.now() + LOOK_MS;
    const cpuMs = this.cpuMs();
    this.#cancel = this.clock.after(LOOK_MS, () => {
      const stillMs = this.clock.now() - dueAt;
      const wasBusy = this.cpuMs() - cpuMs >= BUSY_SHARE * stillMs;
      this.start();
      if (stillMs >= STOOD_STILL_MS) this.onStoodStill(Math.round(stillMs), wasBusy);
    });
  }

  stop(): void {
    this.#cancel();
  }
}
