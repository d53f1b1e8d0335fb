/**
 * Notices that the log lacks what this process has seen of it: it was restored from a backup, or a copy without the last
 * commits was put in its place. The event that was seen last is looked for every second, by its place and its id; when the
 * connection broke, the last from before that too, whatever is seen afterwards.
 */
import { comparePositions, type EventStore, type Position } from '../event-store/event-store.js';

/** An event that is in the log, as an append or a read said. */
export interface SeenEvent {
  readonly stream: string;
  readonly revision: number;
  readonly id: string;
  readonly position: Position;
}

/** The log is not the one any more that was followed: what was read of it may not be in it. */
export class LogReplaced extends Error {
  constructor() {
    super('the log lacks events that were read from it: it was restored, or another copy is in its place');
  }
}

/** A server that was deposed and does not know it lacks events too, for a moment. */
const LOOKS = 2;

export class LogWitness {
  #newest: SeenEvent | undefined;
  /** Of each time before the connection broke, until it was found again. */
  #suspects: SeenEvent[] = [];
  #missed = 0;
  #unsubscribe: (() => void) | undefined;
  readonly #store: Pick<EventStore, 'readStream' | 'onAppended'>;
  readonly #onLost: (event: SeenEvent) => void;

  /** @param onLost once a loss: nothing that is known of the log may be trusted */
  constructor(store: Pick<EventStore, 'readStream' | 'onAppended'>, onLost: (event: SeenEvent) => void) {
    this.#store = store;
    this.#onLost = onLost;
  }

  saw(event: SeenEvent): void {
    if (this.#newest !== undefined && comparePositions(event.position, this.#newest.position) <= 0) return;
    this.#newest = event;
  }

  /** Somebody found that an event is gone. */
  lost(event: SeenEvent): void {
    this.#newest = undefined;
    this.#suspects = [];
    this.#missed = 0;
    this.#onLost(event);
  }

  /** Heeds broken connections from now on; who starts it calls `look`, never twice at once. Idempotent. */
  start(): void {
    this.#unsubscribe ??= this.#store.onAppended(
      () => undefined,
      () => {
        if (this.#newest !== undefined) this.#suspects.push(this.#newest);
        this.#newest = undefined;
      },
    );
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  /** A log that is away says nothing. */
  async look(): Promise<void> {
    const sought = this.#suspects[0] ?? this.#newest;
    if (sought === undefined) return;
    const { stream, revision, id } = sought;
    const found = await this.#store.readStream(stream, { from: revision, limit: 1 }).catch(() => undefined);
    // Away, or somebody found a loss meanwhile.
    if (found === undefined || (sought !== this.#newest && !this.#suspects.includes(sought))) return;
    if (found[0]?.id !== id) {
      this.#missed += 1;
      if (this.#missed >= LOOKS) this.lost(sought);
      return;
    }
    this.#missed = 0;
    this.#suspects = this.#suspects.filter((suspect) => suspect !== sought);
  }
}
