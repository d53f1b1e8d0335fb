/**
 * The log in the EventStoreDB that EVENTSTOREDB_URL names, beside the client alone doing the same appends there. Without
 * it nothing of this is measured. Give it an empty server: a service follows all that the log holds.
 */
import { randomUUID } from 'node:crypto';
import { openDriver } from '../dist/event-store/eventstoredb/open-driver.js';
import { EventStoreDbEventStore } from '../dist/event-store/eventstoredb/eventstoredb-event-store.js';
import { createLogPool } from '../dist/event-store/postgres/connection.js';

export const secondLogUrl = process.env.EVENTSTOREDB_URL;
export const BARE = 'bare client';

/** The store as the service has it, with no row beside an event. */
export const openSecondLog = async (databaseUrl) => {
  const pool = createLogPool({ connectionString: databaseUrl });
  const store = new EventStoreDbEventStore({ driver: await openDriver(secondLogUrl), pool, clock: Date.now });
  // As in the service, where projections and readers always follow the end of the log.
  store.onAppended(() => undefined);
  return {
    append: async (request) => {
      const [result] = await store.append([request]);
      if (!result.ok) throw result.error;
      return 1;
    },
    close: async () => {
      await store.close();
      await pool.end();
    },
  };
};

const wire = ({ id, type, data, metadata }) => ({ id, type, contentType: 'application/json', data, metadata });

/** The client alone, one connection as ours has. */
export const openBare = async () => {
  const { EventStoreDBClient } = await import('@eventstore/db-client');
  const client = EventStoreDBClient.connectionString(secondLogUrl);
  const send = (stream, events, expectedRevision) =>
    client.appendToStream(stream, events.map(wire), { expectedRevision });
  return {
    append: async ({ stream, events }) => {
      await send(stream, events, 'any');
      return 1;
    },
    /** The appends of one life of a job, and nothing else: no key, no lease, no row, no claim. */
    life: async (appends) => {
      const stream = `bare-${randomUUID()}`;
      let revision = 'no_stream';
      for (const events of appends()) revision = (await send(stream, events, revision)).nextExpectedRevision;
      return 1;
    },
    close: () => client.dispose(),
  };
};
