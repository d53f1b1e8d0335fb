import { setMaxListeners } from 'node:events';

/** Whether this process is stopping: then it is not ready, takes no new commands, and lets nobody wait. */
export class Shutdown {
  private readonly controller = new AbortController();

  constructor() {
    // Everybody who waits listens.
    setMaxListeners(0, this.controller.signal);
  }

  get begun(): boolean {
    return this.controller.signal.aborted;
  }

  /** Aborted when the stopping begins. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  begin(): void {
    this.controller.abort();
  }
}
