/** The log's time, compressed: how long until something of the log is due. */

export class ReplayClock {
  #startedAt: number | null = null;

  /**
   * @param origin the second of the log at which it starts.
   * @param speed seconds of the log in a second; null: no clock, everything is due at once.
   * @param now a clock in ms.
   */
  constructor(
    private readonly origin: number,
    readonly speed: number | null,
    private readonly now: () => number,
  ) {}

  start(): void {
    this.#startedAt = this.now();
  }

  /** Milliseconds until a second of the log, negative when it is past. */
  msUntil(second: number): number {
    if (this.speed === null) return 0;
    return ((second - this.origin) * 1_000) / this.speed - (this.now() - (this.#startedAt ?? this.now()));
  }

  /** A duration of the log, as it is played. */
  msOf(seconds: number): number {
    return this.speed === null ? 0 : (seconds * 1_000) / this.speed;
  }
}
