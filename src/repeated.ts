/** A task that runs again and again, never twice at once, until it is stopped. What it throws is told, and waited out. */
export class Repeated {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private stopped = true;

  constructor(
    private readonly task: () => Promise<unknown>,
    /** From the end of one run to the start of the next, ms. */
    private readonly pauseMs: number,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Idempotent. */
  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.schedule();
  }

  /** Resolves after the run in hand; idempotent. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.running = this.task()
        .catch(this.failed)
        .then(() => this.schedule());
    }, this.pauseMs);
    this.timer.unref();
  }
}
