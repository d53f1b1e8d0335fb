/** While a simulation runs, the clock and the timers that the source reads are the scheduler's. */
import { performance } from 'node:perf_hooks';
import type { Scheduler, Task } from './scheduler.js';

interface Timers {
  setTimeout: unknown;
  clearTimeout: unknown;
  setImmediate: unknown;
}

/** Runs with the scheduler's time; a timer belongs to the process that set it, and dies or freezes with it. */
export const withVirtualTime = async <T>(scheduler: Scheduler, run: () => Promise<T>): Promise<T> => {
  const globals = globalThis as unknown as Timers;
  const { setTimeout, clearTimeout, setImmediate } = globals;
  const began = scheduler.now;
  const now = (): number => scheduler.now - began + 1;
  Object.defineProperty(performance, 'now', { value: now, configurable: true, writable: true });
  globals.setTimeout = (callback: () => void, ms = 0): Task =>
    scheduler.enqueue(`${scheduler.current?.name ?? 'nobody'} timer`, scheduler.current, callback, Math.ceil(ms));
  globals.setImmediate = (callback: () => void): Task =>
    scheduler.enqueue(`${scheduler.current?.name ?? 'nobody'} turn`, scheduler.current, callback);
  globals.clearTimeout = (task?: Task): void => {
    if (task !== undefined) scheduler.remove(task);
  };
  try {
    return await run();
  } finally {
    Object.assign(globals, { setTimeout, clearTimeout, setImmediate });
    Reflect.deleteProperty(performance, 'now');
  }
};
