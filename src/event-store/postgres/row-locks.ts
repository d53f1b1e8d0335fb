/**
 * Rows beside the log that a session which is not the ledger's holds locked: an operator's `select … for update`, a tool that
 * hangs in its transaction. An append waits for such a row with the lock of the log in hand, and everybody with it. So it
 * waits for `ROW_WAIT_MS` at most; then those that are locked are found, and their requests refused alone. A row that was found
 * locked is looked at before the next append that changes it, which then waits for nothing.
 */
import { RowLocked } from '../event-store.js';
import { type Beside, type BesideTable } from '../beside-table.js';
import type { Outcomes, Unit } from '../append-plan.js';
import type { EncodedRequest } from '../encoded-request.js';
import { binaryArray } from './binary-array.js';
import { asText, isLockTimeout } from './connection.js';
import type { PipelinedConnection } from './pipelined-connection.js';

/** Longest wait of a look, ms: it passes over rows, and waits only for somebody who holds a whole table. */
const LOOK_WAIT_MS = 100;

/** More rows than these are not remembered; what was is forgotten, and found again. */
const MAX_KNOWN = 10_000;

export class RowLocks {
  readonly #connection: PipelinedConnection;
  readonly #fns: readonly string[];
  readonly #text: string;
  /** Found locked, and not free again as far as is known. */
  readonly #known = new Set<string>();

  constructor(connection: PipelinedConnection, tables: readonly BesideTable[]) {
    this.#connection = connection;
    this.#fns = [...new Set(tables.flatMap(({ changes }) => (changes === undefined ? [] : [changes.lockedFn])))];
    const looks = this.#fns.map((fn, index) => `${fn}($${index + 1}::uuid[])`);
    // Under the lock of the log, where no other append holds a row.
    this.#text = ['select pg_advisory_xact_lock(1785686636, 1)', `set_config('lock_timeout', '${LOOK_WAIT_MS}', true)`]
      .concat(looks)
      .join(', ');
  }

  /** Whether the requests change a row that was found locked. */
  areKnown(requests: readonly EncodedRequest[]): boolean {
    if (this.#known.size === 0) return false;
    return requests.some(({ beside }) => beside.some((one) => this.#known.has(keyOf(one) ?? '')));
  }

  /**
   * The requests that change a row which is locked now; none when somebody holds a whole table.
   * @throws Unavailable
   */
  async among(requests: readonly EncodedRequest[]): Promise<ReadonlySet<EncodedRequest>> {
    const changed = requests.flatMap((request) =>
      request.beside.flatMap((one) => {
        const { changes } = one.table;
        return changes === undefined ? [] : [{ request, fn: changes.lockedFn, id: changes.id(one.row) }];
      }),
    );
    const values = this.#fns.map((of) => changed.flatMap(({ fn, id }) => (fn === of ? [id] : [])));
    const found = await this.#look(values);
    const locked = new Set(found.flatMap((ids, index) => ids.map((id) => `${this.#fns[index]!} ${id}`)));
    for (const { fn, id } of changed) this.#known.delete(`${fn} ${id}`);
    if (this.#known.size + locked.size > MAX_KNOWN) this.#known.clear();
    for (const key of locked) this.#known.add(key);
    return new Set(changed.flatMap(({ request, fn, id }) => (locked.has(`${fn} ${id}`) ? [request] : [])));
  }

  async #look(ids: readonly (readonly string[])[]): Promise<readonly (readonly string[])[]> {
    try {
      const [row] = await this.#connection.execute('looking for locked rows', {
        name: 'row-locks',
        text: this.#text,
        values: ids.map((of) => binaryArray('uuid', of)),
        rowMode: 'array',
        types: asText,
      });
      return row!.slice(-ids.length).map((list) => (list === '{}' ? [] : list.slice(1, -1).split(',')));
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      return [];
    }
  }
}

const keyOf = ({ table: { changes }, row }: Beside): string | undefined =>
  changes && `${changes.lockedFn} ${changes.id(row)}`;

/** Refuses the units of the requests whose rows are locked; returns the others. */
export const withoutLocked = (
  units: readonly Unit[],
  locked: ReadonlySet<EncodedRequest>,
  outcomes: Outcomes,
): readonly Unit[] =>
  units.filter((unit) => {
    const culprits = unit.filter((request) => locked.has(request));
    if (culprits.length > 0) outcomes.refuse(unit, new Map(culprits.map((request) => [request, new RowLocked()])));
    return culprits.length === 0;
  });
