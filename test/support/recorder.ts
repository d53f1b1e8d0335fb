/** A projection that writes down each event it is given, so that a test sees what was lost, repeated, or out of order. */
import type { RecordedEvent } from '../../src/event-store/event-store.js';
import type { Projection } from '../../src/projections/projection.js';
import type { Tx } from '../../src/projections/transaction.js';

/** Every write leaves a row, also a second one of the same event. */
export const recorderSql = `create table jobledger.recorded (
  n bigint generated always as identity, position bigint not null, stream text not null)`;

export interface RecorderHooks {
  /** Before a page is written. */
  readonly before?: (events: readonly RecordedEvent[], tx: Tx) => Promise<void> | void;
  /** After a page is written, before it is committed. */
  readonly after?: (events: readonly RecordedEvent[], tx: Tx) => Promise<void> | void;
  readonly types?: readonly string[];
  readonly version?: number;
}

export const recorder = ({ before, after, types, version = 1 }: RecorderHooks = {}): Projection => ({
  name: 'recorder',
  version,
  ...(types && { types }),
  tables: [{ name: 'recorded', key: { position: 'bigint' }, fields: { stream: 'stream' } }],
  apply: async (events, tx) => {
    await before?.(events, tx);
    await tx.query({
      text: `insert into ${tx.schema}.recorded (position, stream) select * from unnest($1::bigint[], $2::text[])`,
      values: [events.map(({ position }) => position), events.map(({ stream }) => stream)],
    });
    await after?.(events, tx);
  },
});
