/**
 * Finishes appends that a process left when it died or lost the log: their events are appended at the revisions that
 * the intent names, or stand there, or can no longer. What names no revision is given up unless it stands there. Any
 * process may do it, and several at once do no harm.
 */
import type pg from 'pg';
import { expectedBase, Outcomes } from '../append-plan.js';
import { Unavailable } from '../event-store.js';
import { asText, execute } from '../postgres/connection.js';
import type { EncodedRequest } from '../encoded-request.js';
import { type BesideRows, ended, type HeldUnit } from './beside-rows.js';
import { readIntent } from './intent-body.js';
import type { IntentKeeper } from './intent-keeper.js';
import type { StreamReader } from './stream-reader.js';
import type { UnitAppender } from './unit-appender.js';

/** Intents that are taken at once. */
const PAGE = 50;
/** How far back in a stream an append without a revision is looked for. */
const LOOK_BACK = 1_000;

interface RecoveryDependencies {
  readonly pool: pg.Pool;
  readonly beside: BesideRows;
  readonly units: UnitAppender;
  readonly streams: StreamReader;
  readonly keeper: IntentKeeper;
  readonly clock: () => number;
}

export class IntentRecovery {
  readonly #on: RecoveryDependencies;

  constructor(on: RecoveryDependencies) {
    this.#on = on;
  }

  /** @returns how many intents were finished */
  async run(idleMs: number): Promise<number> {
    let finished = 0;
    for (;;) {
      const rows = await execute(this.#on.pool, 'taking intents', {
        ...{ name: 'intents-take', text: 'select id, owner, body from jobledger.intents_take($1, $2)' },
        ...{ values: [idleMs, PAGE], rowMode: 'array', types: asText },
      });
      const units = rows.map(([id, owner, body]) =>
        readIntent({ id: id!, owner: owner! }, body!, (name) => this.#on.beside.table(name)),
      );
      await this.#on.keeper.during(units, () => this.#finishAll(units));
      finished += rows.length;
      // What is taken is put off by the idle time: with none the same would be found again.
      if (rows.length < PAGE) return finished;
    }
  }

  async #finishAll(units: readonly HeldUnit[]): Promise<void> {
    for (const [index, unit] of units.entries()) {
      try {
        await this.#finish(unit);
      } catch (error) {
        // What cannot be finished at all is put off, and holds up nobody behind it.
        await this.#on.keeper.leave(units.slice(error instanceof Unavailable ? index : index + 1));
        throw error;
      }
    }
  }

  async #finish(unit: HeldUnit): Promise<void> {
    const outcomes = new Outcomes(unit.requests.length);
    const placed = await Promise.all(unit.requests.map(({ request }) => this.#placed(request)));
    const requests = placed.filter((request) => request !== undefined);
    if (requests.length > 0) await this.#on.units.append(requests, Math.trunc(this.#on.clock()), outcomes, "another's");
    const appendedOf = (ordinal: number) => {
      const result = outcomes.has(ordinal) ? outcomes.get(ordinal) : undefined;
      return result?.ok === true ? result : undefined;
    };
    await this.#on.beside.end([ended(unit, appendedOf)]);
  }

  /**
   * An append without a revision, at the place where it stands. Undefined when it is not in the log: what it rests on,
   * a lease, may have ended since, so it is given up, and who repeats it is told so.
   */
  async #placed(request: EncodedRequest): Promise<EncodedRequest | undefined> {
    if (expectedBase(request.expected) !== undefined) return request;
    const latest = await this.#on.streams.readStream(request.stream, { direction: 'backwards', limit: LOOK_BACK });
    const first = latest.find(({ id }) => id === request.events[0]!.id);
    if (first === undefined) return undefined;
    return { ...request, expected: first.revision === 0 ? 'noStream' : first.revision - 1 };
  }
}
