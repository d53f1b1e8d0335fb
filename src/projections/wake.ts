/** Waits that end early. */

/** A wait that news end, or a time. News that came since `clear` end the next wait at once. */
export class Wake {
  private woken = false;
  private resume: (() => void) | undefined;

  readonly wake = (): void => {
    this.woken = true;
    this.resume?.();
  };

  /** To be called before looking for what the wait is for. */
  clear(): void {
    this.woken = false;
  }

  /** @param ms absent: until it is woken. */
  async wait(ms?: number): Promise<void> {
    if (this.woken) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.resume = resolve;
      if (ms !== undefined) timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.resume = undefined;
  }
}

/** Resolves after a time or when the signal is aborted, whichever is first. */
export const pauseFor = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
