/** Tables of other folders that are written with an append: what they say of their rows, and when their functions are called. */

/**
 * A table that is written in the same transaction as the events (PostgreSQL), or around the append (EventStoreDB).
 * The folder that owns the table owns the SQL function; the adapter calls it once a batch with arrays.
 *
 * The function is called as `fn(base bigint, at timestamptz, rows <type>[])`, where `base` is the position before the
 * batch's first event. A row's `request` is the ordinal of its request in the call (0-based), and `base + event` the
 * position of the event that it belongs to. To refuse rows the function raises SQLSTATE `JL001` with the message set to
 * the table's name and the detail to a JSON array of request ordinals: the whole call is rolled back and made again
 * without them.
 */
export interface BesideTable<Row = unknown> {
  readonly name: string;
  /** Schema-qualified function. */
  readonly fn: string;
  /** Called in place of `fn` once a call met a key that is taken: then `fn` need not say whom it refuses. */
  readonly fnOfTaken?: string;
  /** Schema-qualified composite type of a row: `request int, event int`, then the columns in order. */
  readonly type: string;
  readonly columns: readonly BesideColumn<Row>[];
  /** The rows that `fn` changes, where it does not only make new ones: how those that others hold locked are found. */
  readonly changes?: {
    /** Schema-qualified function `(uuid[]) returns uuid[]`: ids of the rows that another session holds locked now. */
    readonly lockedFn: string;
    readonly id: (row: Row) => string;
  };
  /** How it is written around an append to a log that is not in its database. Absent: such a log refuses its rows. */
  readonly around?: AroundAppend<Row>;
}

/**
 * Schema-qualified functions, called before and after an append with the rows of a call.
 *
 * Between the calls a process may die. What `before` took is then settled by recovery, from an intent that was recorded
 * in the same statement: the events are appended if they can be, and `after` is called, else `undo`. So `after` and
 * `undo` may come late, when the row's job has moved on: they look at what is there.
 */
export interface AroundAppend<Row = unknown> {
  /**
   * `(at timestamptz, rows <type>[])`: takes what must be taken before the events are there; may refuse as `fn` does.
   * The events will be recorded at `at`, or later when their stream is ahead of the clock.
   */
  readonly before?: string;
  /**
   * `(base bigint, at timestamptz[], revision int[], length int[], parts text[], rows <type>[])`: the events are in the
   * log. `base + event` is the position of the row's event, and of row n `at[n]` is its recorded time, `revision[n]` its
   * revision, `length[n]` the number of events of its request, and `parts[n]`, of a table that is `ofGroup`, what was appended
   * of its group, as JSON `[[stream, first revision, number of events], …]`; null of any other.
   *
   * When rows are not at the events that these follow, it raises SQLSTATE `JL003`, with the detail a JSON array of their
   * streams: nothing of the call is written, and it is made again once `catchUp` has brought them there. An answer is
   * given only then, so that no read lacks what was answered. With `JL004`, the message a table's name and the detail a
   * JSON array of positions, it refuses events that came to stand where the table would have refused them before: they stay
   * in the log, and their requests are answered as refused, and given back.
   */
  readonly after?: string;
  /**
   * The stream that moves the row besides its own, if there is one. For a table that has this, `after` takes one argument
   * more before the rows, `watched bigint[]`: the last revision of that stream once the events were there, -1 when it
   * has none, null for a row that watches nothing. A stream that has no event has none from before the row's own stream.
   */
  readonly watches?: (row: Row) => string | undefined;
  /** `(rows <type>[])`: gives back what `before` took, of a request that is not in the log and never will be. */
  readonly undo?: string;
  /** The row belongs to all of its group: it is written when any of it was appended. */
  readonly ofGroup?: boolean;
}

/**
 * Longest wait for a row beside the log by whoever holds the lock of the log, ms: longer than the ledger's own statements
 * hold one, and shorter than the time after which the server looks for a deadlock, whose victim could be somebody else.
 */
export const ROW_WAIT_MS = 500;

export interface BesideColumn<Row> {
  readonly type: 'uuid' | 'text' | 'int4' | 'int8' | 'bool' | 'timestamptz' | 'bytea';
  /** `timestamptz` takes epoch milliseconds. */
  readonly value: (row: Row) => string | number | bigint | boolean | Uint8Array | null;
}

export interface Beside {
  readonly table: BesideTable;
  readonly row: unknown;
  /** Index of the event in its request that the row belongs to; default the last. */
  readonly event?: number;
}

/** A beside row that type-checks against its table. */
export const beside = <Row>(table: BesideTable<Row>, row: Row, event?: number): Beside => ({
  table: table as BesideTable,
  row,
  ...(event === undefined ? {} : { event }),
});
