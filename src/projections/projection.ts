/**
 * What a projection is: a name, a version, the events it handles, its tables, and how a page of events changes them.
 * The runner does the rest: order, checkpoint, leadership, and what to do with an event that cannot be read.
 */
import type { ProjectionSchema, Tx } from './transaction.js';
import type { RecordedEvent } from '../event-store/event-store.js';

export interface ProjectionTable {
  /** Without its schema, which `Tx` says. Nobody else writes the table. */
  readonly name: string;
  /** Columns that tell its rows apart, in the order of its primary key, with their types in SQL. */
  readonly key: Readonly<Record<string, string>>;
  /** What a row says beside its key, whatever pages the events came in: the SQL of each field. */
  readonly fields: Readonly<Record<string, string>>;
  /** Which rows say something, in SQL; absent: every row. */
  readonly where?: string;
}

/** Pages of events on their way into the tables, for one write of what many of them make. */
export interface Fold {
  /** @throws when an event cannot be read: then nothing of the fold may be written. */
  add(events: readonly RecordedEvent[]): void;
  /** Once, after the last page. */
  write(tx: Tx): Promise<void>;
}

export interface Projection {
  readonly name: string;
  /** From 1; raised when the same events would give other rows, so that stored ones have to be rebuilt. */
  readonly version: number;
  /** Types of the events it handles; absent: every event. */
  readonly types?: readonly string[];
  /** The first holds what the projection is asked for by name; differences are told in this order. */
  readonly tables: readonly ProjectionTable[];
  /** Appends write it in their own transaction, so it is always at the head, and no runner follows the log for it. */
  readonly inline?: true;
  /** Of a projection that reads wait for: between two pages that were not full, ms; absent: the runner's. */
  readonly gapMs?: number;
  /**
   * Applies events, in order, to the tables. It may be called again with a part of the same events after it threw, and
   * its writes of the call that threw are undone.
   * @throws any error but that of a statement when an event cannot be read: the event's stream is parked.
   */
  apply(events: readonly RecordedEvent[], tx: Tx): Promise<void>;
  /** The same for more events than should be kept until they are applied; absent: they are. */
  fold?(): Fold;
  /**
   * Once it is made anew in tables that are not its own: takes away what no event has written.
   * @param since transaction id from which on it was written; null: unknown
   */
  prune?(since: string | null, signal: AbortSignal): Promise<void>;
}

/** A select of all that a table says, of its key and its fields. */
export const rowsOf = ({ name, key, fields, where }: ProjectionTable, schema: ProjectionSchema): string => {
  const columns = [
    ...Object.keys(key),
    ...Object.entries(fields).map(([field, expression]) => `${expression} as ${field}`),
  ];
  return `select ${columns.join(', ')} from ${schema}.${name}${where === undefined ? '' : ` where ${where}`}`;
};
