/**
 * Which log tests of the whole service run over. `JOBLEDGER_TEST_LOG=eventstoredb`: a fake server for each database;
 * else the database itself.
 */
import type { ServiceOptions } from '../../src/service.js';
import { FakeEventStoreDb } from './eventstoredb/fake-server.js';

export const isElsewhere = process.env['JOBLEDGER_TEST_LOG'] === 'eventstoredb';

const fakes = new Map<string, Promise<FakeEventStoreDb>>();

/** The options by which a service finds the log of a database; the same for each service on it. */
export const logOptions = async (databaseUrl: string): Promise<Partial<ServiceOptions>> => {
  if (!isElsewhere) return {};
  let fake = fakes.get(databaseUrl);
  if (fake === undefined) fakes.set(databaseUrl, (fake = FakeEventStoreDb.start()));
  return { eventStoreDbUrl: (await fake).url };
};

export const stopLog = async (databaseUrl: string): Promise<void> => {
  const fake = fakes.get(databaseUrl);
  fakes.delete(databaseUrl);
  (await fake)?.stop();
};
