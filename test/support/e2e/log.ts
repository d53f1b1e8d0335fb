/**
 * The log of a cluster: in its database, or, with `JOBLEDGER_TEST_LOG=eventstoredb`, the fake server in a process of
 * its own; the real one that `EVENTSTOREDB_URL` names, when it does.
 */
import { FakeProcess } from '../eventstoredb/fake-process.js';
import { isElsewhere } from '../test-log.js';
import type { LogPlace } from './history.js';
import type { Environment } from './service-process.js';

export interface ClusterLog {
  readonly place: LogPlace;
  /** Settings by which a service finds it. */
  readonly environment: Environment;
  /** The server that keeps it, when it can be told to fail. */
  readonly fake: FakeProcess | undefined;
  remove(): Promise<void>;
}

export const logInDatabase = (): Promise<ClusterLog> =>
  Promise.resolve({ place: 'database', environment: {}, fake: undefined, remove: () => Promise.resolve() });

const environmentOf = (url: string): Environment => ({
  JOBLEDGER_EVENT_STORE: 'eventstoredb',
  JOBLEDGER_EVENTSTOREDB_PREVIEW: 'true',
  JOBLEDGER_EVENTSTOREDB_URL: url,
});

/** On the fake, whatever the run is over. */
export const logOnFake = async (): Promise<ClusterLog> => {
  const fake = await FakeProcess.start();
  return { place: 'eventstoredb', environment: environmentOf(fake.url), fake, remove: () => fake.kill() };
};

/** On the server that `EVENTSTOREDB_URL` names, else on the fake. A real server is shared, and keeps what was written. */
export const logOfServer = (): Promise<ClusterLog> => {
  const url = process.env['EVENTSTOREDB_URL'];
  if (url === undefined) return logOnFake();
  return Promise.resolve({
    place: 'eventstoredb',
    environment: environmentOf(url),
    fake: undefined,
    remove: () => Promise.resolve(),
  });
};

/** The one that the run is over. */
export const logOfRun = (): Promise<ClusterLog> => (isElsewhere ? logOfServer() : logInDatabase());
