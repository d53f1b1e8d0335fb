/**
 * What a projection is: a name, a version, the events it handles, its tables, and how a page of events changes them.
 * The runner does the rest: order, checkpoint, leadership, and what to do with an event that cannot be read.
 */
import type { Tx } from './transaction.js';
import type { RecordedEvent } from '../event-store/event-store.js';

export interface Projection {
  readonly name: string;
  /** From 1; raised when the same events would give other rows, so that stored ones have to be rebuilt. */
  readonly version: number;
  /** Types of the events it handles; absent: every event. */
  readonly types?: readonly string[];
  /** Schema-qualified. Nobody else writes them. */
  readonly tables: readonly string[];
  /** Selects of all that the tables say, whatever pages the events came in: the rows that its digest covers. */
  readonly rows: readonly string[];
  /**
   * Applies events, in order, to the tables. It may be called again with a part of the same events after it threw, and
   * its writes of the call that threw are undone.
   * @throws any error but that of a statement when an event cannot be read: the event's stream is parked.
   */
  apply(events: readonly RecordedEvent[], tx: Tx): Promise<void>;
}
