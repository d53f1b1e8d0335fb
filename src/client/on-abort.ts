/**
 * What waits for the end of a signal that calls may share. It has one listener, however many wait: Node warns of a leak
 * at the eleventh. Not `AbortSignal.any`: on a signal that outlives many calls its followers pile up.
 */
class Waits {
  readonly #runs = new Map<symbol, () => void>();

  constructor(private readonly signal: AbortSignal) {}

  add(run: () => void): () => void {
    if (this.#runs.size === 0) this.signal.addEventListener('abort', this.#onAbort, { once: true });
    const own = Symbol();
    this.#runs.set(own, run);
    return () => {
      this.#runs.delete(own);
      if (this.#runs.size === 0) this.signal.removeEventListener('abort', this.#onAbort);
    };
  }

  readonly #onAbort = (): void => {
    for (const run of [...this.#runs.values()]) run();
  };
}

const waits = new WeakMap<AbortSignal, Waits>();

/**
 * Calls `run` once the signal aborts; not when it has already, or is none.
 * @returns how to take that back
 */
export const onAbort = (signal: AbortSignal | undefined, run: () => void): (() => void) => {
  if (signal === undefined) return () => undefined;
  const those = waits.get(signal) ?? new Waits(signal);
  waits.set(signal, those);
  return those.add(run);
};
