/**
 * Says of intents that somebody works on them, so that nobody takes a slow process for a dead one, or that nobody does any
 * more. Hints: what is said too late, or not at all, makes others do the same work, or wait, and no harm.
 */
import type pg from 'pg';
import { binaryArray } from '../postgres/binary-array.js';
import { execute } from '../postgres/connection.js';
import type { Intent } from './beside-rows.js';

/** How often, ms. */
const KEEP_MS = 2_000;

type Held = { readonly intent: Intent | undefined };

export class IntentKeeper {
  readonly #pool: pg.Pool;
  readonly #keepMs: number;
  readonly #kept = new Set<Intent>();
  #timer: NodeJS.Timeout | undefined;

  constructor(pool: pg.Pool, keepMs = KEEP_MS) {
    this.#pool = pool;
    this.#keepMs = keepMs;
  }

  /** Keeps the intents of the units for as long as it is worked on them. */
  async during<T>(units: readonly Held[], work: () => Promise<T>): Promise<T> {
    const intents = units.flatMap(({ intent }) => intent ?? []);
    for (const intent of intents) this.#kept.add(intent);
    this.#timer ??= this.#kept.size > 0 ? setInterval(() => this.#keep(), this.#keepMs) : undefined;
    try {
      return await work();
    } finally {
      for (const intent of intents) this.#kept.delete(intent);
      if (this.#kept.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
    }
  }

  /** Leaves intents of what was given up to whoever looks next: else the process would have to be taken for dead. */
  async leave(units: readonly Held[]): Promise<void> {
    const intents = units.flatMap(({ intent }) => intent ?? []);
    if (intents.length > 0) await this.#say('leave', intents);
  }

  #keep(): void {
    void this.#say('keep', [...this.#kept]);
  }

  async #say(what: 'keep' | 'leave', intents: readonly Intent[]): Promise<void> {
    const columns = [intents.map(({ id }) => id), intents.map(({ owner }) => owner)];
    await execute(this.#pool, `saying of intents: ${what}`, {
      ...{ name: `intents-${what}`, text: `select jobledger.intents_${what}($1::uuid[], $2::uuid[])` },
      ...{ values: columns.map((values) => binaryArray('uuid', values)), rowMode: 'array' },
    }).catch(() => undefined);
  }
}
